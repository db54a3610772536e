"""The normalized record: its metrics, coercions, timestamps and file names.

These are the shapes of the performance histories that exist (one JSON object per benchmark run), so
that what is read from them and written for them means the same on both sides.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Mapping
from datetime import UTC, datetime
from typing import Any

from projections.facts import record
from projections.facts.record import NO_TEXT, SPACE

Record = dict[str, Any]

METRICS = record.NAMES

# The fixed limits a raw result carries: field of the raw result, limit in its `thresholds`, metric.
STATIC_FIELDS = tuple((metric.raw, metric.static, metric.name) for metric in record.METRICS if metric.static)

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


def safe_float(value: Any) -> float | None:
    """Coerce as the existing tools do: None for null and for what `float()` refuses.

    Numeric text counts (`" 13 "`, `"1e1"`, `"1_000"`), true is 1.0, and NaN and infinities come back
    as themselves: `measurement` is what keeps them out.
    """
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
    except OverflowError:  # an integer no double can hold
        return math.inf if value > 0 else -math.inf


def measurement(value: Any) -> tuple[float | None, str | None]:
    """Return a finite measurement, or None with the reason why the value is not one.

    null and a missing value are no measurement and need no reason.
    """
    number = safe_float(value)
    if number is None:
        return None, None if value is None else f"not a number: {_short(value)}"
    if math.isnan(number):
        return None, "NaN"
    if math.isinf(number):
        return None, "infinite"
    return number, None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def storable(value: Any, path: str = "") -> tuple[Any, dict[str, str]]:
    """Return `value` as a ledger can hold it, and what had to be left out: field path to reason.

    NaN, infinities and integers beyond 64 bits become null; text that is not Unicode gets U+FFFD.
    """
    lost: dict[str, str] = {}
    return _storable(value, path, lost), lost


def _storable(value: Any, path: str, lost: dict[str, str]) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        lost[path or "value"] = "NaN" if math.isnan(value) else "infinite"
        return None
    if isinstance(value, int) and not isinstance(value, bool) and not INT64_MIN <= value <= INT64_MAX:
        lost[path or "value"] = "an integer beyond 64 bits"
        return None
    if isinstance(value, str):
        if value.isascii():
            return value
        clean = _clean(value)
        if clean != value:
            lost[path or "value"] = "text that is not Unicode"
        return clean
    if isinstance(value, dict):
        found = {}
        for key, item in value.items():
            name = str(key)
            if not name.isascii():  # the place is said by the clean name, which has to be storable itself
                name = _storable(name, _clean(f"{path}.{name}" if path else name), lost)
            found[name] = _storable(item, f"{path}.{name}" if path else name, lost)
        return found
    if isinstance(value, list):
        return [_storable(item, f"{path}[{index}]", lost) for index, item in enumerate(value)]
    return value


def _clean(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def storable_record(record: Mapping[str, Any]) -> tuple[Record, dict[str, str]]:
    """Return a record with finite metrics, and field to reason for every value that was unusable."""
    clean, unusable = storable(dict(record))
    for metric in METRICS:
        if metric in record:
            clean[metric], reason = measurement(record[metric])
            if reason:
                unusable[metric] = reason
    return clean, unusable


def parse_instant(value: Any) -> datetime | None:
    """Return a record's timestamp as UTC, or None when it has none that parses.

    Any ISO 8601 form counts, without an offset it is UTC; numbers of seconds do not. Instants that
    leave the calendar when brought to UTC stay at its first or last microsecond.
    """
    if not value:
        return None
    try:
        stamp = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    if stamp.tzinfo is None:
        return stamp.replace(tzinfo=UTC)
    try:
        return stamp.astimezone(UTC)
    except OverflowError:
        edge = datetime.min if stamp.year == 1 else datetime.max
        return edge.replace(tzinfo=UTC)


def instant_text(value: Any) -> str | None:
    """Return a record's timestamp as ISO 8601 UTC with six decimals and `Z`; None as `parse_instant`."""
    stamp = parse_instant(value)
    # always six decimals: plain isoformat() drops them on a whole second, and the text must sort as time does
    return stamp.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z" if stamp else None


def sanitize(text: str) -> str:
    """Return `text` as one safe path component: all but `A-Za-z0-9._-` become `_`.

    Empty text and text starting with a dot get `_` in front. Not injective: `a/b` and `a b` meet.
    """
    safe = _UNSAFE.sub("_", text)
    return f"_{safe}" if not safe or safe.startswith(".") else safe


def _parts(record: Mapping[str, Any]) -> tuple[str, str, str]:
    return (
        sanitize(str(record.get("model_id") or "unknown")),
        sanitize(str(record.get("timestamp") or "")),
        sanitize(str(record.get("commit_sha") or "unknown")),
    )


def tracking_path(record: Mapping[str, Any]) -> str:
    """Return where a history keeps this record: `<model>/<timestamp>_<commit>.json`."""
    model, stamp, commit = _parts(record)
    return f"{model}/{stamp}_{commit}.json"


def artifact_name(record: Mapping[str, Any]) -> str:
    """Return the file name of this record as a CI artifact: `normalized_perf_<model>_<timestamp>_<commit>.json`."""
    return "normalized_perf_{}_{}_{}.json".format(*_parts(record))


def unused(name: str, taken: Container[str]) -> str:
    """Return a `.json` name that is not taken yet: itself, else with `_2`, `_3`, ... before the ending."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name.removesuffix('.json')}_{number}.json"
    return found


def succeeded(value: Any, *, text_as_truth: bool = False) -> bool:
    """Return what a record's `success` says; call it with True when the field is missing.

    The texts false, 0, no and off say no, unless `text_as_truth` asks for the old reading in which
    every text but the empty one is a yes.
    """
    if isinstance(value, str) and not text_as_truth:
        return value.strip(SPACE).lower() not in NO_TEXT
    return bool(value)


def median(values: list[float]) -> float | None:
    """Return the median, the mean of the two middle values for an even count; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    mean = (ordered[middle - 1] + ordered[middle]) / 2
    return mean if math.isfinite(mean) else ordered[middle - 1] / 2 + ordered[middle] / 2
