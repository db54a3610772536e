"""Everything a repeat starts ends with it, and nothing else does. Real processes, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpu_runner import processes
from gpu_runner.launch import Attended, Launch
from gpu_runner.subreaper import is_subreaper
from tests.gpu_runner.machine import Sleeper
from tests.waiting import until

# A test's server, daemonised in three ways: its own session, double fork, and with its environment wiped.
FAMILY = """
import os, subprocess, sys, time
wait = [sys.executable, "-c", "import time; time.sleep(600)", "family"]
pids = [subprocess.Popen(wait, start_new_session=True).pid, subprocess.Popen(wait, start_new_session=True, env={}).pid]
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
    os.write(write, str(pid).encode())
    os._exit(0)
os.wait()
pids.append(int(os.read(read, 20)))
print("pids", *pids, flush=True)
"""


def alive(pid: int) -> bool:
    return processes.read(pid) is not None


def started(log: Path) -> list[int]:
    """The pids a FAMILY printed."""
    until(lambda: log.exists() and b"pids" in log.read_bytes() and log.read_bytes().endswith(b"\n"))
    return [int(pid) for pid in log.read_text().split("pids")[1].split()]


@pytest.fixture
def attend(tmp_path: Path) -> Iterator[Callable[..., Attended]]:
    made: list[Attended] = []

    def start(code: str, *, repeat_id: str = "unit-1-1-abc", grace_s: float = 5.0) -> Attended:
        made.append(
            Attended(
                Launch([sys.executable, "-c", code], tmp_path, dict(os.environ), tmp_path / "log"),
                repeat_id=repeat_id,
                grace_s=grace_s,
            )
        )
        return made[-1]

    yield start
    for running in made:
        running.stop()


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_exit_code_is_the_commands_own(attend: Callable[..., Attended], code: int) -> None:
    running = attend(f"raise SystemExit({code})")
    assert running.wait(120)
    running.settle()
    assert running.exit_code == code and running.ended == [] and not running.lost


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM])
def test_death_by_signal_is_a_negative_code(attend: Callable[..., Attended], signum: int) -> None:
    running = attend(f"import os; os.kill(os.getpid(), {int(signum)})")
    assert running.wait(120) and running.exit_code == -signum


def test_what_the_command_left_running_is_ended_however_it_was_daemonised(
    attend: Callable[..., Attended], tmp_path: Path
) -> None:
    running = attend(FAMILY)
    assert running.wait(120) and running.exit_code == 0
    running.settle()
    pids = started(tmp_path / "log")
    assert set(pids) <= set(running.ended) and not any(map(alive, pids)) and running.stuck == []


def test_a_look_alike_that_is_not_of_the_repeat_survives(
    attend: Callable[..., Attended], sleeper: Sleeper, tmp_path: Path
) -> None:
    """Same program, same arguments, same user, same folder, even a server's name: but not started by us."""
    names = ["family", "sgl-omni serve", "pytest tests/test_model", f"{tmp_path}/basetemp_run1"]
    innocent = [sleeper.start(name) for name in names]
    running = attend(FAMILY + "time.sleep(600)")
    pids = started(tmp_path / "log")
    running.stop()
    assert not any(map(alive, pids))
    assert all(process.poll() is None for process in innocent)


def test_a_process_that_ignores_term_gets_kill_after_its_grace(attend: Callable[..., Attended], tmp_path: Path) -> None:
    running = attend(
        "import signal, time; signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))\n"
        "print('up', flush=True)\nwhile True: time.sleep(600)",
        grace_s=0.4,
    )
    until(lambda: b"up" in (tmp_path / "log").read_bytes())
    running.stop()
    assert b"asked" in (tmp_path / "log").read_bytes(), "TERM comes first"
    assert running.exit_code == -signal.SIGKILL


def test_a_family_that_keeps_forking_is_ended_too(attend: Callable[..., Attended], tmp_path: Path) -> None:
    """Each generation starts the next one when it is told to end."""
    fork = (
        "import os, signal, time\n"
        "def again(*_):\n    if os.fork() == 0: os.setsid()\n    else: os._exit(0)\n"
        "signal.signal(signal.SIGTERM, again)\nprint('up', flush=True)\nwhile True: time.sleep(0.05)"
    )
    running = attend(fork, repeat_id="forking", grace_s=0.3)
    until(lambda: b"up" in (tmp_path / "log").read_bytes())
    running.stop()
    assert running.stuck == [] and processes.marked("forking") == set()


