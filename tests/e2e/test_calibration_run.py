"""`calibrate run` with real pytest processes: to the end, again after every kind of interruption."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest

from commands.calibrate.status import gpu_memory
from tests.conftest import PERFLEDGER, clean_env
from tests.e2e.tiny_project import git, make
from tests.waiting import until

EXPECTED = {
    "fast_speed": {k: {"throughput_qps": 10 + k / 10, "latency_mean_s": 1 / (10 + k / 10)} for k in range(1, 6)},
    "fast_accuracy": {k: {"accuracy": (10 + k / 10) / 100} for k in range(1, 6)},
    "slow_speed": {k: {"throughput_qps": 2 + k / 10} for k in range(1, 6)},
}


@pytest.fixture
def project(tmp_path: Path, cli: Any) -> Path:
    root = make(tmp_path / "project")
    cli("init", root, code=0)
    return root


def run_files(run_dir: Path) -> dict[str, dict[int, dict[str, float]]]:
    """What the run directory says was measured."""
    return {
        stage: {k: json.loads((run_dir / stage / f"run{k}.json").read_text())["metrics"] for k in range(1, 6)}
        for stage in EXPECTED
    }


def leftovers(run_dir: Path) -> list[list[str]]:
    """Processes that still measure for a run directory."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if any(str(run_dir) in part for part in line) and any("pytest" in part for part in line):
            found.append(line)
    return found


def test_a_run_measures_audits_and_reports_on_a_cpu(project: Path, cli: Any) -> None:
    run = cli("calibrate", "run", "--model", "tiny", "--output-dir", "runs/a", "--json", cwd=project, code=0)
    assert "precheck OK" in run.err
    assert run.json["strict_ready"] == "3/3" and run.json["ready"] is True
    run_dir = project / "runs" / "a"
    assert run_files(run_dir) == EXPECTED
    sha = git(project, "rev-parse", "HEAD")

    plan = json.loads((run_dir / "plan.json").read_text())
    assert list(plan)[:13] == [
        "model",
        "stages",
        "repeats",
        "timestamp",
        "calibration_started_at",
        "calibration_git_sha",
        "git_sha",
        "git_branch",
        "dirty",
        "venv_python",
        "venv_source",
        "tune_version",
        "stages_yaml",
    ]
    assert plan["calibration_git_sha"] == plan["git_sha"] == sha and plan["dirty"] is False

    one = json.loads((run_dir / "fast_speed" / "run1.json").read_text())
    assert list(one)[:11] == [
        "status",
        "reason",
        "metrics",
        "sample_counts",
        "duration_s",
        "attempts",
        "git_sha",
        "recorded_at",
        "pytest_log",
        "basetemp",
        "pytest_rc",
    ]
    assert (one["status"], one["git_sha"], one["pytest_rc"]) == ("ok", sha, 0)
    assert one["sample_counts"] == {"total": 4, "ok": 4}
    assert "cuda graph: True" in Path(one["pytest_log"]).read_text()
    assert (run_dir / "fast_speed" / "run1.log").read_text().count("#") == 3

    audit = cli("calibrate", "audit", "runs/a", cwd=project, code=0)
    assert audit.out.splitlines() == [
        f"calibration_git_sha: {sha}",
        "GIT PROVENANCE: ok (all artifacts match calibration commit)",
        "fast_speed: ✓✓✓✓✓ (5/5 strict, expected=4)",
        "fast_accuracy: ✓✓✓✓✓ (5/5 strict, expected=4)",
        "slow_speed: ✓✓✓✓✓ (5/5 strict, expected=4)",
        "STRICT READY: 3/3 stages (5 repeats each)",
        "STRICT + GIT: READY",
        "fast_speed: runtime evidence cuda graph: found (5/5 repeats)",
        "fast_speed: runtime evidence fp8: MISSING (0/5 repeats)",
    ]
    report = (run_dir / "report.md").read_text()
    assert "| **Worst-of-5** | — | — | **10.100** | **0.099** |" in report and "{{CONTEXT" not in report
    assert "<svg" in (run_dir / "report.html").read_text()
    assert "completeness after pass 1: 15/15 stage-runs complete" in (run_dir / "run.log").read_text()

    cli("calibrate", "apply", "runs/a", "--mode", "full", "--confirm", "apply thresholds", cwd=project, code=0)
    test = (project / "tests" / "test_fast_ci.py").read_text()
    assert "THROUGHPUT_MIN = 10.1\n" in test and f"ACC_MIN = {10.1 / 100!r}\n" in test
    again = cli("calibrate", "plan-apply", "runs/a", "--json", cwd=project, code=0).json
    assert {m["direction"] for s in again["stages"] for m in s["metrics"]} == {"equal"}
    assert cli("calibrate", "audit", "runs/a", cwd=project, code=0).out == audit.out
    cli("calibrate", "report", "runs/a", cwd=project, code=0)
    section = (run_dir / "report.md").read_text().split("## Applied changes\n")[1].split("\n## ")[0]
    assert "| fast_speed | THROUGHPUT_MIN | 0.5 | 10.1 | tightens (+1920.0%) |" in section
    text = cli("calibrate", "pr-body", "runs/a", "--commit", cwd=project, code=0).out
    assert "tightens (+1920.0%)" in text
    assert git(project, "show", "--name-only", "--format=", "HEAD").split() == [
        "tests/test_fast_ci.py",
        "tests/test_slow_ci.py",
    ]


