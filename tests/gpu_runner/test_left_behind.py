"""Runner and keeper are both gone: what the marker finds at `--resume`, what it must not touch, what it cannot know."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_runner import processes
from gpu_runner.gate import survey
from gpu_runner.nvml import Nvml
from gpu_runner.processes import MARKER, Process, left_behind
from gpu_runner.request import GatePolicy
from tests.gpu_runner.hostile import KNOWS, living, noted, orphan
from tests.gpu_runner.machine import Machine
from tests.waiting import until

WAIT = "import time; time.sleep(600)"
RUN = uuid.uuid4().hex[:8]


def marker(name: str) -> str:
    """Return a marker that no process of another run of these tests has."""
    return f"{name}-{RUN}"


@pytest.fixture
def copied() -> Iterator[list[int]]:
    """The pids of processes that a test leaves to be ended after it."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        process = processes.read(pid)
        if process is not None:
            processes.send(process, signal.SIGKILL)


def a_tick_later() -> int:
    """Return a start time that is later than that of every process of now."""
    now = processes.ticks_now()
    return until(lambda: processes.ticks_now() if processes.ticks_now() > now + 1 else 0)


def test_the_clock_of_start_times_is_the_kernels(copied: list[int]) -> None:
    before = processes.ticks_now()
    process = orphan(marker("clock"))
    copied.append(process.pid)
    assert before <= process.start <= processes.ticks_now()


def test_what_carries_the_marker_is_ended_with_all_below_it(copied: list[int], tmp_path: Path) -> None:
    since = processes.ticks_now()
    code = KNOWS + "sleeper(env={}); time.sleep(600)"
    start = f"os.execv(sys.executable, [sys.executable, '-c', {code!r}])"
    parent = f"import os, sys\nif os.fork() == 0:\n    os.setsid()\n    {start}"
    subprocess.run([sys.executable, "-c", parent], env={**os.environ, MARKER: marker("left")}, cwd=tmp_path, check=True)
    until(lambda: noted(tmp_path))
    copied += noted(tmp_path)
    ended, stuck = processes.end_left_behind(marker("left"), since, grace_s=5.0)
    assert set(noted(tmp_path)) < ended and not stuck and living(noted(tmp_path)) == []


def test_a_process_older_than_the_repeat_is_never_of_it(copied: list[int]) -> None:
    since = processes.ticks_now()  # its session may have begun a tick before the process itself
    process = orphan(marker("older"))
    copied.append(process.pid)
    assert left_behind(marker("older"), since) == {process}
    assert left_behind(marker("older"), a_tick_later()) == set()


