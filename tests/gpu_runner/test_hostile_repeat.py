"""A repeat is somebody else's code under the same user: what it does to keeper and runner, and what then is left.

The rows of the table in docs/guarantees.md. Real processes, real signals.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpu_runner import processes
from gpu_runner.launch import Attended, Launch
from gpu_runner.request import Limits
from tests.gpu_runner.hostile import KNOWS, living, noted
from tests.gpu_runner.machine import Sleeper
from tests.gpu_runner.repeats import WRITES, Bench
from tests.waiting import until

TEST = textwrap.dedent(WRITES) + KNOWS
RETRY = Limits(poll_s=0.05, term_grace_s=0.5, attempts=2)


@pytest.fixture
def attend(tmp_path: Path) -> Iterator[Callable[[str], Attended]]:
    """Start code under a keeper; it does what KNOWS says, and ends with the test."""
    made: list[Attended] = []

    def start(code: str) -> Attended:
        command = [sys.executable, "-c", KNOWS + textwrap.dedent(code)]
        launch = Launch(command, tmp_path, dict(os.environ), tmp_path / "log")
        made.append(Attended(launch, repeat_id="hostile", grace_s=0.5))
        return made[-1]

    yield start
    for running in made:
        running.stop()


def test_a_keeper_that_is_stopped_is_continued_and_it_is_said(bench: Bench) -> None:
    seen = bench.run(TEST + "def test_it(tmp_path):\n    measured(tmp_path)\n    os.kill(KEEPER, signal.SIGSTOP)\n")
    assert seen.attempt_history[0].kind == "passed" and seen.stages[0].metrics == {"throughput_qps": 17.5}
    (said,) = seen.environment_problems
    assert "the keeper of the repeat was stopped" in said and "continued by the runner" in said


def test_a_repeat_that_kills_its_keeper_is_retried_and_leaves_nothing(bench: Bench) -> None:
    """Daemons with the marker, with a wiped environment, and double-forked with a wiped environment."""
    kills = "def test_it():\n    daemons()\n    os.kill(KEEPER, signal.SIGKILL)\n    time.sleep(600)\n"
    seen = bench.run(TEST + kills, limits=RETRY)
    assert [attempt.outcome for attempt in seen.attempt_history] == ["infrastructure (keeper lost)"] * 2
    assert "the process that keeps the repeat was killed" in seen.attempt_history[0].cause
    assert any("the keeper of the repeat was killed" in said for said in seen.environment_problems)
    pids = noted(bench.root)
    assert len(pids) == 6 and living(pids) == []


def test_a_keeper_killed_after_the_measurement_costs_neither_it_nor_a_process(
    attend: Callable[[str], Attended], tmp_path: Path
) -> None:
    """A daemon waits until the command has ended, then kills the keeper that is about to end it."""
    running = attend("""
        daemons()
        if os.fork() == 0:
            os.setsid()
            note(os.getpid())
            signal.signal(signal.SIGTERM, lambda *_: os.kill(KEEPER, signal.SIGKILL))
            while True: time.sleep(600)
        while len(open(PIDS).readlines()) < 4: time.sleep(0.01)
        time.sleep(0.2)
    """)
    assert running.wait(120) and running.exit_code == 0
    running.settle()
    assert running.lost and running.exit_code == 0 and len(noted(tmp_path)) == 4 and living(noted(tmp_path)) == []


def test_a_command_that_starts_itself_anew_with_an_empty_environment_is_ended(
    attend: Callable[[str], Attended], tmp_path: Path
) -> None:
    running = attend("""
        code = "import os, time; open('pids', 'a').write(f'{os.getpid()}\\\\n'); time.sleep(600)"
        os.execve(sys.executable, [sys.executable, "-c", code], {})
    """)
    until(lambda: noted(tmp_path))
    assert processes.read(noted(tmp_path)[0]) and running.pid in (None, noted(tmp_path)[0])
    running.stop()
    assert living(noted(tmp_path)) == [] and running.exit_code == -signal.SIGTERM


@pytest.mark.parametrize("kill", [False, True])
def test_a_process_that_copied_the_marker_survives_while_the_runner_lives(
    attend: Callable[[str], Attended], sleeper: Sleeper, tmp_path: Path, kill: bool
) -> None:
    """What descends from the keeper is of the repeat, so the marker is not asked: with the keeper killed neither."""
    marked = {**os.environ, processes.MARKER: "hostile"}
    wait = [sys.executable, "-c", "import time; time.sleep(600)"]
    before = subprocess.Popen(wait, env=marked, start_new_session=True)
    running = attend("daemons(); time.sleep(600)")
    innocent = [before, subprocess.Popen(wait, env=marked), subprocess.Popen(wait, env=marked, start_new_session=True)]
    until(lambda: len(noted(tmp_path)) == 3)
    assert not running.wait(0.1) and running.pid
    command = processes.read(running.pid)
    assert command
    if kill:
        os.kill(command.parent, signal.SIGKILL)
        assert running.wait(120) and running.lost
    running.stop()
    assert living(noted(tmp_path)) == [] and all(process.poll() is None for process in innocent)
    for process in innocent:
        process.kill()
        process.wait()


def test_the_socket_of_the_keeper_cannot_be_opened_through_proc(attend: Callable[[str], Attended]) -> None:
    """The end of a pipe can: kept open by a daemon, it would hide the death of the keeper, or of the runner."""
    running = attend("""
        for number in (0, 1):
            try:
                os.open(f"/proc/{KEEPER}/fd/{number}", os.O_RDWR)
            except OSError as error:
                assert error.errno == 6, error
            else:
                raise SystemExit(9)
    """)
    assert running.wait(120) and running.exit_code == 0


STEALS = """
import ctypes, socket
libc = ctypes.CDLL(None, use_errno=True)
stolen = libc.syscall(438, os.pidfd_open(KEEPER), 1, 0)  # pidfd_getfd
if stolen < 0:
    raise SystemExit(9)
