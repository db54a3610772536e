"""A power cut at any moment: every state the disk may be in then is opened with the real code.

The pass mark: no acknowledged event is lost, no batch is half there, the ledger verifies, the next append works, and
the interrupted command run again records its events once. Each mutation of the protocol must break that.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from ledger import disk
from ledger.errors import PerfledgerError
from ledger.event import Event, NewEvent
from ledger.evidence.store import SMALL_BYTES_MAX
from ledger.ledger import Ledger
from ledger.log import chain, journal, origin_log, segment
from ledger.log.heads import Head, Indexed, Mark, head_after
from ledger.verification.walk import verify
from tests.ledger.fire.crash_model import Disk, Killed, State
from tests.ledger.samples import result


@pytest.fixture
def fast() -> Iterator[Path]:
    """A folder in memory where there is one: the model decides what survives, so real syncs only cost time."""
    shared = Path("/dev/shm")
    folder = tempfile.mkdtemp(prefix="perfledger-", dir=shared if os.access(shared, os.W_OK) else None)
    yield Path(folder)
    shutil.rmtree(folder, ignore_errors=True)


LARGE = b"L" * (SMALL_BYTES_MAX + 1)


def identified(n: int) -> NewEvent:
    """An event whose id the caller chose, so that a retry can be recognised."""
    return result(n, event_id=f"0190a0a0-0000-7000-8000-{n:012d}")


@dataclass(frozen=True)
class Operation:
    """Something a command does. `events` are what it appends, `pieces` the evidence it puts."""

    events: tuple[NewEvent, ...] = ()
    pieces: tuple[bytes, ...] = ()
    seals: bool = False

    def __call__(self, ledger: Ledger) -> None:
        for piece in self.pieces:
            ledger.evidence.put(piece)
        if self.events:
            ledger.append(list(self.events))
        if self.seals:
            ledger.seal()

    @property
    def ids(self) -> list[str]:
        return [str(e.event_id) for e in self.events]


ONE = Operation((identified(1),))
NEXT = Operation((identified(2),))
BATCH = Operation(tuple(map(identified, range(10, 13))))
SEGMENT = Operation(tuple(map(identified, range(20, 26))))  # over SEGMENT_BATCH_EVENTS as patched below
SEAL = Operation(seals=True)
PIECE = Operation(pieces=(b"a record",))
OTHER_PIECE = Operation(pieces=(b"another",))
LARGE_PIECE = Operation(pieces=(LARGE,))

SCENARIOS: dict[str, tuple[list[Operation], Operation]] = {
    "the first append": ([], ONE),
    "an append to a journal": ([ONE], NEXT),
    "a batch": ([ONE], BATCH),
    "a seal": ([ONE, BATCH], SEAL),
    "an append after a seal": ([ONE, SEAL], NEXT),
    "a batch written as a segment": ([ONE], SEGMENT),
    "a batch written as a segment after a seal": ([ONE, SEAL], SEGMENT),
    "the first piece of evidence": ([], PIECE),
    "a second piece of evidence": ([PIECE], OTHER_PIECE),
    "a large piece of evidence": ([], LARGE_PIECE),
    "sealing evidence": ([PIECE, OTHER_PIECE], SEAL),
}


class World:
    """One machine: the ledger on the watched disk, and what its users were told."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        root.mkdir(parents=True)
        Ledger.create(root / ".perfledger", origin="testbed", actor="tester")
        monkeypatch.setattr(origin_log, "SEGMENT_BATCH_EVENTS", 5)
        self.root = root
        self.scratch = root.parent / "after-the-cut"
        self.seen: set[tuple[State, int]] = set()
        self.disk = Disk(root, monkeypatch)
        self.told: list[str] = []
        self.kept: list[str] = []
        self.violations: list[str] = []
        self.states = 0

    def ledger(self) -> Ledger:
        return Ledger.open(self.root / ".perfledger", actor="tester")

    def do(self, operation: Operation) -> None:
        """Run an operation to its end: its caller is told that it is done."""
        operation(self.ledger())
        self.told += operation.ids
        self.kept += [sha256(p).hexdigest() for p in operation.pieces]

    def watch(self, operation: Operation) -> None:
        """Run an operation and look at every state after every step, and after it was acknowledged."""
        self.disk.on_step = lambda call: self.look(f"step {self.disk.step} ({call})", operation)
        self.do(operation)
        self.disk.on_step = lambda call: None
        self.look("after it was acknowledged", operation)

    def look(self, when: str, operation: Operation) -> None:
        if self.violations:
            return
        watching, self.disk.on_step = self.disk.on_step, lambda call: None
        for state in self.disk.states():
            if (state, len(self.told) + len(self.kept)) in self.seen:
                continue
            self.seen.add((state, len(self.told) + len(self.kept)))
            self.states += 1
            wrong = self.judge(state, operation)
            if wrong:
                self.violations.append(f"{when}: {wrong}")
                break  # one is enough
        self.disk.on_step = watching

    def judge(self, state: State, operation: Operation) -> str | None:
        """Open one state with the real code. Returns what is wrong with it."""
        target = state.materialise(self.scratch) / ".perfledger"
        try:
            ledger = Ledger.open(target, actor="tester")
            there = [e.event_id for e in ledger.read()]
            lost = [i for i in self.told if i not in there]
            if lost:
                return f"acknowledged and lost: {lost}"
            ours = [i for i in operation.ids if i in there]
            if ours and ours != operation.ids:
                return f"torn: {ours} of {operation.ids}"
            for digest in self.kept:
                ledger.evidence.get(digest)
            report = verify(ledger)
            if not report.ok:
                return f"verify: {report.findings[0]}"
            ledger.append([result(99)])
            operation(Ledger.open(target, actor="tester"))
            for piece in operation.pieces:
                ledger.evidence.get(sha256(piece).hexdigest())
            after = [e.event_id for e in Ledger.open(target).read()]
            if sorted(i for i in after if i in operation.ids) != sorted(operation.ids):
                return f"after the retry: {after}"
            if not set(there) <= set(after):
                return "the retry lost events"
            report = verify(Ledger.open(target))
            return None if report.ok else f"verify after the retry: {report.findings[0]}"
        except PerfledgerError as error:
            return f"{type(error).__name__}: {error.message}"


