"""The six announced writes end exactly once, wherever their process dies: one write, one plan, one settling event.

Processes are real and die by SIGKILL: from a server or a git hook that has just seen the request, or, where nobody
outside can see the step, by their own hand. The places are real too: a Hub and a GitHub API on loopback, a git
repository, files. The rule is the head of `ledger/sync/announced.py`.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.verification.walk import verify
from tests.commands.reseed.world import path_of, record
from tests.hub_server import READ_TOKEN, Fault, HubServer
from tests.ledger.sync.announced_writes import ARRIVED, DONE, WRITES, Write, make
from tests.ledger.sync.dying import ANSWERED, BESIDE, PLANNED, PLANNING, REPLACED, SETTLED, SETTLING

KILLED = -signal.SIGKILL
# the events of the write after the kill: the plan, and what settles it
LEFT = {PLANNING: (0, 0), PLANNED: (1, 0), ARRIVED: (1, 0), DONE: (1, 0), ANSWERED: (1, 0), SETTLING: (1, 0)}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Each write, built when it is first asked for."""
    known: dict[str, Write] = {}
    folder = tmp_path_factory.mktemp("announced")
    with HubServer() as hub:

        def get(name: str) -> Write:
            if name not in known:
                known[name] = make(name, folder, hub)
            known[name].restore()
            return known[name]

        yield get
        for write in known.values():
            if hasattr(write, "close"):
                write.close()


@pytest.fixture
def write(request: pytest.FixtureRequest, built: Any) -> Any:
    """One of the writes, at the moment before it."""
    return built(request.param)


each = pytest.mark.parametrize("write", list(WRITES), indirect=True)


def of(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("write", names, indirect=True)


def counts(write: Write) -> tuple[int, int]:
    """How many plans and settling events there are."""
    types = write.events()
    return types.count(write.plan_type), len(types) - types.count(write.plan_type)


def assert_once(write: Write) -> None:
    """The write is there once, and so are its plan and the event that says so."""
    assert write.written() == 1
    assert write.events() == [write.plan_type, write.settle_types[0]]
    assert verify(write.ledger).ok
    applied = [event.body()["stage"] for event in write.ledger.read(types=["ThresholdApplied"])]
    assert len(applied) == len(set(applied)), "each literal is recorded once"


def assert_put_back(write: Write) -> None:
    """Every file has its old bytes, and as many recorded writes as recorded ways back."""
    assert write.written() == 0 and counts(write) == (1, 1)
    (finished,) = write.ledger.read(types=["ThresholdApplyFinished"])
    assert finished.body()["outcome"] == "rolled_back"
    applied = [event.body() for event in write.ledger.read(types=["ThresholdApplied"])]
    assert {(b["old"], b["new"], b["direction"]) for b in applied if b["undone"]} <= {(0.75, 0.5, "loosens")}
    undone = sorted(body["stage"] for body in applied if body["undone"])
    assert undone == sorted(body["stage"] for body in applied if not body["undone"])


@each
@pytest.mark.parametrize("step", [PLANNING, PLANNED, ARRIVED, DONE, ANSWERED, SETTLING])
def test_a_write_killed_at_a_step_is_carried_on_by_the_next_run_and_is_there_once(write: Any, step: str) -> None:
    code = write.run_killed_there(step) if step in (ARRIVED, DONE) else write.run_dying(step)
    assert code == KILLED
    assert counts(write) == LEFT[step]
    if step in (PLANNING, PLANNED):
        assert write.written() == 0, "nothing is written before its plan is an event"
    write.run(code=0)
    assert_once(write)
    write.run(code=write.at_rest)
    assert_once(write)


@each
def test_a_write_killed_right_after_it_was_settled_is_left_alone(write: Any) -> None:
    assert write.run_dying(SETTLED) == KILLED
    assert_once(write)
    write.run(code=write.at_rest)
    assert_once(write)


@each
def test_a_write_whose_runs_are_killed_one_after_the_other_is_there_once(write: Any) -> None:
    """Resuming is cut off at every step as well."""
    for step in (PLANNING, PLANNED, ANSWERED, SETTLING):
        write.run_dying(step)
    write.run(code=0)
    assert_once(write)


@of("push", "record upload", "reseed upload", "comment", "pull request commit")
def test_a_write_whose_answer_is_lost_is_looked_for_and_not_repeated(write: Any) -> None:
    write.lose_the_answer()
    write.run(code=0)
    assert_once(write)


@of("push", "record upload", "reseed upload")
def test_a_write_to_the_hub_that_was_cut_off_and_cannot_be_looked_for_is_exit_6(write: Any) -> None:
    assert write.run_killed_there(DONE) == KILLED
    write.hub.faults.append(Fault("*", "status", 401, times=10**6))
    for _ in range(2):
        done = write.run(code=6)
        assert "may or may not have landed" in done.stderr
        assert "looks before it sends" in done.stderr
        assert counts(write) == (1, 0), "it stays announced"
    write.hub.faults.clear()
    write.run(code=0)
    assert_once(write)


@of("comment")
def test_a_comment_that_was_cut_off_and_cannot_be_looked_for_is_exit_6(write: Any) -> None:
    assert write.run_killed_there(DONE) == KILLED
    write.server.list_faults.append("404")
    assert "may or may not have landed" in write.run(code=6).stdout
    assert counts(write) == (1, 0)
    write.run(code=0)
    assert_once(write)


@of("push", "record upload", "comment")
def test_a_write_that_is_there_and_cannot_be_recorded_is_exit_6_and_found_by_the_next_run(write: Any) -> None:
    """The disk has no room left once the place has carried the write out."""
    assert write.run_killed_there(DONE, strike=leave_no_room) == 6
    assert counts(write) == (1, 0)
    write.run(code=0)
    assert_once(write)


def leave_no_room(process: subprocess.Popen[bytes]) -> None:
    """From now on, no file that the process writes may grow."""
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, 1))


