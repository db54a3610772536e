"""The step of a reseed: every pair of state and event, guards, and that ended states have no way back.

The table below is written from the rules, not from the code: a plan comes first; approvals of exactly this plan;
preparation after approval; an upload of what is prepared; abort before the upload ended and not after; clean-up after
an end; a correction of seeds that are in the dataset. Everything else changes nothing and is reported.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.event import Event, EventPayload
from ledger.events import reseeds
from ledger.ledger import Ledger
from projections.reseed import fold, transitions
from projections.state.state import State
from tests.projections.reseed import steps
from tests.projections.reseed.steps import OTHER_DIGEST, agreed, approval, in_sql, of_type, plan, preparation, record

PLAN, APPROVE, PREPARE = "ReseedPlanned", "ReseedApproved", "RecordsPrepared"
START, UPLOAD, CLEAN = "ReseedUploadStarted", "ReseedUploaded", "ReseedCleanedUp"
ABORT, SUPERSEDE = "ReseedAborted", "ReseedSuperseded"
SOURCES = ("SourceValidated", "SourceDropped", "BackupTaken")
TYPES = (*SOURCES, PLAN, APPROVE, PREPARE, START, UPLOAD, CLEAN, ABORT, SUPERSEDE)

# how a history gets into each state
WAYS = {
    "new": ("SourceValidated",),
    "planned": (PLAN,),
    "approved": (PLAN, APPROVE),
    "prepared": (PLAN, APPROVE, PREPARE),
    "uploading": (PLAN, APPROVE, PREPARE, START),
    "uploaded": (PLAN, APPROVE, PREPARE, START, UPLOAD),
    "cleaned up": (PLAN, APPROVE, PREPARE, START, UPLOAD, CLEAN),
    "aborted": (PLAN, ABORT),
    "superseded": (PLAN, APPROVE, PREPARE, START, UPLOAD, SUPERSEDE),
}
# what changes the state; every other pair changes nothing
RULES = {
    "new": {**dict.fromkeys(SOURCES, "new"), PLAN: "planned", ABORT: "aborted"},
    "planned": {APPROVE: "approved", ABORT: "aborted"},
    "approved": {APPROVE: "approved", PREPARE: "prepared", ABORT: "aborted"},
    "prepared": {APPROVE: "prepared", PREPARE: "prepared", START: "uploading", UPLOAD: "uploaded", ABORT: "aborted"},
    "uploading": {APPROVE: "uploading", PREPARE: "uploading", START: "uploading", UPLOAD: "uploaded", ABORT: "aborted"},
    "uploaded": {CLEAN: "cleaned up", SUPERSEDE: "superseded"},
    "cleaned up": {SUPERSEDE: "superseded"},
    "aborted": {CLEAN: "cleaned up"},
    "superseded": {CLEAN: "cleaned up"},
}
ENDED = {"uploaded", "cleaned up", "aborted", "superseded"}
PAIRS = list(itertools.product(WAYS, TYPES))


def named(step: str, kind: str) -> str:
    return f"{step.replace(' ', '-')}_{kind}"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ledger, State]]:
    """A ledger with one reseed for each pair: in that state, then the event."""
    ledger = Ledger.create(tmp_path_factory.mktemp("pairs"), origin="pairs", actor="tester@example.org")
    for step, kind in PAIRS:
        reseed = named(step, kind)
        record(ledger, reseed, *(of_type(reseed, one) for one in (*WAYS[step], kind)))
    with State.open(ledger) as state:
        yield ledger, state


def test_the_table_names_every_state_and_event_type_of_the_workflow() -> None:
    assert set(WAYS) == set(RULES) == set(transitions.STEPS)
    of_reseeds = {name for name in vars(reseeds) if name in TYPES or name.startswith("Reseed")}
    of_workflow = {name for name in of_reseeds if not name.startswith("ReseedPolicy")}
    assert set(TYPES) == set(transitions.EVENTS) == of_workflow
    assert {step for step, _ in transitions.TRANSITIONS} <= set(WAYS)


@pytest.mark.parametrize(("step", "kind"), PAIRS)
def test_each_pair_of_state_and_event_type_does_what_the_rules_say(
    pairs: tuple[Ledger, State], step: str, kind: str
) -> None:
    ledger, session = pairs
    before = fold.fold("x", ledger.read_stream(f"reseed/{named(step, kind)}")[:-1], origin=ledger.origin)
    after = fold.load(ledger, named(step, kind))
    assert (before.step, before.passed_over) == (step, ())
    assert after.step == RULES[step].get(kind, step)
    passed = [one.type for one in after.passed_over]
    assert passed == ([] if kind in RULES[step] else [kind])
    assert all(one.why for one in after.passed_over)
    rows = session.rows("SELECT step, passed_over FROM reseeds WHERE id = $id", {"id": named(step, kind)})
    assert rows == ([{"step": after.step, "passed_over": len(passed)}] if after.plan else [])
    last = "SELECT type, step, passed_over FROM reseed_steps WHERE reseed = $id ORDER BY position DESC LIMIT 1"
    why = after.passed_over[0].why if passed else None
    assert session.rows(last, {"id": named(step, kind)}) == [{"type": kind, "step": after.step, "passed_over": why}]


@pytest.mark.parametrize(("step", "kind"), PAIRS)
def test_a_command_may_act_exactly_when_its_event_would_count(
    pairs: tuple[Ledger, State], step: str, kind: str
) -> None:
    from ledger.errors import Refused

    ledger, _ = pairs
    before = fold.fold("x", ledger.read_stream(f"reseed/{named(step, kind)}")[:-1], origin=ledger.origin)
    if kind in RULES[step]:
        fold.require(before, "moved", kind)
    else:
        with pytest.raises(Refused, match=f"is {step}; it cannot be moved now"):
            fold.require(before, "moved", kind)


def test_the_page_shows_the_table() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reseed.md").read_text(encoding="utf-8")
    shown = page.split("| state | event | next state | if |\n|---|---|---|---|\n")[1].split("\n\n")[0]
    ways = transitions.TRANSITIONS.items()
    assert shown.splitlines() == [f"| {step} | `{kind}` | {way.to} | {way.rule} |" for (step, kind), way in ways]


# ---------------------------------------------------------------- guards


def test_an_approval_of_another_plan_is_passed_over(ledger: Ledger) -> None:
    record(ledger, "r", plan("r"), approval("r", digest=OTHER_DIGEST))
    state = agreed(ledger, "r")
    assert (state.step, state.approvers) == ("planned", [])
    assert [one.why for one in state.passed_over] == ["it names another plan"]


def test_it_is_approved_once_as_many_distinct_people_as_the_plan_needs_have_approved(ledger: Ledger) -> None:
    record(ledger, "r", plan("r", needed=2), approval("r"), approval("r"), approval("r", "bob", OTHER_DIGEST))
    assert agreed(ledger, "r").step == "planned"
    record(ledger, "r", approval("r", "bob"))
    state = agreed(ledger, "r")
    assert (state.step, state.approvers, len(state.passed_over)) == ("approved", ["ann", "bob"], 2)


def test_a_preparation_of_another_plan_is_passed_over_in_every_state_that_takes_one(ledger: Ledger) -> None:
    record(ledger, "r", plan("r"), approval("r"), preparation("r", OTHER_DIGEST))
    assert agreed(ledger, "r").step == "approved"
    record(ledger, "r", preparation("r"), preparation("r", OTHER_DIGEST, "/theirs"))
    record(ledger, "r", of_type("r", START), preparation("r", OTHER_DIGEST, "/theirs"))
    state = agreed(ledger, "r")
    assert state.prepared is not None
    assert (state.step, state.prepared.folder, len(state.passed_over)) == ("uploading", "/none", 3)


def test_what_was_never_uploaded_cannot_be_superseded_not_even_cleaned_up(ledger: Ledger) -> None:
    record(ledger, "r", *(of_type("r", kind) for kind in (PLAN, ABORT, CLEAN, SUPERSEDE)))
    state = agreed(ledger, "r")
    assert (state.step, state.standing.superseded_by) == ("cleaned up", None)
    assert "supersede" not in fold.next_step(state)


def test_seeds_are_superseded_once(ledger: Ledger) -> None:
    record(ledger, "r", *(of_type("r", kind) for kind in (*WAYS["superseded"], CLEAN, SUPERSEDE)))
    state = agreed(ledger, "r")
    assert (state.step, len(state.passed_over)) == ("cleaned up", 1)
    assert fold.next_step(state) == "nothing; see perfledger reseed show corrective"


def test_seeds_uploaded_after_an_abort_elsewhere_do_not_revive_it_and_can_be_taken_back(ledger: Ledger) -> None:
    record(ledger, "r", *(of_type("r", kind) for kind in (*WAYS["uploading"], ABORT, UPLOAD)))
    state = agreed(ledger, "r")
    assert (state.step, state.uploaded) == ("aborted", None)
    assert "in the dataset all the same" in state.passed_over[0].why
    assert fold.next_step(state).startswith("perfledger reseed supersede r")
    fold.require(state, "superseded", SUPERSEDE)
    record(ledger, "r", of_type("r", SUPERSEDE))
    assert agreed(ledger, "r").step == "superseded"


def test_a_second_plan_of_the_same_reseed_is_passed_over(ledger: Ledger) -> None:
    record(ledger, "r", plan("r"), plan("r", digest=OTHER_DIGEST), approval("r", digest=OTHER_DIGEST))
    state = agreed(ledger, "r")
    assert (state.step, state.needed().digest, len(state.passed_over)) == ("planned", steps.DIGEST, 2)


# ---------------------------------------------------------------- any history


def events(kinds: list[str]) -> list[Event]:
    """Give events the envelopes a log would, without one."""
    import msgspec

    from ledger.event import encode_payload

    def one(position: int, payload: EventPayload) -> Event:
        return Event(
            actor="tester@example.org",
            causation_id=None,
            correlation_id=None,
            event_id=f"event-{position}",
            git_sha=None,
            hash="",
            host="h",
            key=None,
            origin="o",
            payload=msgspec.Raw(encode_payload(payload)),
            position=position,
            prev_hash="",
            recorded_at=f"2026-01-01T00:00:00.{position:06d}Z",
            schema_version=1,
            stream="reseed/r",
            type=type(payload).__name__,
            version=position,
        )

    return [one(position, of_type("r", kind)) for position, kind in enumerate(kinds, 1)]


@given(st.sampled_from(sorted(WAYS)), st.lists(st.sampled_from(TYPES), max_size=12))
def test_whatever_follows_an_ended_reseed_stays_ended_and_every_event_counts_or_is_reported(
    start: str, kinds: list[str]
) -> None:
    history = events([*WAYS[start], *kinds])
    states = [fold.fold("r", history[:length], origin="o") for length in range(len(history) + 1)]
    for before, after in itertools.pairwise(states):
        if before.step in ENDED:
            assert after.step in ENDED
        if before.uploaded is not None:
            assert after.uploaded == before.uploaded, "what is recorded as done stays done"
        if len(after.passed_over) > len(before.passed_over):
            kept = ("plan", "approvals", "prepared", "uploaded", "backup_folder", "step")
            assert all(getattr(before, name) == getattr(after, name) for name in kept), "it changed nothing"
            assert after.passed_over[-1].event_id == after.events[-1][3]


def test_the_relation_is_that_of_the_moment_and_a_replay_gives_the_same(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "o", origin="o", actor="tester@example.org")
    moments = []
    for kind in (PLAN, APPROVE, PREPARE, ABORT, UPLOAD, CLEAN):
        record(ledger, "r", of_type("r", kind))
        moments.append(ledger.head().position)
    wanted = ["planned", "approved", "prepared", "aborted", "aborted", "cleaned up"]
    for position, step in zip(moments, wanted, strict=True):
        when = f"{position}@o"
        recorded = ledger.event(when).recorded_at
        assert in_sql(ledger, as_of=when)["r"]["step"] == step
        assert in_sql(ledger, as_recorded=recorded)["r"]["step"] == step
    assert in_sql(ledger, as_of="1@o") == {}
    ledger.seal()
    with State.open(ledger) as live, State.from_log(ledger) as replayed:
        assert live.rows("FROM reseeds") == replayed.rows("FROM reseeds") == [in_sql(ledger)["r"]]
