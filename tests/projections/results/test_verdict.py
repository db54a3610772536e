"""Statuses and their precedence. Facts: performance CI of hao-ai-lab/FastVideo, August 2026, May without identity."""

from __future__ import annotations

from typing import Any

import pytest

from projections.results.metric_policy import LimitChange, MetricPolicy, Rules
from projections.results.record_shape import METRICS
from projections.results.verdict import Baseline, Pinned, Subject, Verdict, WindowRecord, exit_code, judge, worst

IDENTITY: dict[str, Any] = {
    "result_schema_version": 2,
    "workload_id": "wan",
    "variant_id": "v",
    "benchmark_version": 3,
    "recipe_fingerprint": "r1",
    "hardware_profile_id": "hw",
    "software_profile_id": "sw",
}
LEGACY: dict[str, Any] = {"model_id": "m", "gpu_type": "L40S", "latency": 10.0, "throughput": 2.0, "memory": 9000.0}
V2 = {**LEGACY, **IDENTITY}


def window(*latencies: float | None, **others: float) -> list[WindowRecord]:
    return [
        WindowRecord(f"e{i}", f"p{i}", {**dict.fromkeys(METRICS), "latency": value, **others})
        for i, value in enumerate(latencies)
    ]


def verdict(
    record: dict[str, Any],
    *latencies: float | None,
    policy: MetricPolicy | None = None,
    static: dict[str, float] | None = None,
    source: str = "scheduled_main",
    failed: bool = False,
    claimed: bool = True,
    **baseline: Any,
) -> Verdict:
    subject = Subject(record, source, static or {}, claimed)
    return judge(
        subject,
        Baseline(window=window(*latencies), **baseline),
        policy or MetricPolicy(),
        run_failed_unexplained=failed,
    )


# ---------------------------------------------------------------- the eight rows, each over all rows below it


def test_row_1_an_incomplete_identity_is_an_infra_error_before_anything_else() -> None:
    broken = {**V2, "software_profile_id": None, "variant_id": " "}
    found = verdict(broken, static={"max_generation_time_s": 1.0}, failed=True, other_recipes=["r2"])
    assert (found.status, found.baseline_status) == ("INFRA_ERROR", "invalid_identity")
    assert "missing required comparison identity fields: variant_id, software_profile_id" in found.reason
    assert (found.success, found.baseline_eligible, found.failing_metrics) == (False, False, ["latency"])


def test_row_2_an_empty_cohort_whose_workload_has_another_recipe_is_a_mismatch() -> None:
    found = verdict(V2, static={"max_generation_time_s": 1.0}, failed=True, other_recipes=["r2", "r9"])
    assert (found.status, found.baseline_status, found.success) == ("RECIPE_MISMATCH", "recipe_mismatch", False)
    assert "r2, r9" in found.reason
    assert verdict(V2, 10.0, other_recipes=["r2"]).status == "PASS"  # not with a baseline of its own


def test_row_3_a_breach_of_its_own_fixed_limit_is_a_regression() -> None:
    found = verdict(V2, 10.0, static={"max_generation_time_s": 9.5, "max_peak_memory_mb": 8999.9}, failed=True)
    assert (found.status, found.baseline_status) == ("REGRESSION", "compared")
    assert found.reason == (
        "m avg_generation_time_s exceeded fixed threshold (current=10.000, threshold=9.500); "
        "m max_peak_memory_mb exceeded fixed threshold (current=9000.0, threshold=8999.9)"
    )
    assert found.failing_metrics == ["latency", "memory"]
    assert verdict(V2, static={"max_generation_time_s": 9.5}).baseline_status == "initialized_new_cohort"
    assert verdict(V2, 10.0, static={"max_generation_time_s": 10.0}).status == "PASS"  # at the limit passes


def test_row_4_a_failed_test_run_nobody_explains_is_an_infra_error() -> None:
    found = verdict(V2, 10.0, failed=True)
    assert (found.status, found.success) == ("INFRA_ERROR", False)
    assert "pytest failed without an attributable static-threshold regression" in found.reason


def test_row_5_an_empty_cohort_with_identity_needs_calibration_and_does_not_fail() -> None:
    found = verdict(V2)
    assert (found.status, found.baseline_status) == ("CALIBRATION_NEEDED", "initialized_new_cohort")
    assert (found.success, found.baseline_eligible) == (True, False)
    assert found.reason.startswith("No baseline found for exact comparable identity (workload_id=wan, variant_id=v")