def test_a_fresh_run_never_touches_a_directory_that_holds_a_plan(project: Path, cli: Any) -> None:
    run_dir = project / "runs" / "a"
    run_dir.mkdir(parents=True)
    (run_dir / "plan.json").write_text("{}")
    (run_dir / "run.log").write_text("what an earlier run said\n")
    refused = cli("calibrate", "run", "--model", "tiny", "--output-dir", "runs/a", cwd=project, code=2)
    assert "exists already" in refused.err and "--resume" in refused.err
    assert (run_dir / "run.log").read_text() == "what an earlier run said\n"
    assert sorted(p.name for p in run_dir.iterdir()) == ["plan.json", "run.log"]


def kill_and_resume(project: Path, kills: int, seed: int) -> list[Path]:
    """Kill runs at random moments, resuming each until it ends; return the run directories.

    A run that ends before the kills are used up is followed by a fresh one.
    """
    chance = random.Random(seed)
    env = clean_env(TINY_SLEEP="0.1")
    run_dirs: list[Path] = []
    while kills > 0:
        run_dirs.append(project / "runs" / f"k{len(run_dirs)}")
        command = [
            PERFLEDGER,
            "calibrate",
            "run",
            "--model",
            "tiny",
            "--output-dir",
            str(run_dirs[-1]),
            "--resume",
            "--skip-precheck",
        ]
        ended = False
        while not ended:
            with subprocess.Popen(
                command, cwd=project, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            ) as process:
                try:
                    _, said = process.communicate(timeout=chance.uniform(0.1, 4.0) if kills > 0 else 200)
                except subprocess.TimeoutExpired:
                    os.kill(process.pid, signal.SIGKILL)
                    kills -= 1
                    continue
            assert process.returncode == 0, said
            ended = True
        assert run_files(run_dirs[-1]) == EXPECTED
    until(lambda: not any(leftovers(d) for d in run_dirs))
    return run_dirs


def test_a_run_killed_at_ten_random_moments_ends_strict_complete_with_the_same_result(project: Path, cli: Any) -> None:
    for run_dir in kill_and_resume(project, kills=10, seed=20260627):
        assert cli("calibrate", "audit", run_dir, "--json", cwd=project, code=0).json["strict_ready"] == "3/3"
    assert cli("verify", cwd=project, code=0).code == 0


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
def test_a_run_killed_at_fifty_random_moments_ends_strict_complete(project: Path, cli: Any, seed: int) -> None:
    for run_dir in kill_and_resume(project, kills=50, seed=seed):
        assert cli("calibrate", "audit", run_dir, cwd=project, code=0).out.count("STRICT + GIT: READY\n") == 1
    cli("verify", cwd=project, code=0)


