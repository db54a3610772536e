"""Importing the histories of other benchmark tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands.intake.formats.series import metric_of

Cli = Callable[..., Any]
DATA_JS = Path(__file__).parent / "data" / "github_action_benchmark.js"


@pytest.fixture
def cli(in_process: Cli) -> Cli:
    in_process("init", code=0)
    return in_process


@pytest.mark.parametrize(
    ("unit", "value", "bigger", "expected"),
    [
        ("ns/iter", 250.0, None, ("latency", 2.5e-7)),
        ("us", 3.0, None, ("latency", 3e-6)),
        ("ms/op", 1.0, None, ("latency", 1e-3)),
        ("seconds", 2.0, None, ("latency", 2.0)),
        ("ops/sec", 9.0, None, ("throughput", 9.0)),
        ("iter/s", 9.0, None, ("throughput", 9.0)),
        ("MiB", 1.0, None, ("memory", 1.048576)),
        ("bytes", 2e6, None, ("memory", 2.0)),
        ("points", 4.0, True, ("throughput", 4.0)),
        ("points", 4.0, False, ("latency", 4.0)),
        ("points", 4.0, None, None),
        ("", 4.0, None, None),
    ],
)
def test_a_unit_means_a_metric_in_that_metrics_own_unit(
    unit: str, value: float, bigger: bool | None, expected: tuple[str, float] | None
) -> None:
    found = metric_of(unit, value, bigger_is_better=bigger)
    if expected is None:
        assert found is None
    else:
        assert found is not None and found[0] == expected[0] and found[1] == pytest.approx(expected[1])


def test_a_real_data_js_becomes_targets_that_can_be_judged(cli: Cli, tmp_path: Path) -> None:
    found = cli("import", "github-action-benchmark", DATA_JS, "--json", code=0).json
    assert (found["recorded"], found["targets"], found["skipped"]) == (18, 6, [])
    assert found["source"] == "github-action-benchmark:https://github.com/benchmark-action/github-action-benchmark"
    again = cli("import", "github-action-benchmark", DATA_JS, "--json", code=0).json
    assert (again["recorded"], again["unchanged"]) == (0, 18)
    rows = cli("baseline", "history", "Rust Benchmark/bench_fib_10", "--json", code=0).json["results"]
    assert [row["instant"] for row in rows] == sorted(row["instant"] for row in rows) and len(rows) == 3
    assert rows[0]["latency"] == pytest.approx(254e-9)
    slow = {
        "model_id": "Rust Benchmark/bench_fib_10",
        "gpu_type": "unknown",
        "latency": 300e-9,
        "timestamp": "2026-01-01",
        "regression_thresholds": {"latency": {"threshold_absolute": 0}},
    }
    file = tmp_path / "n.json"
    file.write_text(json.dumps(slow))
    assert cli("check", file, "--json", code=1).json["records"][0]["failing_metrics"] == ["latency"]
    assert "e-07" in cli("baseline", "plot", "Rust Benchmark/bench_fib_10", code=0).out


def test_a_growing_data_js_adds_only_its_new_runs_and_says_what_it_cannot_read(cli: Cli, tmp_path: Path) -> None:
    run = {
        "commit": {"id": "a" * 40},
        "date": 1573312140323,
        "tool": "customBiggerIsBetter",
        "benches": [
            {"name": "score", "value": "12.5", "unit": "points"},
            {"name": "odd", "value": "n/a", "unit": "ns"},
        ],
    }
    later = {
        **run,
        "date": 1573312999000,
        "tool": "go",
        "benches": [{"name": "score", "value": 13, "unit": "points"}, {"value": 1}],
    }
    file = tmp_path / "data.js"
    for runs, recorded in (([run], 1), ([run, later, "junk"], 0)):
        file.write_text("window.BENCHMARK_DATA = " + json.dumps({"entries": {"S": runs}}) + ";")
        found = cli("import", "github-action-benchmark", file, "--json", code=0).json
        assert found["recorded"] == recorded
    reasons = [row["reason"] for row in found["skipped"]]
    assert reasons == [
        "not a number: 'n/a'",
        "the unit 'points' says neither time, rate nor size",
        "a bench without a name",
        "a run that is not an object",
    ]


@pytest.mark.parametrize("content", ["", "window.X = [1]", "{}", '{"entries": []}', "window.BENCHMARK_DATA = {"])
def test_a_file_that_is_no_data_js_is_refused(cli: Cli, tmp_path: Path, content: str) -> None:
    file = tmp_path / "data.js"
    file.write_text(content)
    assert "data.js" in cli("import", "github-action-benchmark", file, code=2).err


@pytest.mark.parametrize(
    ("runs", "why"),
    [
        ([], "no suite has a run"),
        ([{"benches": []}], "no suite has a run"),
        (["junk"], "a run that is not an object"),
        ([{"benches": [{"name": "a", "value": 1, "unit": "points"}]}], "the unit 'points'"),
    ],
)
def test_a_data_js_without_one_result_says_what_was_looked_for(cli: Cli, tmp_path: Path, runs: Any, why: str) -> None:
    file = tmp_path / "data.js"
    file.write_text(json.dumps({"entries": {"S": runs}}))
    error = cli("import", "github-action-benchmark", file, "--json", code=2).json["error"]
    assert error["code"] == "nothing_to_import"
    assert str(file) in error["message"] and "`entries`" in error["message"] and why in error["message"]


def test_a_folder_without_one_asv_result_says_what_was_looked_for(cli: Cli, tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "sub").mkdir(parents=True)
    assert "MACHINE/COMMIT-ENVIRONMENT.json" in cli("import", "asv", root, code=2).err
    assert "MACHINE/COMMIT-ENVIRONMENT.json" in cli("import", "asv", "/dev", code=2).err
    (root / "sub" / "package.json").write_text("{}")
    error = cli("import", "asv", root, "--json", code=2).json["error"]
    assert error["code"] == "nothing_to_import"
    assert "1 JSON files looked at, the first, sub/package.json, is not a result file of version 2" in error["message"]
    # a commit where every benchmark failed is a result file, with nothing to record
    failed = {"version": 2, "result_columns": ["result"], "results": {"suite.failed": [None]}}
    (root / "sub" / "c-py.json").write_text(json.dumps(failed))
    found = cli("import", "asv", root, "--json", code=0).json
    assert (found["recorded"], [row["path"] for row in found["skipped"]]) == (0, ["sub/package.json"])


def test_an_asv_results_folder_becomes_one_target_per_benchmark_parameters_machine_and_environment(
    cli: Cli, tmp_path: Path
) -> None:
    """The shape of asv 0.6: columns may be missing at the end, null is a failure, NaN was skipped."""
    root = tmp_path / "results"
    (root / "box").mkdir(parents=True)
    (root / "benchmarks.json").write_text(
        json.dumps(
            {
                "suite.time_it": {"unit": "seconds", "type": "time"},
                "suite.peakmem": {"unit": "bytes", "type": "peakmemory"},
            }
        )
    )
    (root / "box" / "machine.json").write_text("{}")
    value = {
        "version": 2,
        "commit_hash": "c" * 40,
        "env_name": "py3.11",
        "date": 1573312140000,
        "params": {"machine": "box"},
        "result_columns": ["result", "params", "version", "started_at", "duration"],
        "results": {
            "suite.time_it": [
                [0.5, None, float("nan"), 0.7],
                [["'a'", "'b'"], ["1", "2"]],
                "0123456789",
                1573312141000,
            ],
            "suite.peakmem": [[50_000_000], [], "v1"],
            "suite.failed": [None],
        },
    }
    (root / "box" / "cccccccc-py3.11.json").write_text(json.dumps(value))
    (root / "box" / "bad.json").write_text("{oops")
    found = cli("import", "asv", root, "--json", code=0).json
    assert (found["recorded"], [row["path"] for row in found["skipped"]]) == (3, ["box/bad.json"])
    rows = cli("sql", "SELECT target, latency, memory, instant FROM results ORDER BY target", "--format", "json").json
    assert [(row["target"], row["latency"], row["memory"]) for row in rows] == [
        ("suite.peakmem vv1@box/py3.11", None, 50.0),
        ("suite.time_it('a', 1) v01234567@box/py3.11", 0.5, None),
        ("suite.time_it('b', 2) v01234567@box/py3.11", 0.7, None),
    ]
    assert rows[1]["instant"].startswith("2019-11-09T15:09:01")
    assert cli("import", "asv", root, "--json", code=0).json["recorded"] == 0
    (tmp_path / "empty").mkdir()
    assert "no asv result files" in cli("import", "asv", tmp_path / "empty", code=2).err