@of("apply")
def test_an_apply_that_was_cut_off_is_finished_before_anything_else(write: Any, monkeypatch: Any) -> None:
    assert write.run_dying(REPLACED) == KILLED
    assert sorted(write.texts()) == [*["X_MIN_ACCURACY = 0.5\n"] * 2, "X_MIN_ACCURACY = 0.75\n"]
    with monkeypatch.context() as patch:
        patch.setattr(write, "command", lambda: ["calibrate", "apply", "run", "--mode", "report"])
        assert "is not finished" in write.run(code=1).stderr, "a report writes nothing, not even this"
    with monkeypatch.context() as patch:
        patch.setattr(write, "command", lambda: ["calibrate", "apply", "run", "--mode", "full", "--json"])
        done = json.loads(write.run(code=0).stdout)  # it was confirmed when it was announced
    assert (done["outcome"], done["interrupted"], len(done["changes"])) == ("applied", True, write.files)
    assert_once(write)


@of("apply")
def test_an_apply_killed_with_new_bytes_beside_a_file_leaves_nothing_of_them(write: Any) -> None:
    assert write.run_dying(BESIDE) == KILLED
    hidden = write.folder / "repo/tests"
    assert len(list(hidden.glob(".*"))) == 1 and write.texts().count("X_MIN_ACCURACY = 0.5\n") == write.files
    write.run(code=0)
    assert_once(write)
    assert list(hidden.glob(".*")) == []


