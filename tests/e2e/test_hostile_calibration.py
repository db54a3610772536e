"""A calibration whose test kills its keeper, or also its runner: what is recorded, and `--resume` after it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PERFLEDGER, clean_env
from tests.e2e.tiny_project import git, make
from tests.gpu_runner.hostile import KNOWS, living, noted

RUN = ("calibrate", "run", "--model", "tiny", "--stages", "slow_speed", "--repeats", "1", "--output-dir", "runs/a")
LIGHT = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

# Obeys a variable, so that the repository is the same afterwards.
HOSTILE = f"""{KNOWS}

if os.environ.get("HOSTILE"):
    daemons()
    if os.environ["HOSTILE"] == "both":
        os.kill(KEEPER, signal.SIGSTOP)
        os.kill(RUNNER, signal.SIGKILL)
    os.kill(KEEPER, signal.SIGKILL)
    time.sleep(600)
"""


@pytest.fixture
def project(tmp_path: Path, cli: Any) -> Path:
    root = make(tmp_path / "project")
    test = root / "tests" / "test_slow_ci.py"
    test.write_text(test.read_text().replace("\ndef measure(", HOSTILE + "\n\ndef measure(", 1))
    git(root, "commit", "-qam", "hostile")
    cli("init", root, code=0)
    return root


def ask(cli: Any, project: Path, query: str) -> list[dict[str, Any]]:
    document = cli("sql", query, "--json", cwd=project, code=0).json
    rows: list[dict[str, Any]] = document["rows"] if isinstance(document, dict) else document
    return rows


def test_a_test_that_kills_its_keeper_is_recorded_and_the_session_resumes(
    project: Path, tmp_path: Path, cli: Any
) -> None:
    pids = {"PIDS": str(tmp_path / "pids"), **LIGHT}
    cli(*RUN, "--skip-precheck", "--max-passes", "1", cwd=project, env={"HOSTILE": "keeper", **pids})
    assert len(noted(tmp_path)) == 4 * 3 and living(noted(tmp_path)) == []
    (seen,) = ask(cli, project, "SELECT status, environment_problems FROM observations")
    assert seen["status"] == "failed" and "the keeper of the repeat was killed" in seen["environment_problems"]
    done = cli(*RUN, "--skip-precheck", "--resume", "--json", cwd=project, env=pids, code=0)
    assert done.json["ready"] is True
    cli("verify", cwd=project, code=0)
    cli("replay", "--check", cwd=project, code=0)


def test_a_test_that_kills_runner_and_keeper_leaves_what_resume_ends_by_its_marker(
    project: Path, tmp_path: Path, cli: Any
) -> None:
    pids = {"PIDS": str(tmp_path / "pids"), **LIGHT}
    run = [PERFLEDGER, *RUN, "--skip-precheck"]
    killed = subprocess.run(run, cwd=project, env=clean_env(HOSTILE="both", **pids), stdout=subprocess.DEVNULL)
    assert killed.returncode == -9
    marked, wiped, forked = noted(tmp_path)
    done = cli(*RUN, "--skip-precheck", "--resume", "--json", cwd=project, env=pids, code=0)
    assert done.json["ready"] is True and f"ended what a killed runner left behind: pid {marked}" in done.err
    assert living([marked, wiped, forked]) == [wiped, forked], "a wiped environment names nobody"
    for pid in (wiped, forked):
        subprocess.run(["kill", str(pid)], check=True)
    (started,) = ask(cli, project, "SELECT payload FROM events WHERE type = 'RepeatInterrupted'")
    payload = json.loads(started["payload"]) if isinstance(started["payload"], str) else started["payload"]
    assert payload["killed_pids"] == [marked] and payload["stuck_pids"] == []