def test_row_6_an_empty_cohort_without_identity_passes_and_starts_the_baseline() -> None:
    found = verdict(LEGACY)
    assert (found.status, found.reason) == ("PASS", "No legacy baseline for m on L40S")
    assert (found.baseline_status, found.baseline_eligible) == ("initialized_new_cohort", True)


def test_row_7_a_gated_metric_beyond_both_floors_is_a_regression() -> None:
    found = verdict({**V2, "latency": 31.2}, 28.4, 28.4, 28.4)
    assert found.status == "REGRESSION"
    assert found.reason == (
        "m latency regressed by 9.9% and 2.800 (current=31.200, baseline_median=28.400, "
        "threshold=gated, >8.0% and >0.500)"
    )
    assert found.metrics["latency"] == {
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
    assert found.failing_metrics == ["latency"]


def test_row_8_otherwise_it_passes_and_a_scheduled_main_run_may_enter_the_baseline() -> None:
    found = verdict(V2, 10.0)
    assert (found.status, found.reason) == ("PASS", "Comparable baseline found with no gated regressions")
    assert found.baseline_eligible
    for source in ("pr", "local", "unknown"):
        assert not verdict(V2, 10.0, source=source).baseline_eligible


# ---------------------------------------------------------------- floors


@pytest.mark.parametrize(
    ("now", "base", "exceeded"),
    [
        (13.5, 12.5, False),  # exactly 8 %: not more than the floor
        (13.6, 12.5, True),
        (1.4, 1.0, False),  # 40 % but not more than half a second
        (5.5, 5.0, False),
        (5.51, 5.0, True),
        (9.0, 10.0, False),
    ],
)
def test_both_floors_must_be_exceeded_strictly(now: float, base: float, exceeded: bool) -> None:
    row = verdict({**V2, "latency": now}, base).metrics["latency"]
    assert (row["exceeded"], row["regressed"]) == (exceeded, exceeded)


def test_throughput_is_worse_when_lower() -> None:
    def row(now: float) -> dict[str, Any]:
        subject = Subject({**V2, "throughput": now}, "pr")
        return judge(subject, Baseline(window(None, throughput=2.0)), MetricPolicy()).metrics["throughput"]

    assert row(1.8)["delta_absolute"] == pytest.approx(0.2) and row(1.8)["regressed"]
    assert row(3.0)["delta_percent"] == pytest.approx(-0.5) and not row(3.0)["exceeded"]


def test_an_info_metric_is_shown_and_never_fails() -> None:
    found = verdict({**V2, "latency": 20.0, "regression_thresholds": {"latency": {"gated": False}}}, 10.0)
    assert found.metrics["latency"]["exceeded"] and not found.metrics["latency"]["regressed"]
    assert (found.status, found.failing_metrics) == ("PASS", [])


@pytest.mark.parametrize(("now", "base"), [(None, 10.0), (10.0, None), (10.0, 0.0), (10.0, -1.0)])
def test_a_metric_without_a_value_or_with_a_baseline_of_zero_or_less_is_skipped(
    now: float | None, base: float | None
) -> None:
    row = verdict({**V2, "latency": now}, base).metrics["latency"]
    assert (row["delta_percent"], row["exceeded"]) == (None, False)


def test_the_baseline_is_the_median_of_values_that_are_there_and_the_window_is_not_extended() -> None:
    found = verdict(V2, 10.0, None, 12.0, 11.0, None)
    assert found.metrics["latency"]["baseline"] == 11.0
    assert verdict(V2, 10.0, 12.0, None).metrics["latency"]["baseline"] == 11.0
    assert len(found.window) == 5


def test_extreme_values_give_finite_numbers() -> None:
    row = verdict({**V2, "latency": 1.7e308}, 5e-324).metrics["latency"]
    assert row["regressed"] and row["delta_percent"] == pytest.approx(1.797e308, rel=1e-3)


# ---------------------------------------------------------------- nothing measured, policies, pins


def test_nothing_measured_is_not_green_and_never_eligible_unless_the_policy_says_so() -> None:
    empty = {**V2, "latency": None, "throughput": None, "memory": None}
    found = verdict(empty, 10.0)
    assert (found.status, found.success, found.baseline_eligible) == ("NOTHING_MEASURED", False, False)
    old = MetricPolicy(rules=Rules(nothing_measured="pass"))
    found = verdict(empty, 10.0, policy=old)
    assert (found.status, found.success, found.baseline_eligible) == ("PASS", True, True)


def test_a_policy_may_compare_results_without_identity_not_at_all() -> None:
    policy = MetricPolicy(rules=Rules(legacy_comparison="none"))
    found = verdict({**LEGACY, "latency": 99.0}, policy=policy)
    assert (found.status, found.baseline_status, found.baseline_eligible) == ("PASS", "skipped_missing_identity", False)


def test_the_single_limit_holds_for_results_without_identity_only() -> None:
    policy = MetricPolicy(rules=Rules(legacy_max_regression=0.05))
    assert verdict({**LEGACY, "latency": 10.51}, 10.0, policy=policy).status == "REGRESSION"
    assert verdict({**LEGACY, "latency": 10.5}, 10.0, policy=policy).status == "PASS"
    assert verdict({**V2, "latency": 10.6}, 10.0, policy=policy).status == "PASS"
    assert "threshold=gated, >5.0%)" in verdict({**LEGACY, "latency": 10.6}, 10.0, policy=policy).reason


@pytest.mark.parametrize(
    ("source", "claimed", "eligible"),
    [
        ("scheduled_main", True, True),
        ("local", True, False),
        ("pr", True, False),
        ("local", False, True),
        ("scheduled_main", False, True),
        ("pr", False, False),
        ("unknown", False, False),
    ],
)
def test_a_result_without_identity_counts_from_main_or_when_it_names_no_source_and_ci_none_either(
    source: str, claimed: bool, eligible: bool
) -> None:
    assert verdict(LEGACY, 10.0, source=source, claimed=claimed).baseline_eligible is eligible


def test_a_pinned_baseline_shows_the_drift_the_window_hides_and_fails_only_when_asked_to() -> None:
    pin = Pinned("v1.0", "event", {"latency": 8.0})
    found = verdict(V2, 10.0, pinned=pin)
    assert found.status == "PASS" and found.pinned is not None
    assert (found.pinned["name"], found.pinned["exceeded"]) == ("v1.0", ["latency"])
    strict = verdict(V2, 10.0, pinned=pin, policy=MetricPolicy(rules=Rules(pinned="fail")))
    assert (strict.status, strict.failing_metrics) == ("REGRESSION", ["latency"])
    assert "pinned v1.0=8.000" in strict.reason


def test_the_nearest_cohort_is_information_for_an_empty_one_only() -> None:
    near = {"target": "t", "medians": {"latency": 9.0}}
    assert verdict(V2, nearest=near).nearest == near
    assert verdict(V2, 10.0, nearest=near).nearest is None


def test_a_policy_files_limits_are_used() -> None:
    policy = MetricPolicy(metrics={"latency": LimitChange(threshold_percent=0.01, threshold_absolute=0.05)})
    assert verdict({**V2, "latency": 10.2}, 10.0, policy=policy).status == "REGRESSION"


# ---------------------------------------------------------------- the whole run


def test_the_worst_status_speaks_for_the_run() -> None:
    order = ["INFRA_ERROR", "REGRESSION", "RECIPE_MISMATCH", "NOTHING_MEASURED", "CALIBRATION_NEEDED", "PASS"]
    for index, status in enumerate(order):
        assert worst(order[index:]) == status
        assert worst(list(reversed(order[index:]))) == status
    assert worst([]) == "NOTHING_MEASURED"


def test_exit_codes_follow_the_overall_status() -> None:
    codes = {
        status: exit_code(status, MetricPolicy())
        for status in ("PASS", "CALIBRATION_NEEDED", "REGRESSION", "RECIPE_MISMATCH", "INFRA_ERROR", "NOTHING_MEASURED")
    }
    assert codes == {
        "PASS": 0,
        "CALIBRATION_NEEDED": 0,
        "REGRESSION": 1,
        "RECIPE_MISMATCH": 1,
        "INFRA_ERROR": 1,
        "NOTHING_MEASURED": 5,
    }
    assert exit_code("NOTHING_MEASURED", MetricPolicy(rules=Rules(nothing_measured="pass"))) == 0
    assert exit_code("CALIBRATION_NEEDED", MetricPolicy(rules=Rules(calibration_needed="inconclusive"))) == 5
