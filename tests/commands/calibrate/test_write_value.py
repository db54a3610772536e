"""The number apply writes, by group (specification, 12.1; defects 17 and 18 of the existing tool)."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands.calibrate.applying.write_value import percent_change, write_value
from commands.calibrate.config.metrics import WriteRule, default_registry
from commands.calibrate.config.stages import WorstOp

FINITE = st.floats(0, 1e6, allow_nan=False)
OPS = st.sampled_from(["min", "max"])


def written(metric: str, worst: float | None) -> int | float | None:
    """What is written for a metric of the registry."""
    registry = default_registry()
    spec = registry.metrics[metric]
    rule = registry.group(spec.group).write
    return write_value(worst, rule=rule, worst_op=spec.worst, digits=spec.display.digits, count=spec.count)


@pytest.mark.parametrize(
    ("metric", "worst", "expected"),
    [
        ("corpus_wer", 0.01231, 0.0124),
        ("corpus_wer", 0.0119, 0.0119),
        ("corpus_wer", 0.011900001, 0.012),
        ("corpus_wer", 0.0, 0.0),
        ("per_sample_wer_max", 0.42857142857142855, 0.4286),
        ("n_above_50", 5.0, 5),
        ("failed_requests", 0.0, 0),
        ("failed_requests", 1.2, 2),
        ("accuracy", 0.71428571, 0.71428571),
        ("similarity_mean", 66.182890014, 66.182890014),
        ("utmos_mean", 4.1234567, 4.1234567),
        ("throughput_qps", 17.6785, 17.678),
        ("throughput_qps", 17.6786, 17.6786),
        ("latency_mean_s", 0.8994, 0.8994),
        ("latency_mean_s", 0.8996, 0.9),
        ("output_tok_per_req_s", 149.26, 149.26),
        ("output_tok_per_req_s", 149.24, 149.2),
        ("rtf_p95", 0.21304, 0.21304),
        ("cer_percent", 5.844032032540994, 5.844032032540994),
        ("cp_cer_valid_samples", 684.0, 684),
        ("throughput_qps", None, None),
    ],
)
def test_each_group_has_its_rule(metric: str, worst: float | None, expected: int | float | None) -> None:
    """WER up at 4 decimals; counts whole; accuracy, similarity, MOS and diarization as measured;
    speed rounded for display unless that is stricter than what was measured."""
    value = written(metric, worst)
    assert value == expected
    assert type(value) is type(expected)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 100_000))
def test_a_wer_with_four_decimals_is_left_alone(steps: int) -> None:
    """The existing tool moves 290 of the 5,000 values below 0.5 up one step."""
    value = steps / 10_000
    assert written("corpus_wer", value) == value


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FINITE)
def test_a_written_wer_is_the_smallest_step_that_passes_and_writing_it_again_changes_nothing(worst: float) -> None:
    value = written("corpus_wer", worst)
    assert value is not None
    assert value >= worst
    assert Fraction(repr(value)) - Fraction(repr(worst)) < Fraction(1, 10_000)
    assert written("corpus_wer", float(value)) == value


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FINITE, OPS, st.sampled_from(["raw", "ceil4", "ceil", "rounded"]), st.integers(0, 6), st.booleans())
def test_what_is_written_never_fails_what_was_measured(
    worst: float, worst_op: WorstOp, rule: WriteRule, digits: int, count: bool
) -> None:
    """Bounds: a lower bound is at most, an upper bound at least the worst value; and again the same."""
    value = write_value(worst, rule=rule, worst_op=worst_op, digits=digits, count=count)
    assert value is not None and math.isfinite(value)
    assert value <= worst if worst_op == "min" else value >= worst
    again = write_value(float(value), rule=rule, worst_op=worst_op, digits=digits, count=count)
    assert again == value
    assert isinstance(value, int) == (count or rule == "ceil")


def test_the_change_is_a_signed_fraction_of_the_old_value() -> None:
    assert percent_change(45.634, 44.1) == pytest.approx(-0.03361528, abs=1e-8)
    assert percent_change(-2, -1) == 0.5
    assert percent_change(0, 1) is None
    assert percent_change(None, 1) is None
