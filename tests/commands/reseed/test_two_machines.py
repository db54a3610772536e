"""A reseed that two machines work on: what is learned late revives nothing, and both say the same everywhere."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands.reseed.work.recording import record as record_step
from ledger import identifiers
from ledger.errors import Conflict
from ledger.event import EventPayload
from ledger.ledger import Ledger
from projections.reseed import fold
from tests.commands.reseed.world import World, kill_at, planned
from tests.conftest import Result
from tests.ledger.sync.samples import do_pull, do_push
from tests.projections.reseed.steps import agreed, approval, in_sql, of_type, plan, preparation, record

Step = tuple[str, str]
SYNC: Step = ("", "sync")
STARTED = [("a", "ReseedPlanned"), SYNC]
APPROVED = [("a", "ReseedPlanned"), ("a", "ReseedApproved"), SYNC]
PREPARED = [*APPROVED[:2], ("a", "RecordsPrepared"), SYNC]
UPLOADING = [*PREPARED[:3], ("a", "ReseedUploadStarted"), SYNC]


def payload(kind: str) -> EventPayload:
    """An event of the reseed `r`, whose plan is what its digest says."""
    bare = plan("r")
    digest = fold.plan_digest(bare)
    if kind == "ReseedPlanned":
        return msgspec.structs.replace(bare, digest=digest)
    if kind == "ReseedApproved":
        return approval("r", digest=digest)
    return preparation("r", digest=digest) if kind == "RecordsPrepared" else of_type("r", kind)


class Pair:
    """Two ledgers and the folder through which they share."""

    def __init__(self, folder: Path) -> None:
        self.url = f"file://{folder}/shared"
        (folder / "shared").mkdir()
        self.of = {name: Ledger.create(folder / name, origin=name, actor=f"{name}@example.org") for name in "ab"}

    def give(self, name: str) -> None:
        """Let one machine share what it recorded, and the other learn it."""
        do_push(self.of[name], self.url)
        do_pull(self.of["b" if name == "a" else "a"], self.url)

    def play(self, story: Sequence[Step]) -> None:
        """Record the steps in this order, each on its machine."""
        for name, kind in story:
            if kind == "sync":
                self.give("a")
                self.give("b")
            else:
                record(self.of[name], "r", payload(kind))


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


# a title; the steps in recorded order, the last learned late; the step that everyone sees; how many were passed over
STORIES: list[tuple[str, list[Step], str, int]] = [
    ("approved after the abort", [*STARTED, ("a", "ReseedAborted"), ("b", "ReseedApproved")], "aborted", 1),
    ("approved before the abort", [*STARTED, ("b", "ReseedApproved"), ("a", "ReseedAborted")], "aborted", 0),
    ("prepared after the abort", [*APPROVED, ("a", "ReseedAborted"), ("b", "RecordsPrepared")], "aborted", 1),
    ("begun after the abort", [*PREPARED, ("a", "ReseedAborted"), ("b", "ReseedUploadStarted")], "aborted", 1),
    ("uploaded after the abort", [*UPLOADING, ("a", "ReseedAborted"), ("b", "ReseedUploaded")], "aborted", 1),
    ("aborted after the upload", [*UPLOADING, ("a", "ReseedUploaded"), ("b", "ReseedAborted")], "uploaded", 1),
    ("approved after the upload", [*UPLOADING, ("a", "ReseedUploaded"), ("b", "ReseedApproved")], "uploaded", 1),
    ("prepared after the upload", [*UPLOADING, ("a", "ReseedUploaded"), ("b", "RecordsPrepared")], "uploaded", 1),
    ("uploaded twice", [*UPLOADING, ("a", "ReseedUploaded"), ("b", "ReseedUploaded")], "uploaded", 1),
    (
        "prepared after the clean-up",
        [*UPLOADING, ("a", "ReseedUploaded"), ("a", "ReseedCleanedUp"), ("b", "RecordsPrepared")],
        "cleaned up",
        1,
    ),
    ("approved elsewhere", [*STARTED, ("b", "ReseedApproved")], "approved", 0),
]


@pytest.mark.parametrize(("title", "story", "step", "passed"), STORIES, ids=[story[0] for story in STORIES])
def test_both_machines_and_every_way_of_asking_say_the_same_step(
    pair: Pair, in_process: Callable[..., Result], title: str, story: list[Step], step: str, passed: int
) -> None:
    pair.play([*story, SYNC])
    for name, ledger in pair.of.items():

        def asked(*args: Any, at: Path = ledger.path.parent) -> Any:
            return in_process(*args, cwd=at, code=0).json

        shown = asked("reseed", "show", "r", "--json")
        assert shown["step"] == step, (title, name)
        assert len(shown["passed_over"]) == passed
        assert [row["step"] for row in asked("reseed", "list", "--json")] == [step]
        rows = asked("sql", "SELECT step, passed_over FROM reseeds", "--format", "json")
        assert rows == [{"step": step, "passed_over": passed}]
        assert asked("reseed", "run", "--resume", "r", "--dry-run", "--json")["step"] == step
        text = in_process("reseed", "show", "r", cwd=ledger.path.parent, code=0).out
        assert text.count("passed over: ") == passed


def test_what_was_learned_late_is_not_known_before_and_counts_from_when_it_was_recorded(pair: Pair) -> None:
    pair.play([*STARTED, ("a", "ReseedAborted"), ("b", "ReseedApproved")])
    ours, theirs = pair.of["a"], pair.of["b"]
    before = f"{ours.head().position}@a"
    aborted_at = ours.event(before).recorded_at
    assert in_sql(theirs)["r"]["step"] == "approved", "it does not know better yet"
    pair.play([SYNC])
    assert [in_sql(ours, as_of=moment)["r"]["passed_over"] for moment in (before, f"{ours.head().position}@a")] == [
        0,
        1,
    ]
    assert in_sql(theirs)["r"]["step"] == "aborted"
    assert in_sql(theirs, as_recorded=aborted_at)["r"]["passed_over"] == 0


KINDS = ["ReseedApproved", "RecordsPrepared", "ReseedUploadStarted", "ReseedUploaded", "ReseedAborted"]
HISTORIES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("ab"), st.sampled_from([*KINDS, "ReseedCleanedUp", "ReseedSuperseded"])),
        st.tuples(st.sampled_from("ab"), st.just("give")),
    ),
    max_size=9,
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(HISTORIES)
def test_the_step_does_not_depend_on_the_order_in_which_a_machine_learned_the_events(history: list[Step]) -> None:
    """The same steps recorded on one machine alone give what both say once they know everything."""
    folder = Path(tempfile.mkdtemp(prefix="perfledger-two-machines-"))
    try:
        pair = Pair(folder)
        alone = Ledger.create(folder / "alone", origin="alone", actor="alone@example.org")
        pair.play(STARTED)
        record(alone, "r", payload("ReseedPlanned"))
        for name, kind in history:
            if kind == "give":
                pair.give(name)
                continue
            pair.play([(name, kind)])
            record(alone, "r", payload(kind))
        pair.play([SYNC])
        wanted = agreed(alone, "r")
        for ledger in pair.of.values():
            found = agreed(ledger, "r")
            assert found.step == wanted.step
            assert [one.type for one in found.passed_over] == [one.type for one in wanted.passed_over]
            assert [one.why for one in found.passed_over] == [one.why for one in wanted.passed_over]
            assert found.uploaded == wanted.uploaded
    finally:
        shutil.rmtree(folder)


def test_a_step_that_turns_out_to_come_second_says_so(pair: Pair) -> None:
    """The machine decided on what it knew; a pull between its look and its step brought an earlier end."""
    pair.play(APPROVED)
    known = fold.load(pair.of["b"], "r")
    pair.play([("a", "ReseedAborted")])
    pair.give("a")
    with pytest.raises(Conflict) as caught:
        record_step(pair.of["b"], known, payload("RecordsPrepared"))
    assert caught.value.code == "reseed_overtaken" and "the reseed was aborted" in caught.value.message
    assert agreed(pair.of["b"], "r").step == "aborted"


def test_no_step_is_taken_while_another_machines_step_is_later_than_this_clock(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be recorded now would come before that step, and would not count."""
    pair.play(STARTED)
    ahead = identifiers.clock() + 3600 * identifiers.MICROSECONDS
    with monkeypatch.context() as patch:
        patch.setattr(identifiers, "clock", lambda: ahead)
        pair.play([("b", "ReseedApproved")])
    pair.give("b")
    state = fold.load(pair.of["a"], "r")
    assert state.step == "approved"
    with pytest.raises(Conflict) as caught:
        fold.require(state, "prepared", "RecordsPrepared")
    assert caught.value.code == "clock_behind"
    monkeypatch.setattr(identifiers, "clock", lambda: ahead + 1_000_000)
    fold.require(state, "prepared", "RecordsPrepared")