def test_a_process_in_a_session_older_than_the_repeat_is_never_of_it() -> None:
    """Such as a command in a shell that was open before: no process can join a session."""
    name = marker("shell")
    code = (
        "import os, subprocess, sys; input()\n"
        f"child = subprocess.Popen([sys.executable, '-c', {WAIT!r}], env={{**os.environ, {MARKER!r}: {name!r}}})\n"
        "print(child.pid, flush=True); input(); child.kill(); child.wait()"
    )
    # what starts it is not below this process: those are spared for another reason
    shell = subprocess.Popen(
        ["setsid", "--fork", sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert shell.stdin and shell.stdout and shell.wait(120) == 0
    since = a_tick_later()
    shell.stdin.write("\n")
    shell.stdin.flush()
    child = processes.read(int(shell.stdout.readline()))
    assert child is not None and child.start >= since
    until(lambda: child in processes.marked(name))  # its environment is to be seen a moment after it began
    assert left_behind(name, since) == set() and left_behind(name) == {child}
    shell.communicate("\n")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process of another user")
def test_another_users_process_is_never_of_it(copied: list[int]) -> None:
    code = "print(subprocess.Popen(['sleep', '600'], stdout=2).pid)"  # a program that every user may start
    code = f"import os, subprocess\nif os.fork() == 0:\n    os.setsid()\n    os.setuid(65534)\n    {code}"
    env = {**os.environ, MARKER: marker("other-user")}
    done = subprocess.run([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True, check=True)
    copied.append(int(done.stdout))
    assert [process.pid for process in processes.marked(marker("other-user"))] == copied, (
        "root can read its environment"
    )
    assert left_behind(marker("other-user")) == set()


def test_the_runner_what_it_runs_in_and_what_it_runs_are_never_of_it(tmp_path: Path) -> None:
    """Somebody exported the marker in the shell from which the session is resumed."""
    runner = (
        "import os, subprocess, sys\nfrom gpu_runner import processes\n"
        f"child = subprocess.Popen([sys.executable, '-c', {WAIT!r}], start_new_session=True)\n"
        "found = {process.pid for process in processes.marked('own')}\n"
        "assert {os.getppid(), child.pid} <= found, found\n"
        "print(processes.end_left_behind('own', None, 0.2), child.poll(), flush=True)\nchild.kill(); child.wait()"
    )
    shell = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {runner!r}]))"
    done = subprocess.run(
        [sys.executable, "-c", shell],
        env={**os.environ, MARKER: "own"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert done.returncode == 0 and done.stdout == "(set(), set()) None\n"


def test_a_copy_in_a_new_session_cannot_be_told_from_the_repeat() -> None:
    """The marker is random: whoever copies it into a session that began after the repeat, says to be of it."""
    since = processes.ticks_now()
    process = orphan(marker("copy"))
    assert processes.end_left_behind(marker("copy"), since, grace_s=5.0) == ({process.pid}, set())


RUNNER = """
import os, sys
from pathlib import Path
from gpu_runner.launch import Attended, Launch
launch = Launch([sys.executable, "-c", sys.argv[1]], Path("."), dict(os.environ), Path("log"))
running = Attended(launch, repeat_id=sys.argv[2], grace_s=0.5)
running.wait(600)
"""


def stopped_keeper_and_dead_runner(repeat_id: str, folder: Path) -> Process:
    """Start a repeat with daemons, stop its keeper and kill its runner; return the keeper."""
    code = KNOWS + "daemons(); time.sleep(600)"
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, code, repeat_id], cwd=folder)
    until(lambda: len(noted(folder)) == 3)
    (keeper,) = [process for process in processes.every() if process.parent == runner.pid]
    assert processes.send(keeper, signal.SIGSTOP)
    until(lambda: (now := processes.read(keeper.pid)) and now.stopped)
    runner.kill()
    runner.wait()
    return keeper


def test_a_stopped_keeper_whose_runner_was_killed_is_continued_and_ends_its_repeat(tmp_path: Path) -> None:
    since = processes.ticks_now()
    keeper = stopped_keeper_and_dead_runner("stopped-keeper", tmp_path)
    _, stuck = processes.end_left_behind("stopped-keeper", since, grace_s=60.0)
    assert stuck == set() and living([*noted(tmp_path), keeper.pid]) == [], "also those with a wiped environment"


def test_a_wiped_environment_after_both_were_killed_cannot_be_known_but_by_the_gpu(
    tmp_path: Path, machine: Machine, copied: list[int]
) -> None:
    """It is left. The GPU it holds counts as taken, and is said to be in use by it."""
    since = processes.ticks_now()
    keeper = stopped_keeper_and_dead_runner(marker("both-killed"), tmp_path)
    assert processes.send(keeper, signal.SIGKILL)
    until(lambda: not living([keeper.pid]))
    marked, wiped, forked = copied[:] = noted(tmp_path)
    assert processes.end_left_behind(marker("both-killed"), since, grace_s=5.0)[1] == set()
    assert living([marked, wiped, forked]) == [wiped, forked]
    machine.say(f"gpu 0 proc {wiped} 900")
    with Nvml() as nvml:
        first, second = survey(nvml, GatePolicy(), {})
    assert f"in use by pid {wiped}" in first.reason and second.reason == ""
