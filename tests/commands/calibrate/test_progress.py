"""How far a run is, and when it will probably end."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from commands.calibrate.progress import Progress, progress
from ledger.ledger import Ledger
from tests.conftest import PERFLEDGER, clean_env
from tests.e2e.tiny_project import make
from tests.projections.calibration.story import Story, share, stage


def test_a_units_own_durations_say_how_long_the_rest_takes(ledger: Ledger) -> None:
    story = Story(ledger, stage("a"), stage("b", test="tests/test_b_ci.py"), repeats=5)
    assert progress(story.session) == Progress(0, 10, None)
    for repeat, seconds in ((1, 100.0), (2, 120.0), (3, 90.0)):
        story.observe(repeat, share("a"), duration_s=seconds)
    assert progress(story.session) == Progress(3, 10, 2 * 100.0 + 5 * 100.0), "b was not measured: the usual time"
    story.observe(1, share("b"), unit="test_b_ci", duration_s=10.0)
    assert progress(story.session) == Progress(4, 10, 2 * 100.0 + 4 * 10.0)


def test_stages_of_one_unit_are_one_repeat_and_partial_ones_run_again(ledger: Ledger) -> None:
    story = Story(ledger, stage("a"), stage("b"), repeats=2)
    story.observe(1, share("a"), share("b"), duration_s=30.0)
    story.observe(2, share("a"), share("b", ok=9), duration_s=30.0)
    assert progress(story.session) == Progress(1, 2, 30.0)


@pytest.mark.parametrize(
    ("seen", "line"),
    [
        (Progress(0, 10, None), "[--------------------] 0/10 repeats"),
        (Progress(6, 10, 1440.0), "[============--------] 6/10 repeats, about 24 min left, until 14:05"),
        (Progress(9, 10, 42.0), "[==================--] 9/10 repeats, about 42 s left, until 13:41"),
        (Progress(1, 10, 40_000.0), "[==------------------] 1/10 repeats, about 11 h 6 min left, until Sun 00:47"),
        (Progress(10, 10, 0.0), "[====================] 10/10 repeats"),
    ],
)
def test_the_line_says_what_is_done_and_when_it_ends(seen: Progress, line: str) -> None:
    assert seen.line(datetime(2026, 6, 27, 13, 41, tzinfo=UTC)) == line


def test_a_terminal_shows_it_and_a_log_does_not(tmp_path: Path, cli: Any) -> None:
    project = make(tmp_path / "project")
    cli("init", project, code=0)
    run = ["calibrate", "run", "--model", "tiny", "--stages", "slow_speed", "--repeats", "2", "--skip-precheck"]
    control, terminal = pty.openpty()
    running = subprocess.Popen(
        [PERFLEDGER, *run, "--output-dir", "runs/a"],
        cwd=project,
        env=clean_env(),
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if select.select([control], [], [], 0.2)[0]:
            try:
                shown += os.read(control, 4096)
            except OSError:
                break
    os.close(control)
    assert running.wait(10) == 0
    assert b"[==========----------] 1/2 repeats, about " in shown and b"2/2 repeats" in shown
    assert "repeats, about" not in (project / "runs" / "a" / "run.log").read_text()
    assert "repeats, about" not in cli(*run, "--output-dir", "runs/b", cwd=project, code=0).err
