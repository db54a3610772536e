"""What a run is planned on: literals, drift, commits, interpreters, settings; and plans of any size."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from commands.calibrate.config.context_values import context_values
from commands.calibrate.config.interpreter import choose_interpreter
from commands.calibrate.config.model import ModelConfig
from commands.calibrate.config.planned_stages import drift, refuse_drift
from commands.calibrate.config.repository import Repository
from commands.calibrate.measuring.active import active_repeats
from commands.calibrate.measuring.run_settings import flashinfer_cache
from commands.calibrate.run_directory import write_if_changed
from ledger.errors import BadInput
from ledger.event import NewEvent
from ledger.events.calibrations import CalibrationPlanned, Plan, PlanContinued
from ledger.ledger import Ledger
from projections.calibration.audit import readiness
from projections.calibration.fold import fold
from projections.calibration.session import plan_in_parts, units_of
from projections.state.state import State
from tests.e2e.tiny_project import git, make
from tests.projections.calibration.story import COMMIT, Story, metric, stage
from tests.waiting import until

SOURCE = """
CONCURRENCY = 16
MAX_SAMPLES: int = 2_000
_TOKENS, OTHER = 32, 1
LATER = None
def test_it():
    run(max_samples=MAX_SAMPLES, max_new_tokens=_TOKENS, max_concurrency=CONCURRENCY, max_tokens=LATER)