@pytest.mark.parametrize("number", range(5))
def test_a_chain_whose_parents_die_all_the_time_does_not_slip_through_the_look(
    attend: Callable[..., Attended], number: int
) -> None:
    """Each link forks the next one and dies at once: no walk over /proc is a snapshot of that."""
    chain = (
        "import os, time\n"
        "def chain():\n"
        "    while True:\n"
        "        if os.fork(): os._exit(0)\n"
        "        if os.getsid(0) != os.getpid(): os.setsid()\n"
        "        time.sleep(0.001)\n"
        "for _ in range(3):\n"
        "    if os.fork() == 0: chain()\n"
        "time.sleep(0.1)"
    )
    running = attend(chain, repeat_id=f"chain-{number}", grace_s=0.2)
    assert running.wait(120)
    running.settle()
    assert running.stuck == [] and not running.lost
    for _ in range(20):
        assert processes.marked(f"chain-{number}") == set()


RUNNER = """
import os, sys
from pathlib import Path
from gpu_runner.launch import Attended, Launch
from gpu_runner.subreaper import is_subreaper
launch = Launch([sys.executable, "-c", sys.argv[1]], Path("."), dict(os.environ), Path("log"))
running = Attended(launch, repeat_id=sys.argv[2], grace_s=0.5)
running.wait(600)
"""


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_of_a_repeat_outlives_a_runner_that_was_killed(tmp_path: Path, signum: int) -> None:
    repeat_id = f"orphans-{signum}"
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, FAMILY + "time.sleep(600)", repeat_id], cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    pids = started(tmp_path / "log")
    assert len(processes.marked(repeat_id)) >= 4
    runner.send_signal(signum)
    runner.wait()
    until(lambda: not any(map(alive, pids)) and not processes.marked(repeat_id))


def test_when_the_keeper_itself_is_killed_what_is_left_comes_to_the_runner_and_is_ended(
    attend: Callable[..., Attended], tmp_path: Path
) -> None:
    running = attend(FAMILY + "time.sleep(600)", repeat_id="lost-keeper", grace_s=0.5)
    session, wiped, forked = started(tmp_path / "log")
    assert not running.wait(0.1) and running.pid and alive(running.pid)
    keeper = processes.read(running.pid)
    assert keeper is not None
    os.kill(keeper.parent, signal.SIGKILL)
    assert running.wait(120) and running.lost and running.exit_code is None
    running.settle()
    # the command dies with its keeper; what it had daemonised is a child of this process now
    until(lambda: not alive(int(running.pid or 0)))
    assert not any(map(alive, (session, wiped, forked))) and processes.marked("lost-keeper") == set()
    assert {session, wiped, forked} <= set(running.ended) and not is_subreaper()


def test_a_process_is_only_signalled_while_it_is_the_one_that_was_meant(sleeper: Sleeper) -> None:
    """Pids are reused: the same number with another start time is somebody else."""
    child = sleeper.start()
    real = processes.read(child.pid)
    assert real is not None
    reused = processes.Process(real.pid, real.parent, real.start - 1, real.state)
    assert processes.send(reused, signal.SIGKILL) is False and child.poll() is None
    assert processes.send(real, signal.SIGKILL) is True
    child.wait()
    assert processes.send(real, signal.SIGKILL) is False


def test_where_a_sandbox_has_no_pidfds_the_identity_is_still_looked_at_first(
    sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(pid: int, flags: int = 0) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refused)
    child = sleeper.start()
    real = processes.read(child.pid)
    assert real is not None
    assert not processes.send(processes.Process(real.pid, real.parent, real.start + 1, "S"), signal.SIGKILL)
    assert child.poll() is None
    assert processes.end(lambda: {real} if processes.read(child.pid) else set(), 5.0) == ({child.pid}, set())
    assert child.wait() == -signal.SIGTERM


def test_two_repeats_side_by_side_end_only_their_own(attend: Callable[..., Attended], tmp_path: Path) -> None:
    first = attend(FAMILY + "time.sleep(600)", repeat_id="first")
    one = started(tmp_path / "log")
    (tmp_path / "log").rename(tmp_path / "log-of-first")
    second = attend(FAMILY + "time.sleep(600)", repeat_id="second")
    two = started(tmp_path / "log")
    first.stop()
    assert not any(map(alive, one)) and all(map(alive, two))
    assert second.owns(two[0]) and not second.owns(os.getpid())