def test_resume_needs_the_same_commit_or_one_that_measures_the_same(project: Path, cli: Any) -> None:
    run = (
        "calibrate",
        "run",
        "--model",
        "tiny",
        "--output-dir",
        "runs/a",
        "--skip-precheck",
        "--stages",
        "slow_speed",
        "--repeats",
        "1",
    )
    cli(*run, cwd=project, code=0)
    cli("calibrate", "purge", "runs/a", "--repeat", "1", cwd=project, code=0)
    test = project / "tests" / "test_slow_ci.py"

    # only a numeric literal moved: the same measurement, recorded as such
    (project / "tests" / "unrelated.py").write_text("X = 1\n")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "a new file may change anything")
    refused = cli("calibrate", "run", "--model", "tiny", "--output-dir", "runs/a", "--resume", cwd=project, code=2)
    assert "tests/unrelated.py may change what is measured" in refused.err
    git(project, "reset", "-q", "--hard", "HEAD~1")

    (project / "tests" / "test_fast_ci.py").write_text(
        (project / "tests" / "test_fast_ci.py").read_text().replace("THROUGHPUT_MIN = 0.5", "THROUGHPUT_MIN = 0.75")
    )
    git(project, "commit", "-qam", "a threshold")
    cli(
        "calibrate",
        "run",
        "--model",
        "tiny",
        "--output-dir",
        "runs/a",
        "--resume",
        "--skip-precheck",
        cwd=project,
        code=0,
    )
    sha = git(project, "rev-parse", "HEAD")
    assert f"  equivalent commit: {sha}" in cli("calibrate", "audit", "runs/a", cwd=project, code=0).out

    # tracked changes on top are another program
    test.write_text(test.read_text() + "\n# edited\n")
    refused = cli("calibrate", "run", "--model", "tiny", "--output-dir", "runs/a", "--resume", cwd=project, code=2)
    assert "tracked files are not as they were" in refused.err


def test_a_plan_of_a_subset_resumes_as_its_own_hint_says(project: Path, cli: Any) -> None:
    run = ("calibrate", "run", "--model", "tiny", "--output-dir", "runs/a", "--skip-precheck", "--repeats", "2")
    first = cli(*run, "--stages", "@accuracy,slow_speed", "--json", cwd=project, code=0).json
    cli("calibrate", "purge", "runs/a", "--stage", "slow_speed", "--repeat", "2", cwd=project, code=0)
    hint = first["resume"].split(" ")[1:]
    again = cli(*hint, "--skip-precheck", "--json", cwd=project, code=0)
    assert again.json["strict_ready"] == "2/2"
    assert "[test_fast_ci] run 1/2 skipped (complete, 1 stage(s))" in again.err
    assert "[test_slow_ci] run 2/2 (1 stage(s), needs 0 GPU) config:" in again.err
    log = (project / "runs" / "a" / "run.log").read_text()
    assert log.count("calibration_git_sha:") == 2, "run.log is appended to, never truncated"


def test_a_metric_that_cannot_be_read_after_a_pass_halts_the_run(project: Path, cli: Any) -> None:
    stages = project / "models" / "tiny" / "stages.yaml"
    stages.write_text(stages.read_text().replace("speed.latency_mean_s", "speed.latency_p50_s"))
    git(project, "commit", "-qam", "a path that is not there")
    halted = cli(
        "calibrate", "run", "--model", "tiny", "--output-dir", "runs/a", "--skip-precheck", cwd=project, code=1
    )
    log = (project / "runs" / "a" / "run.log").read_text()
    assert "error: metric extraction HALT after [test_fast_ci] run 1" in log
    assert "completeness at HALT: 1/15 stage-runs complete" in log
    assert "no key 'latency_p50_s'" in halted.err
    status = cli("calibrate", "status", "runs/a", cwd=project, code=1).json
    assert "latency_p50_s" in status["halted"] and status["pytest_active"] is False