end = socket.socket(fileno=stolen)
end.sendall(b'nonsense\\n[1]\\n{"ended": 1, "stuck": "x", "exit": "0", "pid": []}\\n')
"""


def test_a_process_that_got_hold_of_the_socket_hides_no_death_and_breaks_nothing(
    attend: Callable[[str], Attended], tmp_path: Path
) -> None:
    running = attend(
        STEALS
        + """
if os.fork() == 0:
    os.setsid()
    note(os.getpid())
    os.kill(KEEPER, signal.SIGKILL)
    time.sleep(600)
time.sleep(600)
"""
    )
    assert running.wait(120)
    if running.exit_code == 9:
        pytest.skip("this kernel lets no process take a descriptor of another")
    running.settle()
    assert running.lost and running.exit_code is None and running.stuck == []
    assert len(noted(tmp_path)) == 1 and living(noted(tmp_path)) == []


TRACES = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
tracer = os.fork()
if tracer == 0:
    os.setsid()
    if libc.ptrace(16, KEEPER, None, None):  # PTRACE_ATTACH
        os._exit(9)
    os.waitpid(KEEPER, 0x40000000)  # __WALL
    note(os.getpid())
    time.sleep(600)
while not os.path.exists(PIDS):
    if os.waitpid(tracer, os.WNOHANG)[0]: raise SystemExit(9)
    time.sleep(0.01)
"""


def test_a_keeper_that_is_held_by_a_debugger_is_given_up_after_its_time(
    attend: Callable[[str], Attended], tmp_path: Path
) -> None:
    running = attend(TRACES)
    running._patience_s = 1.0
    until(lambda: running.wait(0.1))
    if running.exit_code == 9:
        pytest.skip("this kernel lets no process trace another")
    running.settle()
    assert running.lost and running.exit_code is None
    assert len(noted(tmp_path)) == 1 and living(noted(tmp_path)) == [] and running.stuck == []


def test_many_processes_are_ended_with_and_without_a_keeper(attend: Callable[[str], Attended], tmp_path: Path) -> None:
    running = attend("""
        for _ in range(200):
            if os.fork() == 0:
                os.setsid()
                if os.fork(): os._exit(0)
                note(os.getpid())
                time.sleep(600)
        while len(open(PIDS).readlines()) < 200: time.sleep(0.01)
        os.kill(KEEPER, signal.SIGKILL)
        time.sleep(600)
    """)
    assert running.wait(120)
    running.settle()
    assert len(noted(tmp_path)) == 200 and living(noted(tmp_path)) == [] and running.stuck == []
    assert set(noted(tmp_path)) <= set(running.ended)


RUNNER = """
import sys
from pathlib import Path
from gpu_runner.repeat import *
root = Path(sys.argv[1])
seen = run_repeat(RepeatRequest(
    unit="test_it", repeat=1, python=sys.executable, test="test_it.py", cwd=root, basetemp=root / "run/bt",
    log=root / "run/run1.log", emit=lambda _: None, env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    limits=Limits(poll_s=0.05, term_grace_s=0.5), stages=(StageSpec(key="a", metrics={}),)))
print(seen.attempt_history[0].kind, *seen.environment_problems, flush=True)
"""


def run_apart(bench: Bench, code: str, **how: object) -> subprocess.Popen[str]:
    """Start a runner of its own for this test file."""
    bench.write(TEST + textwrap.dedent(code))
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-c", RUNNER, str(bench.root)], stdout=subprocess.PIPE, text=True, **how
    )


@pytest.mark.parametrize("whom", ["os.kill(RUNNER, signal.SIGSTOP)", "os.killpg(os.getpgid(RUNNER), signal.SIGSTOP)"])
def test_a_runner_that_is_stopped_by_its_repeat_is_continued_and_it_is_said(bench: Bench, whom: str) -> None:
    runner = run_apart(bench, f"def test_it():\n    daemons()\n    {whom}\n", start_new_session=True)
    out, _ = runner.communicate(timeout=120)
    assert runner.returncode == 0 and out.startswith("passed the runner was stopped"), out
    assert "continued by the keeper of the repeat" in out and living(noted(bench.root)) == []


def test_a_runner_that_its_user_stops_stays_stopped_until_its_user_continues_it(bench: Bench) -> None:
    """Ctrl-Z is SIGTSTP, which the runner hears and tells its keeper. The repeat goes on meanwhile, and is ended."""
    runner = run_apart(bench, "def test_it():\n    daemons()\n    time.sleep(0.5)\n", process_group=0)
    until(lambda: len(noted(bench.root)) == 3)
    runner.send_signal(signal.SIGTSTP)
    until(lambda: (now := processes.read(runner.pid)) and now.stopped)
    until(lambda: not living(noted(bench.root)))
    time.sleep(2.5)  # the keeper has looked again by now
    now = processes.read(runner.pid)
    assert now is not None and now.stopped
    runner.send_signal(signal.SIGCONT)
    out, _ = runner.communicate(timeout=120)
    assert runner.returncode == 0 and out == "passed\n"
