"""Many real processes on one ledger: killed, stopped, racing, with a clock that jumps. Nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import Damaged
from ledger.event import Event
from ledger.identifiers import parse_time
from ledger.ledger import Ledger
from ledger.verification.walk import verify
from projections.state.state import State
from tests.conftest import clean_env
from tests.ledger.samples import result

ROOT = Path(__file__).parents[3]


def start(*arguments: Any, **options: Any) -> subprocess.Popen[str]:
    """Start one of the processes of `work.py`."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.fire.work", *map(str, arguments)],
        env=clean_env(PYTHONPATH=str(ROOT)),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def finish(process: subprocess.Popen[str], *, code: int = 0) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    return out


def whole(ledger: Ledger) -> list[Event]:
    """Return all events of a ledger that must verify, gapless and none doubled."""
    report = verify(ledger)
    assert report.ok, report.findings
    events = list(ledger.read())
    assert [e.position for e in events] == list(range(1, len(events) + 1))
    assert len({e.event_id for e in events}) == len(events)
    return events


def lines(text: str) -> list[tuple[int, str]]:
    """Return (position, event id) of the acknowledgements printed. The last line may be cut by a kill."""
    return [(int(p), i) for p, _, i in (line.partition(" ") for line in text.split("\n")[:-1])]


class Chaos:
    """Four writers in loops of appends and seals, each killed and started again at random moments."""

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self.ledger = ledger
        self.random = random.Random(seed)
        self.told: list[tuple[int, str]] = []
        self.kills = 0
        self.guard = threading.Lock()

    def one_writer(self, number: int, kills: int) -> None:
        for n in range(kills):
            pid = os.fork()
            if pid == 0:
                self.child(f"writer{number}.{n}")
            time.sleep(self.random.uniform(0.005, 0.12))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            with self.guard:
                self.kills += 1

    def child(self, name: str) -> None:
        """The writer itself: acknowledgements go to a file, one write each, so that a kill cuts at most the last."""
        try:
            ledger = Ledger.open(self.ledger.path, actor=name)
            fd = os.open(self.ledger.path.parent / f"told-{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for n in range(10**9):
                batch = [result(n, target=f"{name}@GPU") for _ in range(1 + n % 3)]
                receipts = ledger.append(batch)
                os.write(fd, "".join(f"{r.position} {r.event_id}\n" for r in receipts).encode())
                if n % 4 == 3:
                    ledger.seal()
                    ledger.evidence.put(f"{name} {n}".encode())
        finally:
            os._exit(1)

    def run(self, kills: int) -> None:
        writers = [threading.Thread(target=self.one_writer, args=(number, kills // 4)) for number in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        for path in self.ledger.path.parent.glob("told-*"):
            self.told += lines(path.read_text())


@pytest.mark.parametrize("kills", [320, pytest.param(2_000, marks=pytest.mark.soak)])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_four_processes_killed_at_random_moments_lose_and_double_nothing(ledger: Ledger, kills: int) -> None:
    import pyarrow.parquet  # noqa: F401  (before the forks: a kill should hit the work, not the import)

    chaos = Chaos(ledger, seed=kills)
    chaos.run(kills)
    events = {e.position: e.event_id for e in whole(Ledger.open(ledger.path))}
    assert chaos.kills == kills
    assert len(chaos.told) > kills // 2, "the writers got something done"
    assert [t for t in chaos.told if events.get(t[0]) != t[1]] == []
    receipt = Ledger.open(ledger.path, actor="after").append([result(1)])[0]
    assert receipt.position == len(events) + 1


@pytest.mark.parametrize("seconds", [8, pytest.param(20, marks=pytest.mark.soak)])
def test_eight_writers_and_eight_readers_none_fails_and_no_event_is_lost(ledger: Ledger, seconds: int) -> None:
    writers = [start("write_until", ledger.path, f"writer{n}", seconds) for n in range(8)]
    readers = [start("read_until", ledger.path, f"reader{n}", seconds) for n in range(8)]
    told = [pair for process in writers for pair in lines(finish(process))]
    assert all(int(finish(process)) >= 1 for process in readers)
    events = {e.position: e.event_id for e in whole(ledger)}
    assert len(told) == len(events) - 1, "the genesis event is the only other one"
    assert all(events[position] == event_id for position, event_id in told)


@pytest.fixture
def holder(ledger: Ledger) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the log's lock."""
    process = start("hold", ledger.path)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_stopped_writer_keeps_the_others_waiting_with_a_message_and_they_go_on_when_it_dies(
    ledger: Ledger, holder: subprocess.Popen[str]
) -> None:
    os.kill(holder.pid, signal.SIGSTOP)
    waiting = start("write", ledger.path, "patient", 1)
    assert waiting.stderr is not None
    assert "waiting for another process to write" in waiting.stderr.readline()
    assert waiting.poll() is None
    assert [e.position for e in ledger.read()] == [1], "readers do not wait"
    os.kill(holder.pid, signal.SIGKILL)
    out, _ = waiting.communicate(timeout=120)
    assert lines(out)[0][0] == 2
    whole(ledger)


def test_two_processes_sealing_at_once_make_one_segment_and_no_error(ledger: Ledger) -> None:
    for n in range(3):
        ledger.append([result(n)])
        for process in [start("seal", ledger.path) for _ in range(2)]:
            finish(process)
    assert [i.first for i in ledger.segments()] == [1, 3, 4]
    whole(ledger)


def test_a_clock_that_jumps_back_never_makes_time_run_backwards(ledger: Ledger) -> None:
    """An hour back, then forward again: recorded times still follow positions, and the log verifies."""
    now = parse_time("2030-01-01T12:00:00Z")
    hour = 3_600_000_000
    finish(start("at_times", ledger.path, now, now - hour, now - hour, now + 5))
    events = whole(ledger)
    times = [parse_time(e.recorded_at) for e in events[1:]]
    assert times == [now, now + 1, now + 2, now + 5]


def test_a_projector_killed_at_random_moments_skips_nothing(ledger: Ledger) -> None:
    """However often it dies half-way, the projections after it are those of a rebuild."""
    chance = random.Random(7)
    for n in range(12):
        ledger.append([result(n * 10 + i) for i in range(10)])
        ledger.seal()
        process = start("project", ledger.path)
        time.sleep(chance.uniform(0.1, 1.2))
        process.kill()
        process.communicate()
    with State.open(Ledger.open(ledger.path)) as live, State.from_log(ledger) as rebuilt:
        assert live.export() == rebuilt.export()
        assert live.rows("SELECT count(*) AS n FROM fact_result")[0]["n"] == 120


def test_a_folder_copied_while_it_is_written_is_a_whole_ledger_of_a_moment_or_says_that_it_is_not(
    ledger: Ledger, tmp_path: Path
) -> None:
    """Never silently less: a copy that misses what its own mark knows refuses to go on, with exit code 7."""
    writer = start("write", ledger.path, "busy", 400)
    outcomes = []
    for n in range(12):
        before = [e.event_id for e in ledger.read()]
        target = tmp_path / f"copy{n}"
        shutil.copytree(
            ledger.path,
            target / ".perfledger",
            ignore=shutil.ignore_patterns(".tmp-*"),
            ignore_dangling_symlinks=True,
            copy_function=copy_if_there,
        )
        copy = Ledger.open(target, actor="copy")
        try:
            copy.append([result(1)])
            there = [e.event_id for e in copy.read()]
            assert verify(copy).ok
            assert before == there[: len(before)], "a copy that opens holds all that was there when it began"
            outcomes.append("whole")
        except Damaged as error:
            assert error.exit_code == 7
            outcomes.append("says so")
        time.sleep(0.1)
    finish(writer)
    assert len(outcomes) == 12
    stopped = Ledger.open(shutil.copytree(ledger.path, tmp_path / "quiet" / ".perfledger"), actor="copy")
    assert [e.event_id for e in whole(stopped)] == [e.event_id for e in ledger.read()]


def copy_if_there(source: str, target: str) -> str:
    """Copy like `cp -r`: a file that vanished meanwhile is left out."""
    try:
        return str(shutil.copy2(source, target))
    except FileNotFoundError:
        return target