def run(fast: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> World:
    """Run a scenario of `SCENARIOS` and look at all its states."""
    before, operation = SCENARIOS[name]
    world = World(fast / "machine", monkeypatch)
    for step in before:
        world.do(step)
    world.watch(operation)
    return world


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_power_cut_at_any_step_loses_nothing_acknowledged_and_tears_nothing(
    fast: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    world = run(fast, monkeypatch, name)
    assert not world.violations
    assert world.states >= 5, "the model looked at something"


KILLED_THEN = {
    "an append killed, then the same append": ([ONE], NEXT, NEXT),
    "the first append killed, then another": ([], ONE, NEXT),
    "a batch killed, then an append": ([ONE], BATCH, NEXT),
    "a seal killed, then an append": ([ONE], SEAL, NEXT),
    "a seal killed, then a seal": ([ONE, BATCH], SEAL, SEAL),
    "a segment killed, then an append": ([ONE, SEAL], SEGMENT, NEXT),
    "a segment killed, then the same again": ([ONE], SEGMENT, SEGMENT),
    "evidence killed, then the same again": ([], PIECE, PIECE),
    "large evidence killed, then the same again": ([], LARGE_PIECE, LARGE_PIECE),
    "a seal of evidence killed, then a piece": ([PIECE], SEAL, OTHER_PIECE),
}


@pytest.mark.parametrize("name", KILLED_THEN)
def test_a_process_killed_at_any_step_then_a_second_one_then_a_power_cut_loses_nothing(fast: Path, name: str) -> None:
    """What the dead process left unsynced is no ground to build on: the second one is told "ok" only for what stays."""
    violations, steps = killed_then(fast, name)
    assert not violations
    assert steps >= 3, "there was something to kill"


def killed_then(
    folder: Path,
    name: str,
    mutate: Callable[[pytest.MonkeyPatch], None] = lambda patch: None,
) -> tuple[list[str], int]:
    """Kill the first operation before each of its steps in turn. Returns violations and the number of steps."""
    before, first, second = KILLED_THEN[name]
    violations: list[str] = []
    for step in range(200):
        with pytest.MonkeyPatch.context() as patch:
            world = World(folder / f"{step}" / "machine", patch)
            mutate(patch)
            for operation in before:
                world.do(operation)
            world.disk.kill_at = world.disk.step + step
            try:
                first(world.ledger())
            except Killed:
                world.disk.restart()
            else:
                return violations, step
            with suppress(PerfledgerError):
                world.do(second)
            world.look(f"killed before step {step}", second)
            violations += world.violations
            shutil.rmtree(world.root.parent)
    raise AssertionError("the first operation never ends")


# --------------------------------------------------------------------- mutations: each must be caught


def no_file_sync(patch: pytest.MonkeyPatch) -> None:
    """Leave out fsync(file) when a new file is written."""
    real = os.fsync

    def fsync(fd: int) -> None:
        if not os.path.isfile(f"/proc/self/fd/{fd}"):
            real(fd)

    patch.setattr(os, "fsync", fsync)


def no_directory_sync(patch: pytest.MonkeyPatch) -> None:
    """Leave out fsync(directory)."""
    patch.setattr(disk, "fsync_directory", lambda path: None)


def told_before_sync(patch: pytest.MonkeyPatch) -> None:
    """Say "ok" before fdatasync."""
    patch.setattr(os, "fdatasync", lambda fd: None)


def link_before_sync(patch: pytest.MonkeyPatch) -> None:
    """Give a file its name before its data is durable."""

    def put_if_absent(target: Path, data: bytes) -> bool:
        temporary = target.parent / f".tmp-{os.getpid()}-{time.monotonic_ns()}"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        disk.write_all(fd, data)
        os.link(temporary, target)
        os.unlink(temporary)
        disk.fsync_directory(target.parent)
        os.fsync(fd)
        os.close(fd)
        return True

    patch.setattr(disk, "put_if_absent", put_if_absent)


def cut_before_link(patch: pytest.MonkeyPatch) -> None:
    """Cut the journal before the segment is linked."""

    def seal(self: origin_log.OriginLog, indexed: object) -> None:
        tail = journal.read(self.journal_path).events
        if tail:
            cut = self._cut_journal([], head=head_after(tail))
            self._link_segment(tail)
            self._index([], cut, replaced=True)

    patch.setattr(origin_log.OriginLog, "_seal", seal)


def mark_before_sync(patch: pytest.MonkeyPatch) -> None:
    """Note a position as acknowledged before it is durable."""
    real = origin_log.OriginLog._write

    def write(self: origin_log.OriginLog, new: list[Event], lines: list[bytes], mark: Indexed, head: Head) -> Indexed:
        Mark(self.folder).write(Indexed(head_after(new), 0, 0, 0))
        return real(self, new, lines, mark, head)

    patch.setattr(origin_log.OriginLog, "_write", write)


def lines_instead_of_a_batch(patch: pytest.MonkeyPatch) -> None:
    """Write a batch as several lines."""
    patch.setattr(chain, "join_batch", lambda items: b"\n".join(items))


MUTATIONS: list[tuple[Callable[[pytest.MonkeyPatch], None], str]] = [
    (no_file_sync, "a seal"),
    (no_file_sync, "a batch written as a segment"),
    (no_file_sync, "a large piece of evidence"),
    (no_file_sync, "sealing evidence"),
    (no_directory_sync, "a seal"),
    (no_directory_sync, "a batch written as a segment"),
    (no_directory_sync, "the first piece of evidence"),
    (no_directory_sync, "a large piece of evidence"),
    (told_before_sync, "an append to a journal"),
    (told_before_sync, "a second piece of evidence"),
    (link_before_sync, "a seal"),
    (link_before_sync, "a batch written as a segment"),
    (cut_before_link, "a seal"),
    (mark_before_sync, "an append to a journal"),
    (lines_instead_of_a_batch, "a batch"),
]


@pytest.mark.parametrize(("mutation", "name"), MUTATIONS, ids=lambda v: getattr(v, "__name__", v))
def test_the_model_catches_every_mutation_of_the_protocol(
    fast: Path, monkeypatch: pytest.MonkeyPatch, mutation: Callable[[pytest.MonkeyPatch], None], name: str
) -> None:
    before, operation = SCENARIOS[name]
    world = World(fast / "machine", monkeypatch)
    for step in before:
        world.do(step)
    mutation(monkeypatch)
    with suppress(PerfledgerError):
        world.watch(operation)
    assert world.violations


def trusting_what_a_dead_process_left(patch: pytest.MonkeyPatch) -> None:
    """Build on what is there without syncing it."""
    patch.setattr(disk, "fsync_file", lambda path: None)
    real = origin_log.OriginLog._reindex

    def reindex(self: origin_log.OriginLog, mark: Indexed | None) -> Indexed:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(disk, "fsync_directory", lambda path: None)
            return real(self, mark)

    patch.setattr(origin_log.OriginLog, "_reindex", reindex)


def test_the_model_catches_a_writer_that_trusts_what_a_dead_one_left(fast: Path) -> None:
    violations, _ = killed_then(fast, "an append killed, then the same append", trusting_what_a_dead_process_left)
    assert violations


def test_a_power_cut_while_a_ledger_is_created_leaves_none_or_a_whole_one(
    fast: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fast / "machine"
    root.mkdir()
    watched = Disk(root, monkeypatch)
    seen: set[State] = set()
    wrong: list[str] = []

    def look(call: str) -> None:
        watched.on_step = lambda call: None
        for state in set(watched.states()) - seen:
            seen.add(state)
            target = state.materialise(fast / "after-the-cut")
            if (target / ".perfledger" / "ledger.toml").exists() and not verify(Ledger.open(target)).ok:
                wrong.append(f"step {watched.step} ({call})")
            elif not (target / ".perfledger" / "ledger.toml").exists():
                again = Ledger.create(target, origin="testbed", actor="tester")
                if [e.type for e in again.read()] != ["LedgerCreated"] or not verify(again).ok:
                    wrong.append(f"created again at step {watched.step} ({call})")
        watched.on_step = look

    watched.on_step = look
    Ledger.create(root, origin="testbed", actor="tester")
    assert not wrong
    assert len(seen) >= 10


def test_a_segment_never_takes_the_place_of_one_that_another_process_has_committed(tmp_path: Path) -> None:
    """link, not rename: a writer that slept through another's seal is told, and overwrites nothing."""
    target = tmp_path / segment.file_name(1)
    assert disk.put_if_absent(target, b"committed")
    assert not disk.put_if_absent(target, b"late")
    assert target.read_bytes() == b"committed"


def test_with_rename_instead_of_link_a_late_writer_would_overwrite_a_committed_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "publish", lambda temporary, target: temporary.replace(target) == target)
    target = tmp_path / segment.file_name(1)
    disk.put_if_absent(target, b"committed")
    disk.put_if_absent(target, b"late")
    assert target.read_bytes() == b"late", "the mutation is what the test above guards against"
