"""Series of other benchmark tools: one value with a unit becomes a record with the metric that unit means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from commands.intake.formats.measured import Measured
from ledger import canonical
from projections.results.record_shape import Record, measurement, storable

_SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "secs": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "min": 60.0,
}
_MEGABYTES = {
    "b": 1e-6,
    "byte": 1e-6,
    "bytes": 1e-6,
    "kb": 1e-3,
    "kib": 1.024e-3,
    "mb": 1.0,
    "mib": 1.048576,
    "gb": 1e3,
    "gib": 1073.741824,
}
_RATE = re.compile(r".+/\s*(s|sec|second|seconds)$")


def metric_of(unit: str, value: float, *, bigger_is_better: bool | None = None) -> tuple[str, float] | None:
    """Return the metric a unit means and the value in that metric's unit: seconds, per second, MB.

    A unit that is none of these is a metric only when the tool says which direction is better; its value is
    kept as it is. None when nothing says what it means.
    """
    word = unit.strip().lower()
    if _RATE.fullmatch(word):
        return "throughput", value
    plain = word.partition("/")[0].strip()
    if plain in _SECONDS:
        return "latency", value * _SECONDS[plain]
    if plain in _MEGABYTES:
        return "memory", value * _MEGABYTES[plain]
    if bigger_is_better is None:
        return None
    return ("throughput" if bigger_is_better else "latency"), value


@dataclass(frozen=True, kw_only=True)
class Point:
    """One value of a series as its tool wrote it.

    at_ms: milliseconds since 1970. more: fields the record gets as well.
    """

    model_id: str
    where: str
    unit: str
    value: Any
    at_ms: Any
    commit: str
    path: str
    format_name: str
    bigger_is_better: bool | None = None
    more: Mapping[str, Any] | None = None


def result_of(point: Point) -> Measured | str:
    """Return one point of a series as a result, or the reason why it is not one.

    Such benchmarks run from nanoseconds to hours, so no absolute floor fits all: their percent floor
    decides alone, which the record says itself.
    """
    number, reason = measurement(point.value)
    if number is None:
        return reason or "no value"
    found = metric_of(point.unit, number, bigger_is_better=point.bigger_is_better)
    if found is None:
        return f"the unit {point.unit!r} says neither time, rate nor size"
    metric, scaled = found
    record: Record = {
        "model_id": point.model_id,
        "timestamp": _stamp(point.at_ms),
        "commit_sha": point.commit,
        "gpu_type": point.where,
        metric: scaled,
        "success": True,
        "unit": point.unit,
        "regression_thresholds": {metric: {"threshold_absolute": 0.0}},
        **(point.more or {}),
    }
    clean, unusable = storable(record)
    return Measured(
        record=clean,
        path=point.path,
        format=point.format_name,
        data=canonical.encode(clean),
        unusable=unusable,
        run_source_claimed=False,
    )


def _stamp(at_ms: Any) -> str | None:
    milliseconds, _ = measurement(at_ms)
    if milliseconds is None:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="microseconds")
    except (OverflowError, OSError, ValueError):
        return None