def test_two_runs_never_measure_in_one_directory(project: Path, cli: Any) -> None:
    command = [PERFLEDGER, "calibrate", "run", "--model", "tiny", "--output-dir", "runs/a", "--skip-precheck"]
    with subprocess.Popen(
        command, cwd=project, env=clean_env(TINY_SLEEP="30"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as first:
        run_dir = project / "runs" / "a"
        until(lambda: bool(leftovers(run_dir)))
        second = cli("calibrate", "run", "--model", "tiny", "--output-dir", "runs/a", "--resume", cwd=project, code=3)
        assert f"process {first.pid} is measuring" in second.err
        status = cli("calibrate", "status", "runs/a", cwd=project, code=1).json
        assert status["pytest_active"] is True
        assert [(a["unit"], a["repeat"]) for a in status["active"]] == [("test_fast_ci", 1)]
        first.send_signal(signal.SIGINT)
        assert first.wait(30) == 130
    until(lambda: not leftovers(run_dir))
    assert cli("calibrate", "status", "runs/a", cwd=project, code=1).json["pytest_active"] is False


def test_watch_follows_the_active_repeat_by_its_process(project: Path, cli: Any) -> None:
    command = [
        PERFLEDGER,
        "calibrate",
        "run",
        "--model",
        "tiny",
        "--output-dir",
        "runs/a",
        "--skip-precheck",
        "--stages",
        "fast_speed",
        "--repeats",
        "2",
    ]
    with subprocess.Popen(
        command, cwd=project, env=clean_env(TINY_SLEEP="1"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as run:
        until(lambda: (project / "runs" / "a" / "plan.json").exists())
        watched = cli("calibrate", "watch", "runs/a", "--interval", "0.1", "--wait", "5", "--json", cwd=project, code=0)
        assert run.wait(60) == 0
    lines = [json.loads(line) for line in watched.out.splitlines()]
    assert {line["repeat"] for line in lines} == {1, 2}
    assert sum("cuda graph: True" in line["line"] for line in lines) == 2
    nothing = cli("calibrate", "watch", "runs/a", "--wait", "0", cwd=project, code=5)
    assert "no repeat of runs/a is running" in nothing.err


@pytest.mark.skipif(bool(gpu_memory()), reason="this machine has GPUs; what happens without is the point")
def test_without_a_driver_a_gpu_stage_stops_at_the_precheck_or_resumably(project: Path, cli: Any) -> None:
    stages = project / "models" / "tiny" / "stages.yaml"
    stages.write_text(stages.read_text().replace("gpus: 0", "gpus: 1"))
    git(project, "commit", "-qam", "a GPU, please")
    run = ("calibrate", "run", "--model", "tiny", "--output-dir", "runs/a", "--stages", "slow_speed")
    refused = cli(*run, cwd=project, code=1)
    assert "precheck FAILED" in refused.err and not (project / "runs" / "a" / "plan.json").exists()
    stopped = cli(*run, "--skip-precheck", cwd=project, code=4)
    assert "perfledger calibrate run --model tiny --output-dir runs/a --resume" in stopped.err
    assert "completeness at the stop: 0/5 stage-runs complete" in (project / "runs" / "a" / "run.log").read_text()
    # nothing was observed: the stage is missing, not failed
    audit = cli("calibrate", "audit", "runs/a", "--json", cwd=project, code=1).json
    assert audit["stages"][0]["cells"] == "—————"


def test_a_run_needs_a_commit_to_plan_on(tmp_path: Path, cli: Any) -> None:
    root = make(tmp_path / "bare")
    cli("init", root, code=0)
    (root / ".git").rename(tmp_path / "git-away")
    refused = cli("calibrate", "run", "--model", "tiny", "--output-dir", "runs/a", cwd=root, code=2)
    assert "git rev-parse failed" in refused.err
    assert not (root / "runs" / "a" / "plan.json").exists()


def test_a_copy_is_resumed_in_the_copy(project: Path, cli: Any) -> None:
    run = ("calibrate", "run", "--model", "tiny", "--skip-precheck", "--repeats", "2", "--stages", "slow_speed")
    cli(*run, "--output-dir", "runs/a", cwd=project, code=0)
    cli("calibrate", "purge", "runs/a", "--repeat", "2", cwd=project, code=0)
    original = project / "runs" / "a"
    shutil.copytree(original, project / "runs" / "b")
    before = {path: path.read_bytes() for path in original.rglob("*") if path.is_file()}
    resume = ("calibrate", "run", "--model", "tiny", "--skip-precheck", "--resume", "--output-dir", "runs/b")
    resumed = cli(*resume, "--json", cwd=project, code=0)
    assert resumed.json["run_dir"] == str(project / "runs" / "b")
    assert resumed.json["resume"].endswith("--output-dir runs/b --resume")
    assert resumed.json["report"] == str(project / "runs" / "b" / "report.md")
    assert (project / "runs" / "b" / "slow_speed" / "run2.json").is_file()
    assert "run 2/2" in (project / "runs" / "b" / "run.log").read_text()
    assert {path: path.read_bytes() for path in original.rglob("*") if path.is_file()} == before
