"""A calibration on GPUs through the installed command: a server that stays, a kill, a resume, the questions after."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PERFLEDGER, clean_env
from tests.e2e.tiny_project import git, make
from tests.gpu_runner.conftest import machine, nvml_dir, sleeper
from tests.gpu_runner.machine import Machine, Sleeper
from tests.waiting import until

__all__ = ["machine", "nvml_dir", "sleeper"]

# What the tests of a model do: start a server in a session of its own, which keeps its memory when they are over.
SERVER = """
import subprocess, sys
def measure_on_gpu():
    server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "tiny-server"],
                              start_new_session=True)
    with open(os.environ["FAKE_NVML_STATE"], "a") as state:
        state.write(f"gpu {os.environ['CUDA_VISIBLE_DEVICES']} proc {server.pid} 30000\\n")
"""


@pytest.fixture
def project(tmp_path: Path, cli: Any) -> Path:
    root = make(tmp_path / "project")
    stages = root / "models" / "tiny" / "stages.yaml"
    stages.write_text(stages.read_text().replace("gpus: 0", "gpus: 1"))
    test = root / "tests" / "test_slow_ci.py"
    code = test.read_text().replace("\n\ndef measure(", f"\n{SERVER}\n\ndef measure(")
    test.write_text(code.replace("    repeat = int(", "    measure_on_gpu()\n    repeat = int("))
    git(root, "commit", "-qam", "on a GPU")
    cli("init", root, code=0)
    return root


def held(machine: Machine) -> set[int]:
    """The living servers that hold GPU memory."""
    pids = {int(line.split()[3]) for line in machine.state.read_text().splitlines() if " proc " in line}
    return {pid for pid in pids if Path(f"/proc/{pid}").exists()}


def test_a_gpu_run_killed_in_the_middle_leaves_nothing_and_resumes_to_strict_ready(
    project: Path, machine: Machine, sleeper: Sleeper, cli: Any, tmp_path: Path
) -> None:
    innocent = sleeper.start("tiny-server")
    machine.say(f"gpu 0 proc {innocent.pid} 500")  # somebody else works on GPU 0: it is neither used nor touched
    env = {**machine.env, "PERFLEDGER_GPU_LOCK_DIR": str(tmp_path / "locks")}
    run = (
        "calibrate",
        "run",
        "--model",
        "tiny",
        "--stages",
        "slow_speed",
        "--repeats",
        "1",
        "--output-dir",
        "runs/g",
        "--skip-precheck",
    )
    first = subprocess.Popen(
        [PERFLEDGER, *run],
        cwd=project,
        env=clean_env(TINY_SLEEP="60", **env),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: held(machine) - {innocent.pid})
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    until(lambda: held(machine) == {innocent.pid})
    assert cli("gpu", "wait", "--settle", "0", "--timeout", "5", env=env, code=0).out == "1\n"

    done = cli(*run, "--resume", "--json", cwd=project, env=env, code=0)
    assert done.json["ready"] is True and held(machine) == {innocent.pid} and innocent.poll() is None
    assert "using GPU(s) [1] (CUDA_VISIBLE_DEVICES=1)" in (project / "runs" / "g" / "run.log").read_text()

    def ask(query: str) -> Any:
        document = cli("sql", query, "--json", cwd=project, code=0).json
        return document["rows"] if isinstance(document, dict) else document

    (seen,) = ask("SELECT stage, repeat, status, gpu_uuids, suspect, environment_problems, counted FROM observations")
    assert seen["gpu_uuids"] == '["GPU-b"]' and seen["counted"] is True and seen["status"] == "ok"
    assert seen["suspect"] is None and seen["environment_problems"] is None, "its own server is no stranger"
    (rows,) = ask("SELECT count(*) AS n, max(used_mib) AS peak, min(gpu_uuid) AS gpu FROM telemetry")
    assert rows["n"] >= 1 and rows["gpu"] == "GPU-b"
    names = {event["type"] for event in ask("SELECT DISTINCT type FROM events")}
    assert {"GpusPicked", "RepeatStarted", "EnvironmentSeen", "TelemetryRecorded", "RepeatObserved"} <= names
    assert cli("replay", "--check", cwd=project, code=0) and cli("verify", cwd=project, code=0)


def test_a_gpu_that_never_gets_free_is_exit_4_and_nothing_is_observed(
    project: Path, machine: Machine, cli: Any, tmp_path: Path
) -> None:
    machine.forget("gpu 1 ")
    machine.say("gpu 0 error * 15")
    env = {**machine.env, "PERFLEDGER_GPU_LOCK_DIR": str(tmp_path / "locks")}
    done = cli(
        "calibrate",
        "run",
        "--model",
        "tiny",
        "--stages",
        "slow_speed",
        "--repeats",
        "1",
        "--output-dir",
        "runs/g",
        "--skip-precheck",
        cwd=project,
        env=env,
        code=4,
    )
    assert "need 1 GPU(s), but only 0 can be used here" in done.err
    lines = cli("events", "list", "--json", cwd=project, code=0).out.splitlines()
    types = {json.loads(line)["type"] for line in lines}
    assert "CalibrationPlanned" in types and not {"RepeatStarted", "RepeatObserved", "CalibrationHalted"} & types


def test_a_health_reason_there_is_not_is_refused_before_anything_is_planned(project: Path, cli: Any) -> None:
    done = cli(
        "calibrate",
        "run",
        "--model",
        "tiny",
        "--output-dir",
        "runs/g",
        "--skip-precheck",
        "--reject-when",
        "throttling,heat",
        cwd=project,
        code=2,
    )
    assert "--reject-when heat: no such health reason" in done.err and "foreign_process" in done.err
    assert not (project / "runs" / "g" / "plan.json").exists()
