"""`perfledger check` as CI and people run it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands.intake.formats.raw import METRIC_FIELDS
from tests.commands.records import GPU, IDENTITY, MODEL, TARGET, history, legacy, modern, raw, write

Cli = Callable[..., Any]
MAIN = {"PERF_RUN_SOURCE": "scheduled_main"}


@pytest.fixture
def cli(in_process: Cli) -> Cli:
    return in_process


@pytest.fixture(autouse=True)
def _ledger(cli: Cli) -> None:
    cli("init", code=0)


def test_a_regressed_result_fails_with_the_whole_contract(cli: Cli, tmp_path: Path) -> None:
    root = history(tmp_path / "h", [legacy(day) for day in range(1, 8)])
    cli("import", "hf-tracking", root, code=0)
    found = cli("check", write(tmp_path / "perf_a.json", raw(avg_generation_time_s=31.2)), "--json", code=1).json
    assert (found["status"], found["exit_code"], found["window"]) == ("REGRESSION", 1, 5)
    record = found["records"][0]
    assert {
        k: record[k]
        for k in (
            "model_id",
            "gpu_type",
            "target",
            "status",
            "baseline_status",
            "baseline_n",
            "success",
            "baseline_eligible",
            "failing_metrics",
        )
    } == {
        "model_id": MODEL,
        "gpu_type": GPU,
        "target": TARGET,
        "status": "REGRESSION",
        "baseline_status": "compared",
        "baseline_n": 5,
        "success": False,
        "baseline_eligible": False,
        "failing_metrics": ["latency"],
    }
    assert record["baseline_records"] == [str(root.resolve() / "records" / f"{i:03d}.json") for i in range(2, 7)]
    assert record["metrics"]["latency"] == {
        "current": 31.2,
        "baseline": 28.4,
        "delta_absolute": pytest.approx(2.8),
        "delta_percent": pytest.approx(0.0986, abs=1e-4),
        "threshold_percent": 0.08,
        "threshold_absolute": 0.5,
        "gated": True,
        "exceeded": True,
        "regressed": True,
    }
    assert record["normalized"]["comparison_status"] == "REGRESSION"
    assert record["normalized"]["success"] is False


def test_an_equal_and_a_faster_result_pass(cli: Cli, tmp_path: Path) -> None:
    cli("import", "hf-tracking", history(tmp_path / "h", [legacy(day) for day in range(1, 8)]), code=0)
    files = [
        write(tmp_path / "perf_equal.json", raw()),
        write(tmp_path / "perf_fast.json", raw(avg_generation_time_s=14.0)),
    ]
    done = cli("check", *files, code=0)
    assert done.out.count("PASS  " + TARGET) == 2
    assert "-50.7%" in done.out and "PASS  (2 results)" in done.out


def test_no_file_at_all_and_no_metric_are_nothing_measured(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    for arguments in ([], ["results"], ["results/perf_*.json"]):
        found = cli("check", *arguments, "--json", code=5).json
        assert (found["status"], found["records"]) == ("NOTHING_MEASURED", [])
    nothing = dict.fromkeys(own for _, own in METRIC_FIELDS)
    found = cli("check", write(tmp_path / "perf_a.json", raw(**nothing)), "--json", code=5, env=MAIN).json
    assert (found["status"], found["records"][0]["baseline_eligible"]) == ("NOTHING_MEASURED", False)
    policy = tmp_path / "old.yaml"
    policy.write_text("rules: {nothing_measured: pass}\n")
    assert cli("check", "results", "--policy", policy, "--json", code=0).json["exit_code"] == 0


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ('{"benchmark_id": "m", "avg_generation_time_s": NaN}', "avg_generation_time_s"),
        ("{oops", "not JSON"),
        ("[]", "array"),
        ('{"hello": 1}', "neither a raw result"),
        ('{"benchmark_id": 7}', "benchmark_id"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_nothing_is_recorded(
    cli: Cli, tmp_path: Path, content: str, names: str
) -> None:
    bad = tmp_path / "perf_bad.json"
    bad.write_text(content)
    good = write(tmp_path / "perf_good.json", raw())
    done = cli("check", good, bad, code=2)
    assert names in done.err and "perf_bad.json" in done.err
    error = cli("check", good, bad, "--json", code=2).json["error"]
    assert set(error) == {"code", "message", "hint", "details"}
    assert cli("sql", "SELECT count(*) AS n FROM results", "--format", "json", code=0).json == [{"n": 0}]


def test_a_policy_may_read_nan_as_not_measured(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "perf_a.json"
    file.write_text(json.dumps(raw(throughput_fps=float("nan"))))
    policy = tmp_path / "old.yaml"
    policy.write_text("rules: {not_finite: drop}\n")
    done = cli("check", file, "--policy", policy, "--json", code=0)
    assert done.json["records"][0]["metrics"]["throughput"]["current"] is None
    assert "throughput_fps" in done.err


def test_the_tracking_root_is_imported_first_and_a_broken_file_hides_no_other(cli: Cli, tmp_path: Path) -> None:
    root = history(tmp_path / "h", [modern(day) for day in range(1, 6)])
    (root / "bad.json").write_text("{oops")
    file = write(tmp_path / "perf_a.json", raw(**IDENTITY, avg_generation_time_s=31.2))
    done = cli("check", file, "--tracking-root", root, "--json", code=1)
    assert done.json["records"][0]["baseline_n"] == 5
    assert "bad.json skipped: not JSON" in done.err
    write(root / "more.json", modern(6, latency=40.0))
    again = cli("check", file, "--json", env={"PERFORMANCE_TRACKING_ROOT": str(root)}, code=1)
    assert any(name.endswith("more.json") for name in again.json["records"][0]["baseline_records"])
    assert "bad.json skipped" in again.err
    missing = cli("check", file, "--tracking-root", tmp_path / "none", "--json", code=1)
    assert "not a folder" in missing.err


def test_what_was_judged_eligible_earlier_in_the_same_run_counts_for_the_next(cli: Cli, tmp_path: Path) -> None:
    cli("import", "hf-tracking", history(tmp_path / "h", [modern(1)]), code=0)
    files = [write(tmp_path / f"perf_{i}.json", raw(**IDENTITY, commit=f"{i:040x}")) for i in range(3)]
    found = cli("check", *files, "--json", env=MAIN, code=0).json["records"]
    assert [row["baseline_n"] for row in found] == [1, 2, 3]
    assert found[2]["baseline_records"][1:] == [row["result_event_id"] for row in found[:2]]
    again = cli("check", *files, "--json", env={"PERF_RUN_SOURCE": "pr"}, code=0).json["records"]
    assert [row["baseline_n"] for row in again] == [1, 1, 1]  # judged as a pull request's, nothing of this run counts


def test_an_empty_cohort_with_identity_needs_calibration_and_shows_the_nearest(cli: Cli, tmp_path: Path) -> None:
    cli(
        "import",
        "hf-tracking",
        history(tmp_path / "h", [modern(day, latency=20.0 + day) for day in range(1, 6)]),
        code=0,
    )
    file = write(tmp_path / "perf_a.json", raw(**{**IDENTITY, "software_profile_id": "sw-new"}))
    found = cli("check", file, "--json", env=MAIN, code=0).json
    record = found["records"][0]
    assert (found["status"], record["success"], record["baseline_eligible"]) == ("CALIBRATION_NEEDED", True, False)
    assert record["nearest"]["medians"]["latency"] == 23.0
    assert record["nearest"]["differs"] == {"software_profile_id": ["sw-new", "sw-fbe0146609c2e645"]}
    assert "nearest cohort" in cli("check", file, code=0).out


def test_another_recipe_of_the_same_workload_is_a_mismatch_and_a_gap_an_infra_error(cli: Cli, tmp_path: Path) -> None:
    cli("import", "hf-tracking", history(tmp_path / "h", [modern(1)]), code=0)
    other = write(tmp_path / "perf_a.json", raw(**{**IDENTITY, "recipe_fingerprint": "other"}))
    gap = write(tmp_path / "perf_b.json", raw(**{k: v for k, v in IDENTITY.items() if k != "variant_id"}))
    found = cli("check", other, gap, "--json", code=1).json
    assert [row["status"] for row in found["records"]] == ["RECIPE_MISMATCH", "INFRA_ERROR"]
    assert "ec56b019" in found["records"][0]["reason"] and "variant_id" in found["records"][1]["reason"]
    assert found["status"] == "INFRA_ERROR"


def test_the_test_runs_exit_code_makes_unexplained_results_infra_errors(cli: Cli, tmp_path: Path) -> None:
    fine, slow = (
        write(tmp_path / "perf_a.json", raw()),
        write(tmp_path / "perf_b.json", raw(avg_generation_time_s=34.5)),
    )
    assert cli("check", fine, "--pytest-rc", "1", "--json", code=1).json["status"] == "INFRA_ERROR"
    explained = cli("check", fine, slow, "--json", env={"PERF_PYTEST_RC": "1"}, code=1).json["records"]
    assert [row["status"] for row in explained] == ["PASS", "REGRESSION"]
    assert "avg_generation_time_s exceeded fixed threshold (current=34.500, threshold=34.000)" in explained[1]["reason"]


def test_run_sources_decide_what_enters_the_baseline(cli: Cli, tmp_path: Path) -> None:
    for index, (env, eligible) in enumerate(
        [
            (MAIN, True),
            ({"PERF_RUN_SOURCE": "pr"}, False),
            ({}, False),
            ({"BUILDKITE_BRANCH": "main", "TEST_SCOPE": "full"}, True),
            ({"BUILDKITE_PULL_REQUEST": "7", **MAIN}, True),
            ({"BUILDKITE_PULL_REQUEST": "7", "BUILDKITE_BRANCH": "main", "TEST_SCOPE": "full"}, False),
        ]
    ):
        file = write(tmp_path / f"perf_{index}.json", raw(commit=f"{index:040x}"))
        assert cli("check", file, "--json", env=env, code=0).json["records"][0]["baseline_eligible"] is eligible, env
    assert cli("check", file, "--json", code=0).json["records"][0]["baseline_n"] == 3


def test_the_single_limit_of_the_environment_holds_for_results_without_identity(cli: Cli, tmp_path: Path) -> None:
    cli("import", "hf-tracking", history(tmp_path / "h", [legacy(day) for day in range(1, 4)]), code=0)
    file = write(tmp_path / "perf_a.json", raw(max_peak_memory_mb=10900.0, throughput_fps=1.49))
    cli("check", file, code=0)
    assert cli("check", file, "--json", env={"PERF_MAX_REGRESSION": "0.05"}, code=1).json["records"][0][
        "failing_metrics"
    ] == ["throughput"]
    assert "PERF_MAX_REGRESSION" in cli("check", file, env={"PERF_MAX_REGRESSION": "lots"}, code=2).err


def test_the_markdown_summary_is_written_and_appended_and_every_cell_is_escaped(cli: Cli, tmp_path: Path) -> None:
    cli("import", "hf-tracking", history(tmp_path / "h", [legacy(1, model_id="a|b\n<img src=x>")]), code=0)
    file = write(tmp_path / "perf_a.json", raw(benchmark_id="a|b\n<img src=x>", avg_generation_time_s=31.2))
    step, out = tmp_path / "step.md", tmp_path / "out.md"
    step.write_text("before\n")
    cli("check", file, "--markdown", out, env={"GITHUB_STEP_SUMMARY": str(step)}, code=1)
    text = out.read_text()
    assert step.read_text() == "before\n" + text + "\n"
    lines = text.splitlines()
    assert lines[0] == "## Performance Baseline Comparison"
    assert lines[2].startswith("Threshold: gated metrics fail only when both percent and absolute regression floors")
    header, row = lines[4].split(" | "), lines[6].split(" | ")
    assert len(header) == len(row) == 14
    assert (
        row[0] == r"| a\|b \<img src=x>"
        and row[2] == "1"
        and row[3] == "31.200 / 28.400"
        and row[5] == "10840.0 / 10840.0"
    )
    assert row[9:13] == ["9.9%", "latency", "latency", "REGRESSION"]


def test_judged_records_are_written_under_their_artifact_names(cli: Cli, tmp_path: Path) -> None:
    files = [write(tmp_path / f"perf_{i}.json", raw(avg_generation_time_s=20.0 + i)) for i in range(2)]
    cli("check", *files, "--normalized-dir", tmp_path / "out", code=0)
    name = f"normalized_perf_{MODEL}_2026-07-01T00_00_00_00_00_{'f' * 40}"
    written = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in written] == [f"{name}.json", f"{name}_2.json"]  # the same name twice loses nothing
    record = json.loads(written[0].read_text())
    assert (record["model_id"], record["comparison_status"], record["latency"]) == (MODEL, "PASS", 20.0)
    reports = tmp_path / "reports"
    cli("check", *files, env={"PERF_REPORTS_DIR": str(reports), "BUILDKITE_COMMIT": "abcdef1234"}, code=0)
    assert (reports / "results" / f"{name}.json").exists()
    assert len(list(reports.glob("perf_abcdef1_????????_??????.md"))) == 1


def test_a_summary_the_environment_asked_for_never_costs_the_verdict(cli: Cli, tmp_path: Path) -> None:
    file = write(tmp_path / "perf_a.json", raw())
    done = cli("check", file, env={"GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "step.md")}, code=0)
    assert "warning: could not write" in done.err
    before = cli("events", "list", "--json", code=0).out
    assert "its folder does not exist" in cli("check", file, "--markdown", tmp_path / "no" / "out.md", code=2).err
    assert "is a file" in cli("check", file, "--normalized-dir", file, code=2).err
    assert cli("events", "list", "--json", code=0).out == before


def test_a_dry_run_shows_what_the_upload_policy_would_send_and_sends_nothing(cli: Cli, tmp_path: Path) -> None:
    fine = write(tmp_path / "perf_a.json", raw())
    slow = write(tmp_path / "perf_b.json", raw(avg_generation_time_s=34.5, commit="b" * 40))
    name = f"{MODEL}/2026-07-01T00_00_00_00_00_"
    done = cli("check", fine, slow, "--upload", "pass", "--dry-run", code=1)
    assert f"would upload {name}{'f' * 40}.json" in done.err and "b" * 40 not in done.err
    done = cli("check", fine, slow, "--dry-run", env={"PERF_UPLOAD_POLICY": "always"}, code=1)
    assert done.err.count("would upload") == 2
    for nothing in ({}, {"PERF_UPLOAD_POLICY": "sometimes"}):
        assert "would upload" not in cli("check", fine, slow, "--dry-run", env=nothing, code=1).err
    assert "Upload" not in cli("events", "list", code=0).out


def test_every_judgement_is_an_event_with_everything_it_used(cli: Cli, tmp_path: Path) -> None:
    cli("import", "hf-tracking", history(tmp_path / "h", [legacy(day) for day in range(1, 8)]), code=0)
    record = cli("check", write(tmp_path / "perf_a.json", raw(avg_generation_time_s=31.2)), "--json", code=1).json[
        "records"
    ][0]
    event = cli("events", "show", record["event_id"], "--json", code=0).json
    payload = event["payload"]
    assert (event["type"], event["stream"], event["causation_id"]) == (
        "ResultJudged",
        f"target/{TARGET}",
        record["result_event_id"],
    )
    assert payload["metrics"] == record["metrics"] and payload["status"] == "REGRESSION"
    assert len(payload["window_event_ids"]) == 5
    assert payload["policy"]["metrics"]["latency"] == {
        "threshold_percent": 0.08,
        "threshold_absolute": 0.5,
        "gated": True,
    }
    assert payload["policy"]["rules"]["legacy_comparison"] == "rolling"


def test_checking_the_same_bytes_again_records_them_once_and_never_against_themselves(cli: Cli, tmp_path: Path) -> None:
    file = write(tmp_path / "perf_a.json", raw())
    first = cli("check", file, "--json", env=MAIN, code=0).json["records"][0]
    second = cli("check", file, "--json", env=MAIN, code=0).json["records"][0]
    assert first["result_event_id"] == second["result_event_id"] and first["event_id"] != second["event_id"]
    assert second["baseline_n"] == 0


def test_a_record_that_comes_back_from_the_shared_history_counts_once(cli: Cli, tmp_path: Path) -> None:
    one = cli("check", write(tmp_path / "perf_a.json", raw()), "--json", env=MAIN, code=0).json["records"][0][
        "normalized"
    ]
    write(tmp_path / "h" / MODEL / "uploaded.json", one)
    cli("import", "hf-tracking", tmp_path / "h", code=0)
    other = write(tmp_path / "perf_b.json", raw(commit="b" * 40))
    found = cli("check", other, "--json", code=0).json["records"][0]
    assert found["baseline_records"] == [str((tmp_path / "h").resolve() / MODEL / "uploaded.json")]


def test_the_window_can_be_longer_or_shorter(cli: Cli, tmp_path: Path) -> None:
    cli("import", "hf-tracking", history(tmp_path / "h", [legacy(day) for day in range(1, 10)]), code=0)
    file = write(tmp_path / "perf_a.json", raw())
    for window in (1, 3, 8):
        found = cli("check", file, "--window", window, "--json", code=0).json
        assert (found["window"], found["records"][0]["baseline_n"]) == (window, window)
    cli("check", file, "--window", "0", code=2)


def test_normalized_records_are_judged_too(cli: Cli, tmp_path: Path) -> None:
    cli("import", "hf-tracking", history(tmp_path / "h", [modern(day) for day in range(1, 4)]), code=0)
    found = cli("check", write(tmp_path / "n.json", modern(9, latency=40.0)), "--json", code=1).json["records"][0]
    assert (found["status"], found["baseline_n"]) == ("REGRESSION", 3)


def test_results_without_a_timestamp_are_each_their_own(cli: Cli, tmp_path: Path) -> None:
    bare = {"model_id": "m", "gpu_type": "g", "latency": 10.0}
    cli("import", "hf-tracking", history(tmp_path / "h", [bare] * 4), code=0)
    assert cli("check", write(tmp_path / "n.json", bare), "--json", code=0).json["records"][0]["baseline_n"] == 4


def test_names_from_files_cannot_steer_the_terminal(cli: Cli, tmp_path: Path) -> None:
    done = cli("check", write(tmp_path / "n.json", raw(benchmark_id="\x1b[2Jm\r\x07")), code=0)
    assert "\x1b" not in done.out and "\r" not in done.out and "\\x1b[2Jm\\r\\x07@NVIDIA L40S" in done.out


def test_colour_is_for_terminals_that_want_it(cli: Cli, tmp_path: Path) -> None:
    from commands.results import check_summary
    from ledger.outside import shown

    document = cli("check", write(tmp_path / "n.json", raw(avg_generation_time_s=34.5)), "--json", code=1).json
    painted = check_summary.text(document, colour=True)
    assert shown.terminal(painted, lines=True).startswith("\x1b[31m\x1b[1mREGRESSION\x1b[0m  ")
    assert check_summary.text(document) == shown.plain(painted)
