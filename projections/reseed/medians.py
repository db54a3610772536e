"""What seeds would do to a baseline: pure arithmetic over a window, oldest first.

Which results a window has is not decided here, see `projections.results.window`. See docs/reseed.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from projections.results.metric_policy import CATALOGUE
from projections.results.record_shape import METRICS, measurement, median, parse_instant

Medians = dict[str, float | None]


@dataclass(frozen=True)
class HistoryRecord:
    """One record of a dataset: its path there, its content, its bytes' digest."""

    path: str
    record: Mapping[str, Any]
    sha256: str

    @property
    def order(self) -> tuple[bool, str, str]:
        """(instant, path); a record without a time that parses comes before all others."""
        instant = parse_instant(self.record.get("timestamp"))
        return (instant is not None, instant.isoformat(timespec="microseconds") if instant else "", self.path)


def medians_of(records: Sequence[Mapping[str, Any]]) -> Medians:
    """Return the median per metric over the records that measured it."""
    found: Medians = {}
    for metric in METRICS:
        values = [v for v in (measurement(r.get(metric))[0] for r in records) if v is not None]
        found[metric] = median(values)
    return found


def after_seeds(window: Sequence[Mapping[str, Any]], seeds: Sequence[Mapping[str, Any]], size: int) -> Medians:
    """Return the medians of the window once the seeds, newer than all of it, have come in."""
    return medians_of([*window, *seeds][-size:])


def spread_of(sources: Sequence[Mapping[str, Any]]) -> Medians:
    """Return per metric how much worse than the batch median the worst source is, as a fraction.

    One-sided, in the metric's own direction; None with fewer than two values or a median of zero or less.
    """
    centre = medians_of(sources)
    found: Medians = {}
    for metric in METRICS:
        values = [v for v in (measurement(r.get(metric))[0] for r in sources) if v is not None]
        middle = centre[metric]
        if len(values) < 2 or middle is None or middle <= 0:
            found[metric] = None
            continue
        sign = -1.0 if CATALOGUE[metric].higher_is_better else 1.0
        found[metric] = max(sign * (value - middle) / middle for value in values)
    return found


def moves(window: Sequence[Mapping[str, Any]], seeds: Sequence[Mapping[str, Any]], size: int) -> dict[str, Medians]:
    """Return, for 1 to `size` seeds, the medians they would give: computed, not a rule of thumb.

    `seeds` are those that count; without any the medians stay. Where more seeds are asked about than there are, the
    rest are taken at the batch medians.
    """
    if not seeds:
        return {str(n): medians_of(window) for n in range(1, size + 1)}
    typical = medians_of(seeds)
    enough = [*seeds, *([typical] * max(0, size - len(seeds)))]
    return {str(n): after_seeds(window, enough[:n], size) for n in range(1, size + 1)}
