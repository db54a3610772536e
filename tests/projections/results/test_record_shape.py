"""The normalized record: coercion, timestamps, names. Facts: performance CI of hao-ai-lab/FastVideo, August 2026."""

from __future__ import annotations

import math
import statistics
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.results.record_shape import (
    artifact_name,
    instant_text,
    measurement,
    median,
    parse_instant,
    safe_float,
    sanitize,
    storable_record,
    succeeded,
    tracking_path,
    unused,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("12.5", 12.5),
        ("  13 ", 13.0),
        ("1e1", 10.0),
        ("1_000", 1000.0),
        (True, 1.0),
        (3, 3.0),
        ("n/a", None),
        ([1], None),
        ({}, None),
        ("", None),
    ],
)
def test_a_number_is_what_python_makes_a_float_of_and_all_else_is_null(value: Any, expected: float | None) -> None:
    assert safe_float(value) == expected
    assert measurement(value)[0] == expected


@pytest.mark.parametrize("value", ["NaN", "inf", "-Infinity", float("nan"), float("inf"), 10**400])
def test_nan_and_infinities_read_as_numbers_but_are_never_measurements(value: Any) -> None:
    number = safe_float(value)
    assert number is not None and not math.isfinite(number)
    assert measurement(value) == (None, "NaN" if math.isnan(number) else "infinite")


def test_what_json_cannot_hold_is_left_out_and_said() -> None:
    record, lost = storable_record(
        {
            "latency": float("nan"),
            "throughput": "n/a",
            "memory": " 13 ",
            "dit_time_s": None,
            "recipe": {"steps": [1, float("inf")], "seed": 2**70},
            "branch": "\ud800",
            "commit_sha": "abc",
        }
    )
    assert record == {
        "latency": None,
        "throughput": None,
        "memory": 13.0,
        "dit_time_s": None,
        "recipe": {"steps": [1, None], "seed": None},
        "branch": "\ufffd\ufffd\ufffd",
        "commit_sha": "abc",
    }
    assert lost == {
        "latency": "NaN",
        "throughput": "not a number: 'n/a'",
        "recipe.steps[1]": "infinite",
        "recipe.seed": "an integer beyond 64 bits",
        "branch": "text that is not Unicode",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wan-t2v-1.3b-2gpu", "wan-t2v-1.3b-2gpu"),
        ("a/b", "a_b"),
        ("a b", "a_b"),
        ("a_b", "a_b"),
        ("模型", "__"),
        ("", "_"),
        ("..", "_.."),
        (".hidden", "_.hidden"),
        ("2026-08-21T22:10:05.1+00:00", "2026-08-21T22_10_05.1_00_00"),
    ],
)
def test_sanitized_names_are_one_safe_path_component(text: str, expected: str) -> None:
    assert sanitize(text) == expected


def test_file_names_of_a_record() -> None:
    record = {"model_id": "wan-t2v-1.3b-2gpu", "timestamp": "2026-08-21T22:10:05.123456+00:00", "commit_sha": "2f3d"}
    assert tracking_path(record) == "wan-t2v-1.3b-2gpu/2026-08-21T22_10_05.123456_00_00_2f3d.json"
    assert artifact_name(record) == "normalized_perf_wan-t2v-1.3b-2gpu_2026-08-21T22_10_05.123456_00_00_2f3d.json"
    assert tracking_path({"model_id": "m", "timestamp": "t", "commit_sha": ""}) == "m/t_unknown.json"


def test_a_taken_file_name_gets_the_first_free_number() -> None:
    assert unused("m/t.json", set()) == "m/t.json"
    assert unused("m/t.json", {"m/t.json"}) == "m/t_2.json"
    assert unused("m/t.json", {"m/t.json": 1, "m/t_2.json": 1, "m/t_4.json": 1}) == "m/t_3.json"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-06-01T00:00:00+00:00", "2026-06-01T00:00:00.000000Z"),
        ("2026-06-01T02:00:00+02:00", "2026-06-01T00:00:00.000000Z"),
        ("2026-06-01T00:00:00Z", "2026-06-01T00:00:00.000000Z"),
        ("20260601T000000", "2026-06-01T00:00:00.000000Z"),
        ("2026-06-01", "2026-06-01T00:00:00.000000Z"),
        ("2026-W23-1", "2026-06-01T00:00:00.000000Z"),
        (20260601, "2026-06-01T00:00:00.000000Z"),
        (1780272000.5, None),
        ("soon", None),
        ("", None),
        (None, None),
        (0, None),
        ("0001-01-01T00:00:00+23:00", "0001-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59-23:00", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_any_iso_form_is_an_instant_and_without_offset_it_is_utc(value: Any, expected: str | None) -> None:
    assert instant_text(value) == expected


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_instants_as_text_sort_as_instants(a: datetime, b: datetime) -> None:
    first, second = instant_text(a.isoformat()), instant_text(b.isoformat())
    assert first is not None and second is not None
    assert (first < second) == (a < b)
    assert parse_instant(a.isoformat()) == a


@pytest.mark.parametrize(
    ("value", "meaning", "truth"),
    [
        (True, True, True),
        (None, False, False),
        (0, False, False),
        ("", False, False),
        (1, True, True),
        ("false", False, True),
        (" NO ", False, True),
        ("yes", True, True),
        ("0", False, True),
    ],
)
def test_the_text_false_is_no_success_unless_the_older_reading_is_asked_for(
    value: Any, meaning: bool, truth: bool
) -> None:
    assert succeeded(value) is meaning
    assert succeeded(value, text_as_truth=True) is truth


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300), min_size=1))
def test_median_is_the_middle_or_the_mean_of_the_two_middle_values(values: list[float]) -> None:
    assert median(values) == statistics.median(values)


def test_median_of_nothing_is_nothing_and_of_extremes_is_finite() -> None:
    assert median([]) is None
    assert median([1.7e308, 1.7e308]) == 1.7e308