class TestTheWorldChangedWhileNobodyWrote:
    """Killed before the write, and the next run finds what it must not write over."""

    @of("push")
    def test_another_copy_of_the_origin_pushed(self, write: Any, tmp_path: Path) -> None:
        assert write.run_dying(PLANNED) == KILLED
        other = type(write)(tmp_path / "copy", write.hub)  # the same origin, with other events
        other.run(code=0)
        write.run(code=3)
        assert counts(write) == (1, 0)

    @of("record upload")
    def test_another_tool_took_a_name(self, write: Any) -> None:
        assert write.run_dying(PLANNED) == KILLED
        write.repo.commit("by another tool", {"m/1.json": write.hub.blob("m/1.json", b"{}")})
        assert "other content" in write.run(code=3).stderr
        assert write.events() == ["UploadStarted", "UploadRefused"]
        assert write.repo.files() == {"m/1.json": b"{}"}
        write.run(code=write.at_rest)

    @of("reseed upload")
    def test_the_baseline_moved(self, write: Any) -> None:
        assert write.run_dying(PLANNED) == KILLED
        late = record(9, 29.9)
        write.repo.commit("somebody", {path_of(late): write.hub.blob(path_of(late), json.dumps(late).encode())})
        assert "moved since the plan" in write.run(code=3).stderr
        assert counts(write) == (1, 0) and not any("_reseed_" in path for path in write.repo.files())

    @of("comment")
    def test_another_comment_is_wanted_now(self, write: Any) -> None:
        """The first is looked for and ended before the next is announced."""
        assert write.run_dying(PLANNED) == KILLED
        write.observe(write.ledger, "[feat] Another title")
        write.run(code=0)
        assert write.events() == ["PublishPlanned", "PublishFailed", "PublishPlanned", "Published"]
        assert write.written() == 1

    @of("comment")
    def test_another_comment_is_wanted_now_and_the_first_had_landed(self, write: Any) -> None:
        assert write.run_killed_there(DONE) == KILLED
        write.observe(write.ledger, "[feat] Another title")
        write.run(code=0)
        assert write.events() == ["PublishPlanned", "Published"] * 2 and write.written() == 2

    @of("apply")
    def test_a_file_was_edited(self, write: Any) -> None:
        assert write.run_dying(PLANNED) == KILLED
        write.project.file("tests/test_x1_ci.py", "X_MIN_ACCURACY = 0.9\n")
        assert "tests/test_x1_ci.py changed since the apply" in write.run(code=3).stderr
        assert counts(write) == (1, 0) and write.texts().count("X_MIN_ACCURACY = 0.5\n") == 2
        write.project.file("tests/test_x1_ci.py", "X_MIN_ACCURACY = 0.5\n")
        write.run(code=0)
        assert_once(write)

    @of("pull request commit")
    def test_somebody_committed_the_files_by_hand(self, write: Any) -> None:
        """No other commit is taken for the one that was announced."""
        assert write.run_dying(PLANNED) == KILLED
        write.project.git("commit", "-q", "-a", "-m", "Calibrate m thresholds")
        assert "no uncommitted change" in write.run(code=2).stderr
        assert counts(write) == (1, 0) and write.written() == 1

    @of("pull request commit")
    def test_the_commit_was_made_and_its_branch_was_left(self, write: Any) -> None:
        assert write.run_killed_there(DONE) == KILLED
        made = write.project.git("rev-parse", "HEAD")
        write.project.git("checkout", "-q", "-b", "other", "HEAD~1")
        write.run(code=0)
        (event,) = write.ledger.read(types=["PullRequestCommitted"])
        assert event.body()["git_sha"] == made and counts(write) == (1, 1)


class TestRefused:
    """The place says no: nothing is there, what can be said of it is an event, and a later run may write it once."""

    @of("comment")
    def test_a_comment_that_is_refused_is_settled_as_not_done(self, write: Any) -> None:
        write.server.faults.append("422")
        write.run(code=4)
        assert write.events() == ["PublishPlanned", "PublishFailed"] and write.written() == 0
        (failed,) = write.ledger.read(types=["PublishFailed"])
        assert failed.body()["http_status"] == 422 and "answered 422" in failed.body()["reason"]
        write.run(code=0)
        assert write.events() == ["PublishPlanned", "PublishFailed", "PublishPlanned", "Published"]
        assert write.written() == 1

    @of("push", "record upload", "reseed upload")
    def test_a_commit_that_is_refused_is_sent_later_under_its_plan(self, write: Any) -> None:
        write.hub.faults.append(Fault("POST */commit/*", "status", 403, times=1))
        assert "no permission" in write.run(code=4).stderr
        assert counts(write) == (1, 0) and write.written() == 0
        write.run(code=0)
        assert_once(write)

    @of("push")
    def test_a_token_that_may_not_write_announces_and_later_ends_it(self, write: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr(write, "env", lambda: {**write.hub.env(token=READ_TOKEN)})
        write.run(code=4)
        monkeypatch.undo()
        write.run(code=0)
        assert_once(write)

    @of("apply")
    def test_an_apply_that_was_cut_off_and_is_put_back_says_so(self, write: Any, monkeypatch: Any) -> None:
        assert write.run_killed_there(DONE) == KILLED
        command = [*write.command(), "--rollback"]
        monkeypatch.setattr(write, "command", lambda: command)
        write.run(code=0)
        assert_put_back(write)
        assert "nothing to put back" in write.run(code=0).stdout

    @of("apply")
    def test_putting_back_that_was_cut_off_is_carried_on_whatever_is_asked(self, write: Any, monkeypatch: Any) -> None:
        assert write.run_dying(SETTLING) == KILLED
        command = [*write.command(), "--rollback"]
        with monkeypatch.context() as patch:
            patch.setattr(write, "command", lambda: command)
            assert write.run_dying(SETTLING) == KILLED
        write.run(code=0)
        assert_put_back(write)

    @of("pull request commit")
    def test_a_commit_that_a_hook_refuses_is_made_later_under_its_plan(self, write: Any) -> None:
        write.hook("pre-commit", "exit 1")
        write.run(code=2)
        assert counts(write) == (1, 0) and write.written() == 0
        (write.folder / "repo/.git/hooks/pre-commit").unlink()
        write.run(code=0)
        assert_once(write)
