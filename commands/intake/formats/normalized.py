"""Normalized records: one JSON object per result, as performance histories store them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from commands.intake.formats.measured import Measured
from projections.results.record_shape import METRICS, storable_record

NAME = "normalized"


def matches(value: Mapping[str, Any]) -> bool:
    """Whether an object is a normalized record."""
    return "model_id" in value or "gpu_type" in value or any(metric in value for metric in METRICS)


def read(value: Mapping[str, Any], *, data: bytes, path: str, format_name: str = NAME) -> Measured:
    """Take a record as it is: metrics coerced to numbers, what JSON cannot hold left out and said."""
    record, unusable = storable_record(value)
    return Measured(
        record=record,
        path=path,
        format=format_name,
        data=data,
        unusable=unusable,
        # records of the older shape have neither field: they come from times when only main was kept
        run_source_claimed="run_source" in value or "baseline_eligible" in value,
    )
