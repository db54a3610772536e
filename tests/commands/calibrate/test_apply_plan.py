"""`calibrate plan-apply`: the existing tool's fields, and what it gets wrong (specification, 12.1)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger
from tests.commands.calibrate.measured_project import MeasuredProject
from tests.conftest import Result

Cli = Callable[..., Result]

TEST = """\
CONCURRENCY = 16
A_MIN_ACCURACY = 0.7
A_WER_MAX_CORPUS: float = 1.19e-2  # per corpus
A_MAX_FAILED_REQUESTS = 1
_A_P95 = {
    8: {"throughput_qps": 1.0},
    16: {"throughput_qps": 45.634, "latency_mean_s": .900},
}
_A_UTMOS_REFERENCE = 4.0
"""
VALUES: dict[str, dict[str, list[float | None]]] = {
    "a_accuracy": {"accuracy": [0.74, 0.72, 0.75]},
    "a_wer": {"corpus_wer": [0.0101, 0.0119, 0.0110]},
    "a_reliability": {"failed_requests": [0, 1, 0]},
    "a_speed": {"throughput_qps": [44.1, 45.0, 46.2], "latency_mean_s": [0.8996, 0.88, 0.87]},
    "a_utmos": {"utmos_mean": [4.1, 4.2, 4.15]},
}


@pytest.fixture
def project(tmp_path: Path, ledger: Ledger) -> MeasuredProject:
    made = MeasuredProject(tmp_path / "repo")
    made.file("tests/test_a_ci.py", TEST)
    return made


def metrics(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {m["metric_key"]: m for stage in document["stages"] for m in stage["metrics"]}


def test_every_field_of_the_existing_tool_is_there(cli: Cli, project: MeasuredProject) -> None:
    run = project.measure(VALUES)
    plan = cli("calibrate", "plan-apply", run, "--json", code=0).json
    assert (plan["model"], plan["run_dir"], plan["repeats"]) == ("m", str(run), 3)
    stage = plan["stages"][3]
    test = str(project.root / "tests/test_a_ci.py")
    wanted: dict[str, Any] = {
        "stage_key": "a_speed",
        "test": test,
        "threshold_file": test,
        "title": "A Speed",
        "stage_group": "speed",
        "variant": None,
        "calibration_preset": None,
        "gpus": None,
        "concurrency": 16,
        "rounds": 3,
        "rejected_rounds": [],
        "effective_n": 3,
    }
    assert {key: stage[key] for key in wanted} == wanted
    metric = stage["metrics"][0]
    wanted = {
        "metric_key": "throughput_qps",
        "source": "_A_P95['throughput_qps']",
        "source_kind": "nested",
        "symbol": "_A_P95",
        "subkey": "throughput_qps",
        "stage_group": "speed",
        "worst_op": "min",
        "per_run_raw": [44.1, 45.0, 46.2],
        "worst_raw": 44.1,
        "worst_rounded": 44.1,
        "write_value": 44.1,
        "digits": 3,
        "scale": 1,
        "label": "Throughput (req/s)",
        "current_raw": 45.634,
        "direction": "loosens",
    }
    assert {key: metric[key] for key in wanted} == wanted
    assert metric["percent"] == pytest.approx(-0.0336, abs=1e-4)
    assert metric["literal"] == "_A_P95[16]['throughput_qps']"


def test_directions_come_from_the_bound(cli: Cli, project: MeasuredProject) -> None:
    run = project.measure(VALUES)
    found = metrics(cli("calibrate", "plan-apply", run, "--json", code=0).json)
    assert {key: (m["current_raw"], m["write_value"], m["direction"]) for key, m in found.items()} == {
        "accuracy": (0.7, 0.72, "tightens"),
        "corpus_wer": (0.0119, 0.0119, "equal"),
        "failed_requests": (1, 1, "equal"),
        "throughput_qps": (45.634, 44.1, "loosens"),
        "latency_mean_s": (0.9, 0.9, "equal"),
        "utmos_mean": (4.0, 4.1, "tightens"),
    }
    assert found["utmos_mean"]["source_kind"] == "bare", "a leading underscore hides nothing"
    table = cli("calibrate", "plan-apply", run, code=0).out
    assert "loosens (-3.4%)" in table


def test_a_literal_that_cannot_be_located_is_unknown_with_the_reason(cli: Cli, project: MeasuredProject) -> None:
    project.file("tests/test_a_ci.py", "A_MIN_ACCURACY = 1 - 0.3\n")
    run = project.measure({"a_accuracy": {"accuracy": [0.72]}})
    metric = metrics(cli("calibrate", "plan-apply", run, "--json", code=0).json)["accuracy"]
    assert (metric["current_raw"], metric["direction"]) == (None, "unknown")
    assert "an expression, not a literal" in metric["problem"]


def test_pinned_symbols_are_fixed_and_never_get_a_value(cli: Cli, project: MeasuredProject) -> None:
    project.config += "fixed_symbols: [A_MIN_ACCURACY]\n"
    run = project.measure({"a_accuracy": {"accuracy": [0.72]}})
    metric = metrics(cli("calibrate", "plan-apply", run, "--json", code=0).json)["accuracy"]
    assert (metric["direction"], metric["write_value"]) == ("fixed", None)


def test_without_a_concurrency_the_only_row_is_taken(cli: Cli, project: MeasuredProject) -> None:
    text = "CONCURRENCY = 0\n_A_P95 = {16: {'rtf_mean': 0.5}}\n_B_P95 = {8: {'rtf_p95': 1}, 16: {'rtf_p95': 2}}\n"
    project.file("tests/test_a_ci.py", text)
    run = project.measure({"a_speed": {"rtf_mean": [0.4], "rtf_p95": [0.4]}})
    plan = cli("calibrate", "plan-apply", run, "--json", code=0).json
    assert plan["stages"][0]["concurrency"] is None, "zero counts as not found"
    found = metrics(plan)
    assert found["rtf_mean"]["current_raw"] == 0.5
    assert found["rtf_p95"]["current_raw"] is None
    assert "2 places fit" in found["rtf_p95"]["problem"]


def test_the_threshold_file_may_say_the_concurrency(cli: Cli, project: MeasuredProject) -> None:
    project.file("tests/test_a_ci.py", "import limits\n")
    project.file("tests/limits.py", "CONCURRENCY: int = 8  # here\n_P = {8: {'rtf_mean': 1}, 16: {'rtf_mean': 2}}\n")
    project.config += 'metric_sources:\n  test_a_ci.py: {threshold_file: "tests/limits.py"}\n'
    run = project.measure({"a_speed": {"rtf_mean": [0.4]}})
    plan = cli("calibrate", "plan-apply", run, "--json", code=0).json
    assert plan["stages"][0]["concurrency"] == 8
    assert metrics(plan)["rtf_mean"]["literal"] == "_P[8]['rtf_mean']"
    assert plan["stages"][0]["threshold_file"] == str(project.root / "tests/limits.py")


def rewrite_run(run: Path, **changes: Any) -> None:
    path = run / "a_accuracy/run2.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sample_counts": {"total": 10, "ok": 9}}, "strict"),
        ({"metrics": {"accuracy": None}}, "strict"),
        ({"git_sha": "f" * 40}, "git provenance failed"),
    ],
)
def test_an_unready_session_is_refused_by_plan_and_apply(
    cli: Cli, project: MeasuredProject, changes: dict[str, Any], reason: str
) -> None:
    """The existing tool writes worst-of-N of partial data (its defect 1)."""
    project.config += "metric_sources:\n  test_a_ci.py:\n    json_file: r.json\n"
    project.config += "    paths: {accuracy: a}\n    sample_counts: {total: t, ok: o}\n"
    run = project.measure({"a_accuracy": {"accuracy": [0.72, 0.73, 0.74]}})
    rewrite_run(run, **changes)
    for command in (("plan-apply",), ("apply", "--mode", "full", "--confirm", "apply thresholds")):
        refused = cli("calibrate", command[0], run, *command[1:], "--json", code=1).json["error"]
        assert refused["code"] == "run_not_ready"
        assert any(reason in each for each in refused["details"]["reasons"])
    assert project.git("status", "--porcelain", "tests") == ""


def test_a_missing_repository_is_asked_for(cli: Cli, project: MeasuredProject) -> None:
    run = project.measure(VALUES)
    said = cli("calibrate", "plan-apply", run, "--repo-root", project.root / "nowhere", code=2)
    assert "--repo-root" in said.err
    elsewhere = project.root.parent / "elsewhere"
    elsewhere.mkdir()
    said = cli("calibrate", "plan-apply", run, "--repo-root", elsewhere, code=2)
    assert "test_a_ci.py is missing" in said.err


def test_stages_without_metrics_are_left_out(cli: Cli, project: MeasuredProject) -> None:
    project.file("tests/docs/test_d.py", "def test_d():\n    pass\n")
    project.config = project.config.replace('["tests', '["tests/docs/test_d.py", "tests')
    run = project.measure({"test_d": {"none": [0]}, "a_accuracy": {"accuracy": [0.72]}})
    plan = cli("calibrate", "plan-apply", run, "--json", code=0).json
    assert [stage["stage_key"] for stage in plan["stages"]] == ["a_accuracy"]
