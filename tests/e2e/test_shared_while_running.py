"""Sync while running: new events reach the remote beside the repeats; a remote that is away costs nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpu_runner import hosts, processes
from ledger.event import NewEvent
from ledger.events.observations import RepeatStarted
from tests.e2e.tiny_project import make
from tests.hub_server import HubServer

RUN = (
    "calibrate",
    "run",
    "--model",
    "tiny",
    "--stages",
    "slow_speed",
    "--repeats",
    "2",
    "--output-dir",
    "runs/a",
    "--skip-precheck",
)


@pytest.fixture
def project(tmp_path: Path, cli: Any) -> Path:
    root = make(tmp_path / "project")
    cli("init", root, code=0)
    return root


def test_the_events_of_a_run_are_at_the_remote_when_it_ends(project: Path, tmp_path: Path, cli: Any) -> None:
    pytest.importorskip("obstore")
    env = {"PERFLEDGER_REMOTE": f"file://{tmp_path / 'shared'}"}
    (tmp_path / "shared").mkdir()
    done = cli(*RUN, cwd=project, env=env, code=0)
    assert "not everything is at" not in done.err
    assert (project / "runs" / "a" / "sync.log").exists()
    pulled = tmp_path / "elsewhere"
    cli("init", pulled, code=0)
    cli("sync", "pull", cwd=pulled, env=env, code=0)
    seen = cli("sql", "SELECT count(*) AS n FROM observations", "--json", cwd=pulled, code=0).json
    assert (seen["rows"] if isinstance(seen, dict) else seen) == [{"n": 2}]


def test_a_remote_that_is_away_costs_the_run_nothing(project: Path, cli: Any) -> None:
    env = {
        "PERFLEDGER_REMOTE": "hf://datasets/nobody/nothing",
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_TOKEN": "hf_" + "x" * 34,
    }
    done = cli(*RUN, cwd=project, env=env, code=0)
    assert "report written to" in done.out
    assert "not everything is at hf://datasets/nobody/nothing yet" in done.err
    assert "hf_xxx" not in (project / "runs" / "a" / "sync.log").read_text()
    waits = cli("sync", "status", "--json", cwd=project, env=env).json
    assert waits and cli("verify", cwd=project, code=0)


def test_a_run_after_its_hub_has_ended_says_so_and_asks_nobody_else(project: Path, cli: Any) -> None:
    """Step 9 of the demonstration: the ledger was pushed to a Hub that is gone, and HF_ENDPOINT with it."""
    with HubServer() as hub:
        hub.create("org/perf")
        cli("sync", "push", "--remote", "hf://datasets/org/perf", cwd=project, env=hub.env(), code=0)
    done = cli(*RUN, cwd=project, env={"PERFLEDGER_REMOTE_WAIT": "0"}, code=0)
    assert "not everything is at hf://datasets/org/perf yet" in done.err
    assert f"at {hub.endpoint}" in cli("sync", "status", cwd=project).out
    assert "cannot be reached" in (project / "runs" / "a" / "sync.log").read_text()


def test_without_a_remote_or_with_no_sync_nothing_is_started(project: Path, cli: Any) -> None:
    cli(*RUN, cwd=project, code=0)
    env = {"PERFLEDGER_REMOTE": "hf://datasets/nobody/nothing", "HF_ENDPOINT": "http://127.0.0.1:9"}
    cli(*RUN[:-2], "runs/b", "--skip-precheck", "--no-sync", cwd=project, env=env, code=0)
    assert not list((project / "runs").rglob("sync.log"))


def test_what_a_killed_runner_and_keeper_left_is_ended_at_resume(project: Path, cli: Any) -> None:
    cli(*RUN, cwd=project, code=0)
    stream = "calibration/" + cli("calibrate", "audit", "runs/a", "--json", cwd=project, code=0).json["session"]
    left = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        start_new_session=True,
        env={**os.environ, processes.MARKER: "left-behind"},
    )
    from ledger.ledger import Ledger

    started = RepeatStarted(
        unit="test_slow_ci",
        repeat=3,
        attempt=1,
        stages=["slow_speed"],
        repeat_id="left-behind",
        host=os.uname().nodename,
        boot_id=hosts.boot_id(),
        log="/l",
        basetemp="/b",
        command=[],
    )
    Ledger.open(project).append([NewEvent(stream=stream, payload=started)])
    done = cli(*RUN, "--resume", cwd=project, code=0)
    assert f"ended what a killed runner left behind: pid {left.pid}" in done.err
    assert left.wait(20) != 0
    again = cli(*RUN, "--resume", cwd=project, code=0)
    assert "left behind" not in again.err, "recorded once, done once"
