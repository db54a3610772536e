"""Events of the first schema stay readable: the bytes that earlier versions wrote, and what they mean now."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from ledger import canonical
from ledger.event import Event
from ledger.events import reseeds
from ledger.identifiers import format_time, next_time
from ledger.ledger import Ledger
from ledger.log import chain
from ledger.verification.walk import verify
from projections.authority import in_force
from projections.reseed.fold import load, plan_digest
from tests.ledger.samples import add_line
from tests.projections.reseed.steps import agreed, plan


def old(ledger: Ledger, stream: str, kind: str, /, **body: Any) -> None:
    """Write an event of the first schema into the journal, as an earlier version did."""
    head = ledger.head()
    made = Event(
        actor="old",
        causation_id=None,
        correlation_id=None,
        event_id=f"0190a0a0-0000-7000-8000-{head.position:012d}",
        git_sha=None,
        hash="",
        host="old",
        key=None,
        origin=ledger.origin,
        payload=msgspec.Raw(canonical.encode(body)),
        position=head.position + 1,
        prev_hash=head.hash,
        recorded_at=format_time(next_time(head.recorded_us)),
        schema_version=1,
        stream=stream,
        type=kind,
        version=len(list(ledger.read(stream=stream))) + 1,
    )
    add_line(ledger.log.journal_path, chain.link(made))


def test_policies_of_the_first_schema_cover_reseeds_and_the_last_of_a_machine_holds(ledger: Ledger) -> None:
    """Each overrode the one before; on one machine it still does."""
    for approvals in (3, 2):
        old(ledger, "policy/reseed", "ReseedPolicyAdopted", approvals=approvals, allowed_signers="", reason="why")
    (held,) = in_force.load(ledger).policies
    assert (held.needed, held.document.covers, held.document.replaces, held.document.lineage) == (
        2,
        ("reseed",),
        None,
        "",
    )
    assert verify(ledger).ok


def test_a_reseed_of_the_first_schema_is_read_to_its_end(ledger: Ledger) -> None:
    body: dict[str, Any] = msgspec.to_builtins(plan("r"))
    del body["policies"]
    unsigned = {name: value for name, value in body.items() if name not in ("digest", "readers")}
    body["digest"] = sha256(canonical.encode(unsigned)).hexdigest()
    old(ledger, "reseed/r", "ReseedPlanned", **body)
    state = load(ledger, "r")
    assert plan_digest(state.needed()) == body["digest"], "what was approved then is still what its digest says"
    assert state.needed().policies == []
    old(ledger, "reseed/r", "ReseedApproved", reseed="r", digest=body["digest"], approver="ann", signature="")
    old(ledger, "reseed/r", "RecordsPrepared", reseed="r", digest=body["digest"], folder="/none", paths=["m/1.json"])
    old(ledger, "reseed/r", "ReseedUploadStarted", reseed="r", dataset="d", parent="1", paths=["m/1.json"])
    assert agreed(ledger, "r").step == "uploading"
    started = next(ledger.read(types=["ReseedUploadStarted"])).typed()
    assert isinstance(started, reseeds.ReseedUploadStarted)
    assert (started.policies, started.pinned, started.approved_by) == ([], False, [])
    assert verify(ledger).ok