"""


def test_context_literals_are_read_under_the_keyword_they_are_passed_as(tmp_path: Path) -> None:
    test = tmp_path / "test_a.py"
    test.write_text(SOURCE)
    names = ["MAX_SAMPLES", "_TOKENS", "CONCURRENCY", "LATER", "NOT_THERE"]
    assert context_values(test, names) == {
        "max_samples": 2000,
        "max_new_tokens": None,
        "max_concurrency": 16,
        "max_tokens": None,
        "NOT_THERE": None,
    }
    assert context_values(tmp_path / "gone.py", ["A"]) == {"A": None}
    test.write_text("def broken(:\n")
    assert context_values(test, ["A"]) == {"A": None}


def test_drift_names_the_stage_and_the_file(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a_ci.py").write_text("X = 1\n")
    (tmp_path / "tests" / "limits.py").write_text("Y = 1\n")
    digest = hashlib.sha256(b"X = 1\n").hexdigest()
    same = stage("a", test_file_sha256=digest)
    moved = stage("b", test_file_sha256="0" * 64, threshold_file="tests/limits.py", threshold_file_sha256="1" * 64)
    unknown = stage("c")
    assert drift([same, moved, unknown], tmp_path) == ["b test sha mismatch", "b threshold sha mismatch"]
    with pytest.raises(BadInput, match=r"stages\.yaml is stale: b test sha mismatch"):
        refuse_drift([moved], tmp_path, "m")
    with pytest.raises(BadInput, match=r"stage d: .*gone\.py does not exist"):
        drift([stage("d", test="tests/gone.py")], tmp_path)


def test_a_commit_is_proven_equivalent_file_by_file(tmp_path: Path) -> None:
    root = make(tmp_path / "p")
    repository = Repository(root)
    first = repository.head()
    test = root / "tests" / "test_fast_ci.py"
    test.write_text(test.read_text().replace("ACC_MIN = 0.25", "ACC_MIN = 0.5"))
    skill = root / ".claude" / "skills" / "x.md"
    skill.parent.mkdir(parents=True)
    skill.write_text("words")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "thresholds")
    second = repository.head()
    changed, breaking = repository.prove_equivalent(first, second)
    assert changed == [".claude/skills/x.md", "tests/test_fast_ci.py"] and breaking == []
    (root / "naïve name.txt").write_text("x")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "a file")
    assert repository.prove_equivalent(first, repository.head())[1] == ["naïve name.txt"]
    with pytest.raises(BadInput, match="does not have the commit"):
        repository.prove_equivalent(first, "1" * 40)


def test_what_the_tool_writes_itself_does_not_make_the_workspace_dirty(tmp_path: Path) -> None:
    root = make(tmp_path / "p")
    (root / ".gitignore").write_text("__pycache__/\n")
    git(root, "commit", "-qam", "ignore less")
    ours = [root / ".perfledger", root / "runs" / "a"]
    for folder in ours:
        folder.mkdir(parents=True)
        (folder / "x").write_text("")
    assert not Repository(root).dirty(ours=ours)
    (root / "mine.txt").write_text("")
    assert Repository(root).dirty(ours=ours)


def test_no_repository_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="git rev-parse failed"):
        Repository(tmp_path).head()
    with pytest.raises(BadInput, match="no such folder"):
        Repository(tmp_path / "gone").head()


def test_the_interpreter_is_chosen_in_order_and_the_plan_says_by_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUNE_VENV_PYTHON", raising=False)
    model = ModelConfig(name="m", path=tmp_path / "config.yaml", default_venv_python=("/nope/python", "/also/python"))
    bare = ModelConfig(name="m", path=tmp_path / "config.yaml")
    assert choose_interpreter(None, None, bare).path == sys.executable
    assert choose_interpreter(None, None, model).path == "/also/python"
    assert choose_interpreter(None, "/host/python", model).source == "host"
    monkeypatch.setenv("TUNE_VENV_PYTHON", "/env/python")
    assert choose_interpreter(None, "/host/python", model).source == "env"
    assert choose_interpreter("/flag/python", "/host/python", model).source == "flag"


def test_the_flashinfer_cache_is_the_measured_environments_own() -> None:
    assert flashinfer_cache({"XDG_CACHE_HOME": "/ci/.cache", "HOME": "/h"}) == Path("/ci/.cache/flashinfer")


def test_units_of_one_stem_never_share_a_folder() -> None:
    plan = Plan(
        model="m",
        repeats=1,
        run_dir="/x",
        calibration_git_sha=COMMIT,
        stages=[
            stage("a", test="t/test_a_ci.py", calibration_preset="moss", extra_env={"M": "moss"}),
            stage("b", test="t/test_a_ci.py", calibration_preset="higgs", extra_env={"M": "higgs"}),
            stage("c", test="t/test_a_ci.py", calibration_preset="moss", extra_env={"M": "moss"}),
            stage("d", test="other/test_a_ci.py"),
            stage("e", test="t/test_a_ci.py"),
        ],
    )
    assert [(u.name, u.keys) for u in units_of(plan)] == [
        ("test_a_ci__moss", ("a", "c")),
        ("test_a_ci__higgs", ("b",)),
        ("test_a_ci", ("d",)),
        ("test_a_ci__2", ("e",)),
    ]


def test_a_plan_larger_than_an_event_continues_in_further_ones(ledger: Ledger) -> None:
    many = [metric(f"metric_{n}") for n in range(190)]
    plan = Plan(
        model="m",
        repeats=1,
        run_dir="/x",
        calibration_git_sha=COMMIT,
        stages=[stage(f"s{n:02d}", *many) for n in range(68)],
    )
    whole, parts = plan_in_parts(plan)
    assert len(whole.stages) + sum(map(len, parts)) == 68 and len(parts) > 10
    payloads = [
        CalibrationPlanned(session="big", plan=whole),
        *(PlanContinued(session="big", part=n, stages=p) for n, p in enumerate(parts, 1)),
    ]
    Story(ledger, stage("other"), session="other").observe(1)
    ledger.append([NewEvent(stream="calibration/big", payload=p) for p in payloads])
    session = fold(ledger.read_stream("calibration/big"))
    assert session is not None and session.plan == plan
    with State.open(ledger) as state:
        rows = state.rows("SELECT stage, cell FROM audit_matrix WHERE session = 'big' ORDER BY number")
        summary = state.rows("SELECT stages, strict_complete FROM calibrations WHERE session = 'big'")
    assert [r["stage"] for r in rows] == [s.key for s in plan.stages] and {r["cell"] for r in rows} == {"—"}
    assert summary == [{"stages": 68, "strict_complete": False}]
    assert len(readiness(session).missing) == 68


def test_a_file_is_replaced_as_a_whole_and_left_alone_when_equal(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "plan.json"
    assert write_if_changed(path, b"one") and path.read_bytes() == b"one"
    before = path.stat().st_ino
    assert not write_if_changed(path, b"one") and path.stat().st_ino == before
    assert write_if_changed(path, b"two") and [p.name for p in path.parent.iterdir()] == ["plan.json"]


def test_only_a_pytest_below_this_run_directory_is_active(tmp_path: Path) -> None:
    """A watcher whose command line names the run directory is not a test, nor is another run's pytest."""
    import subprocess

    run_dir = tmp_path / "runs" / "a"
    idle = "import time; time.sleep(600)"
    commands = [
        [sys.executable, "-c", idle, "pytest", f"--basetemp={run_dir}/_pytest/u/basetemp_run3"],
        [sys.executable, "-c", idle, "tail_calibration_pytest.sh", str(run_dir)],
        [sys.executable, "-c", idle, "pytest", f"--basetemp={tmp_path}/runs/ab/_pytest/u/basetemp_run4"],
        [sys.executable, "-c", idle, "watch", f"--basetemp={run_dir}/_pytest/u/basetemp_run5"],
    ]
    started = [subprocess.Popen(command) for command in commands]
    try:
        found = until(lambda: active_repeats(run_dir))
        assert [(a.pid, a.unit, a.repeat) for a in found] == [(started[0].pid, "u", 3)]
        assert found[0].log == run_dir / "_pytest" / "u" / "run3.log"
    finally:
        for process in started:
            process.kill()
            process.wait()
