"""Metrics out of result files, and the status of each stage; rules of sections 7 to 9 of the run-directory contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpu_runner.extract import Extracted, ResultFiles, extract
from gpu_runner.outcome import Outcome
from gpu_runner.request import StageSpec, ValueSource
from gpu_runner.status import halt_cause, is_complete, observe

PASSED = Outcome("passed", "passed")
ASSERTED = Outcome("exit 1", "assertion")


def at(path: str, file: str = "r.json") -> ValueSource:
    return ValueSource(json_file=file, json_path=path)


def stage(**changes: Any) -> StageSpec:
    return StageSpec(**{"key": "a", "metrics": {"m": at("summary.m")}, **changes})


def read(tmp_path: Path, document: str, spec: StageSpec | None = None) -> Extracted:
    (tmp_path / "r.json").write_text(document, encoding="utf-8")
    return extract(spec or stage(), ResultFiles(tmp_path))


@pytest.mark.parametrize(
    ("value", "number"),
    [("17.678", 17.678), ("0", 0.0), ("-3", -3.0), ('"0.25"', 0.25), ("1e-3", 0.001), ("-0.0", -0.0)],
)
def test_a_finite_number_is_read(tmp_path: Path, value: str, number: float) -> None:
    values = read(tmp_path, f'{{"summary": {{"m": {value}}}}}')
    assert values.metrics == {"m": number} and values.problems == {} and not values.misread


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("null", "null is not a number"),
        ("true", "true is not a number"),
        ("NaN", "nan is not a measurement"),
        ("Infinity", "inf is not a measurement"),
        ("-Infinity", "-inf is not a measurement"),
        ('"fast"', "ValueError"),
        ("[1]", "TypeError"),
        ("1e999", "inf is not a measurement"),
        ("1" * 400, "OverflowError"),
    ],
)
def test_what_is_no_measurement_is_null_with_its_reason(tmp_path: Path, value: str, why: str) -> None:
    values = read(tmp_path, f'{{"summary": {{"m": {value}}}}}')
    assert values.metrics == {"m": None} and values.misread
    assert values.problems["m"].startswith("read failed at r.json::summary.m — ") and why in values.problems["m"]


@pytest.mark.parametrize("document", ['{"summary": {}}', '{"summary": [1]}', "[]", "3", '{"summary.m": 3}'])
def test_a_missing_key_is_null_and_names_the_path(tmp_path: Path, document: str) -> None:
    assert "read failed at r.json::summary.m — no key" in read(tmp_path, document).problems["m"]


def test_a_missing_file_and_a_broken_one_say_so(tmp_path: Path) -> None:
    assert extract(stage(), ResultFiles(tmp_path)).problems["m"] == f"file missing — {tmp_path}/r.json"
    assert "read failed at r.json — JSONDecodeError" in read(tmp_path, '{"summary": ').problems["m"]
    (tmp_path / "r.json").write_bytes(b"\xff\xfe\x00")
    assert "read failed at r.json" in extract(stage(), ResultFiles(tmp_path)).problems["m"]


def test_a_file_outside_basetemp_is_never_read(tmp_path: Path) -> None:
    """However it is named: results of another attempt, or of another run, lie out there."""
    inside = tmp_path / "basetemp"
    inside.mkdir()
    outside = tmp_path / "old.json"
    outside.write_text('{"summary": {"m": 1.0}}')
    (inside / "link.json").symlink_to(outside)
    for name in ("../old.json", str(outside), "link.json"):
        values = extract(stage(metrics={"m": at("summary.m", name)}), ResultFiles(inside))
        assert values.metrics == {"m": None} and "outside this attempt's basetemp" in values.problems["m"], name


def test_sample_counts_are_whole_numbers_or_the_length_of_a_list(tmp_path: Path) -> None:
    spec = stage(sample_counts={"total": at("rows.__len__"), "ok": at("summary.ok"), "none": None})
    values = read(tmp_path, '{"summary": {"m": 1, "ok": 2.0}, "rows": [1, 2, 3]}', spec)
    assert values.sample_counts == {"total": 3, "ok": 2, "none": None}
    values = read(tmp_path, '{"summary": {"m": 1, "ok": 2.5}, "rows": {"__len__": 7}}', spec)
    assert values.sample_counts == {"total": 7, "ok": None, "none": None}
    assert "2.5 is not a count" in values.problems["samples.ok"]
    assert not values.misread, "a missing count is for the audit to judge, not a reason to halt"


def test_a_metric_without_configuration_is_null_and_no_reason_to_halt(tmp_path: Path) -> None:
    values = read(tmp_path, '{"summary": {"m": 1}}', stage(metrics={"m": at("summary.m"), "n": None}))
    assert values.metrics == {"m": 1.0, "n": None} and values.complete
    assert values.problems == {"n": "no json_file/json_path in stages.yaml"}
    assert halt_cause(PASSED, {"a": values}) is None


def test_each_file_is_read_once_and_only_used_ones_become_evidence(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('{"summary": {"m": 1, "n": 2}}')
    (tmp_path / "other.json").write_text("{}")
    files = ResultFiles(tmp_path)
    extract(stage(metrics={"m": at("summary.m"), "n": at("summary.n")}), files)
    (tmp_path / "r.json").write_text("{}")
    assert extract(stage(), files).metrics == {"m": 1.0}
    assert list(files.used()) == ["r.json"]


FULL: dict[str, float | None] = {"m": 1.0}
PART: dict[str, float | None] = {"m": None}


def values(metrics: dict[str, float | None], *, misread: bool = False, **more: Any) -> Extracted:
    problems = {"m": "file missing — /b/r.json"} if misread else {}
    return Extracted(metrics=metrics, sample_counts={}, problems=problems, misread=misread, **more)


@pytest.mark.parametrize(
    ("outcome", "misread", "status", "reason"),
    [
        (PASSED, False, "ok", ""),
        (ASSERTED, False, "ok", "threshold_assertion (exit 1)"),
        (Outcome("exit 137 (killed)", "crash"), False, "ok", "threshold_assertion (exit 137 (killed))"),
        (PASSED, True, "failed", "incomplete_metrics_extraction (file missing — /b/r.json)"),
        (Outcome("OOM", "oom"), True, "failed", "incomplete_metrics_extraction (OOM)"),
        (
            Outcome("crashed (Fatal Python error)", "crash"),
            True,
            "failed",
            "incomplete_metrics_extraction (crashed (Fatal Python error))",
        ),
    ],
)
def test_status_and_reason_follow_the_table_and_keep_the_cause(
    outcome: Outcome, misread: bool, status: str, reason: str
) -> None:
    seen = observe(stage(), values(PART if misread else FULL, misread=misread), outcome)
    assert (seen.status, seen.reason) == (status, reason)


def test_a_stage_without_metrics_is_judged_by_the_exit_alone() -> None:
    docs = StageSpec(key="docs", metrics={})
    empty = extract(docs, ResultFiles(Path("/nonexistent")))
    assert (observe(docs, empty, PASSED).status, observe(docs, empty, PASSED).reason) == ("ok", "")
    assert (observe(docs, empty, ASSERTED).status, observe(docs, empty, ASSERTED).reason) == ("failed", "exit 1")
    assert not is_complete([docs], {"docs": empty})


def test_a_pass_without_its_metrics_halts_and_names_every_one() -> None:
    missing = {"a": values(PART, misread=True), "b": values(FULL)}
    assert halt_cause(PASSED, missing) == "a.m: file missing — /b/r.json"
    assert halt_cause(ASSERTED, missing) is None


@pytest.mark.parametrize(
    ("valid", "status"), [(True, "ok"), (False, "observation_validity_failed"), (None, "observation_validity_missing")]
)
def test_an_observation_that_must_be_valid_says_whether_it_is(tmp_path: Path, valid: bool | None, status: str) -> None:
    spec = stage(validity=at("valid"))
    seen = observe(spec, read(tmp_path, json.dumps({"summary": {"m": 1}, "valid": valid}), spec), PASSED)
    assert (seen.status, seen.observation_valid) == (status, valid)


@pytest.mark.parametrize(
    ("outcome", "allowed", "status"),
    [
        (ASSERTED, True, "ok"),
        (ASSERTED, False, "unexpected_pytest_failure (exit 1)"),
        (ASSERTED, None, "unexpected_pytest_failure (exit 1)"),
        (PASSED, False, "ok"),
    ],
)
def test_only_a_failure_that_is_allowed_is_an_observation_where_that_is_configured(
    outcome: Outcome, allowed: bool | None, status: str
) -> None:
    spec = stage(allowed_failure=at("allowed"))
    seen = observe(spec, values(FULL, allowed_failure=allowed), outcome)
    assert (seen.status, seen.allowed_pytest_failure) == (status, allowed)
