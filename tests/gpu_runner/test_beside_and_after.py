"""What runs beside the repeats, and what is found of an earlier runner."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from gpu_runner import hosts, processes
from gpu_runner.background import Background
from gpu_runner.leftovers import end_leftovers
from ledger.events.observations import RepeatInterrupted, RepeatStarted
from tests.gpu_runner.hostile import orphan
from tests.gpu_runner.machine import Sleeper
from tests.waiting import until


def writes(path: Path) -> list[str]:
    """A command that appends an x to a file, as soon as there is a file `go` beside it."""
    wait = f"import os, time\nwhile not os.path.exists({str(path.with_name('go'))!r}): time.sleep(0.01)\n"
    return [sys.executable, "-S", "-c", wait + f"open({str(path)!r}, 'a').write('x')"]


def test_a_nudge_returns_at_once_and_the_command_runs_beside(tmp_path: Path) -> None:
    beside = Background(writes(tmp_path / "out"), tmp_path / "sync.log", env=os.environ)
    beside.nudge()
    assert beside.busy(), "it cannot end before it may, so the nudge did not wait for it"
    (tmp_path / "go").touch()
    until(lambda: not beside.busy())
    assert (tmp_path / "out").read_text() == "x" and beside.close() is True and beside.failures == []


def test_nudges_while_it_runs_start_it_exactly_once_more(tmp_path: Path) -> None:
    with Background(writes(tmp_path / "out"), tmp_path / "sync.log", env=os.environ, patience_s=120.0) as beside:
        for _ in range(5):
            beside.nudge()
        (tmp_path / "go").touch()
        until(lambda: not beside.busy())
    assert (tmp_path / "out").read_text() == "xx"


def test_a_command_that_hangs_or_fails_costs_the_run_nothing(tmp_path: Path) -> None:
    hangs = Background(
        [sys.executable, "-S", "-c", "import time; time.sleep(600)"], tmp_path / "l", env=os.environ, patience_s=0.2
    )
    hangs.nudge()
    began = time.monotonic()
    assert hangs.close() is False and time.monotonic() - began < 60
    slow = Background(writes(tmp_path / "late"), tmp_path / "l", env=os.environ)
    slow.nudge()
    assert slow.leave(0.05) is False and not slow.busy()
    (tmp_path / "go").touch()
    until(lambda: (tmp_path / "late").exists())  # left alone, it came to its end by itself
    fails = Background(
        [sys.executable, "-S", "-c", "print('the Hub is down'); raise SystemExit(4)"], tmp_path / "log", env=os.environ
    )
    fails.nudge()
    until(lambda: not fails.busy())
    assert fails.failures == [4] and "the Hub is down" in (tmp_path / "log").read_text()
    nowhere = Background(["true"], tmp_path / "log" / "not-a-folder" / "x", env=os.environ)
    nowhere.nudge()
    assert nowhere.failures == [127]


def started(repeat_id: str, **changes: Any) -> RepeatStarted:
    values: dict[str, Any] = {
        "unit": "test_tts_ci",
        "repeat": 1,
        "attempt": 1,
        "stages": ["a"],
        "repeat_id": repeat_id,
        "host": os.uname().nodename,
        "boot_id": hosts.boot_id(),
        "log": "/l",
        "basetemp": "/b",
        "command": [],
    }
    return RepeatStarted(**{**values, **changes})


def test_what_a_dead_runner_left_is_ended_and_only_that(sleeper: Sleeper) -> None:
    left, other = orphan("left-1"), orphan("left-2")
    innocent = sleeper.start("left-1")
    elsewhere = started("left-2", host="another-host", repeat=2)
    before_reboot = started("left-2", boot_id="0" * 36, repeat=3)
    events = end_leftovers([started("left-1"), elsewhere, before_reboot], grace_s=1.0)
    assert processes.read(left.pid) is None and processes.read(other.pid) == other and innocent.poll() is None
    assert [(e.repeat_id, e.by, e.killed_pids) for e in events if isinstance(e, RepeatInterrupted)] == [
        ("left-1", "runner died", [left.pid]),
        ("left-2", "runner died", []),
        ("left-2", "runner died", []),
    ]
    processes.send(other, signal.SIGKILL)
