"""Event ids and the clock."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import BadInput
from ledger.identifiers import format_time, new_event_id, next_time, parse_time


@given(st.integers(0, 4_102_444_800_000_000), st.binary(min_size=10, max_size=10))
def test_an_event_id_is_a_uuid_of_version_7_that_holds_its_millisecond(us: int, entropy: bytes) -> None:
    found = uuid.UUID(new_event_id(us, entropy))
    assert found.version == 7
    assert found.variant == uuid.RFC_4122
    assert found.int >> 80 == us // 1000


@given(st.integers(0, 4_102_444_800_000_000))
def test_times_are_read_back_exactly(us: int) -> None:
    text = format_time(us)
    assert parse_time(text) == us
    assert datetime.fromisoformat(text).timestamp() == pytest.approx(us / 1e6)


def test_a_clock_that_jumped_back_still_counts_forward() -> None:
    future = time.time_ns() // 1000 + 3_600_000_000
    assert next_time(future) == future + 1
    assert next_time(0) <= time.time_ns() // 1000


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-06-01", "2026-06-01T00:00:00.000000Z"),
        ("2026-06-01T12:00:00Z", "2026-06-01T12:00:00.000000Z"),
        ("2026-06-01T12:00:00+02:00", "2026-06-01T10:00:00.000000Z"),
        ("20260601T120000Z", "2026-06-01T12:00:00.000000Z"),
    ],
)
def test_any_iso_time_is_understood_and_utc_without_an_offset(text: str, same: str) -> None:
    assert format_time(parse_time(text)) == same


@pytest.mark.parametrize(
    "text", ["yesterday", "", "1700000000", "2026-13-01", "0001-01-01T00:00:00+01:00", "9999-12-31T23:30:00-01:00"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="not a time"):
        parse_time(text)


def test_times_are_utc_whatever_the_zone_of_the_machine() -> None:
    assert format_time(0) == "1970-01-01T00:00:00.000000Z"
    assert parse_time("1970-01-01T00:00:00") == 0
    assert datetime.fromtimestamp(0, UTC).isoformat() == "1970-01-01T00:00:00+00:00"