def test_a_staging_folder_lost_during_an_upload_is_written_again(world: World) -> None:
    made = planned(world)
    world.approve_and_prepare(made["id"])

    def step() -> Any:
        return world.run("reseed", "show", made["id"], "--json", code=0).json["step"]

    index = 0
    while step() == "prepared":
        index += 1
        kill_at(world.hub, index, "before", lambda: world.start("reseed", "upload", made["id"], "--confirm", "upload"))
    assert step() == "uploading"
    shutil.rmtree(world.folder / "staging")
    assert world.upload(made["id"], code=3).json["error"]["code"] == "prepared_changed"
    world.run("reseed", "prepare", made["id"], code=0)
    assert step() == "uploading"
    world.upload(made["id"], code=0)
    assert len(world.seeds()) == 3


@pytest.mark.parametrize(
    ("learned", "code", "error", "seeds"), [("GET", 1, "reseed_step", 0), ("/commit/", 3, "reseed_overtaken", 3)]
)
def test_an_abort_learned_during_an_upload_stops_it_or_is_told(
    world: World, tmp_path: Path, learned: str, code: int, error: str, seeds: int
) -> None:
    """Learned before the commit is sent, nothing is sent; learned afterwards, the seeds are there and it says so."""
    shared, made = f"file://{tmp_path}/shared", planned(world)
    world.approve_and_prepare(made["id"])
    world.run("sync", "push", "--remote", shared, "--create", code=0)
    ours, other = Ledger.open(world.folder), Ledger.create(tmp_path / "other", origin="other", actor="o@example.org")
    do_pull(other, shared)
    record_step(other, fold.load(other, made["id"]), of_type(made["id"], "ReseedAborted"))
    do_push(other, shared)

    def hook(number: int, moment: str, line: str) -> None:
        del number
        if learned in line and moment == "before" and "other" not in ours.origins():
            do_pull(ours, shared)

    world.hub.hook = hook
    refused = world.upload(made["id"], code=code).json["error"]
    world.hub.hook = None
    assert refused["code"] == error
    assert len(world.seeds()) == seeds
    state = agreed(ours, made["id"])
    assert (state.step, state.standing.landed) == ("aborted", seeds > 0)
    assert fold.next_step(state).startswith("perfledger reseed supersede" if seeds else "nothing;")
