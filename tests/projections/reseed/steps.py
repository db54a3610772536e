"""The events of a reseed, made without the commands that would refuse them, and what each way of asking says."""

from __future__ import annotations

from itertools import count
from typing import Any

from ledger.event import EventPayload, NewEvent
from ledger.events import reseeds
from ledger.ledger import Ledger
from projections.reseed import fold
from projections.state.state import State

DIGEST, OTHER_DIGEST = "d" * 64, "e" * 64
PEOPLE = count(1)  # each approval of `of_type` is somebody else's
DATASET = "hf://datasets/o/d"


def plan(reseed: str, *, needed: int = 1, digest: str = DIGEST) -> reseeds.ReseedPlanned:
    """Make a plan of one seed."""
    return reseeds.ReseedPlanned(
        reseed=reseed,
        digest=digest,
        kind="reseed",
        target="m@g",
        model_id="m",
        gpu_type="g",
        identity=None,
        reason="new driver",
        tolerance=0.05,
        dataset=DATASET,
        revision="1",
        sources=[],
        old={"latency": 28.0},
        batch={"latency": 30.0},
        candidate={"latency": 30.0},
        spread={"latency": 0.01},
        old_count=5,
        window=[],
        will_move_median={},
        destination=["m/1.json"],
        prepared=[],
        backup="",
        approvals_needed=needed,
    )


def approval(reseed: str, who: str = "ann", digest: str = DIGEST) -> reseeds.ReseedApproved:
    """Make an approval."""
    return reseeds.ReseedApproved(reseed=reseed, digest=digest, approver=who)


def preparation(reseed: str, digest: str = DIGEST, folder: str = "/none") -> reseeds.RecordsPrepared:
    """Make a preparation."""
    return reseeds.RecordsPrepared(reseed=reseed, digest=digest, folder=folder, paths=["m/1.json"])


def uploaded(reseed: str) -> reseeds.ReseedUploaded:
    """Make the end of an upload."""
    return reseeds.ReseedUploaded(
        reseed=reseed, dataset=DATASET, revision="2", parent="1", written=["m/1.json"], already=[], medians={}
    )


def of_type(reseed: str, name: str) -> EventPayload:
    """Return an event of a type as the commands record it when it fits."""
    made: dict[str, EventPayload] = {
        "SourceValidated": reseeds.SourceValidated(reseed=reseed, path="s.json", sha256="", target="m@g"),
        "SourceDropped": reseeds.SourceDropped(reseed=reseed, path="s.json", sha256="", reason="outlier"),
        "BackupTaken": reseeds.BackupTaken(reseed=reseed, dataset=DATASET, revision="1", folder="/none", records=[]),
        "ReseedPlanned": plan(reseed),
        "ReseedApproved": approval(reseed, f"approver {next(PEOPLE)}"),
        "RecordsPrepared": preparation(reseed),
        "ReseedUploadStarted": reseeds.ReseedUploadStarted(
            reseed=reseed, dataset=DATASET, parent="1", paths=["m/1.json"]
        ),
        "ReseedUploaded": uploaded(reseed),
        "ReseedCleanedUp": reseeds.ReseedCleanedUp(reseed=reseed, folders=[]),
        "ReseedAborted": reseeds.ReseedAborted(reseed=reseed, reason="", left=[]),
        "ReseedSuperseded": reseeds.ReseedSuperseded(
            reseed=reseed, by="corrective", reason="bad", dataset=DATASET, paths=["m/1.json"]
        ),
    }
    return made[name]


def record(ledger: Ledger, reseed: str, *payloads: EventPayload) -> None:
    """Append events to the stream of a reseed, whatever its step."""
    ledger.append([NewEvent(stream=f"reseed/{reseed}", payload=payload) for payload in payloads])


def in_sql(ledger: Ledger, *, as_of: str | None = None, as_recorded: str | None = None) -> dict[str, dict[str, Any]]:
    """Return the rows of the relation by reseed."""
    with State.open(ledger, as_of=as_of, as_recorded=as_recorded) as state:
        return {row["id"]: row for row in state.rows("SELECT * FROM reseeds")}


def agreed(ledger: Ledger, reseed: str) -> fold.Reseed:
    """Return the fold of a reseed, which the relation must agree with in everything both say."""
    state = fold.load(ledger, reseed)
    row = in_sql(ledger).get(reseed)
    if state.plan is None:
        assert row is None, "a reseed without a plan is not listed"
        return state
    assert row is not None
    assert (row["step"], row["superseded_by"]) == (state.step, state.standing.superseded_by)
    assert row["approvers"] == (", ".join(f"{name} (not signed)" for name in state.approvers) or None)
    assert row["passed_over"] == len(state.passed_over)
    assert row["changed_at"] == state.standing.changed_at
    assert (row["event_id"], row["digest"]) == (state.plan_event_id, state.plan.digest)
    assert row["revision"] == (state.uploaded.revision if state.uploaded else None)
    return state
