"""Medians as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projections.results.metric_policy import CATALOGUE

if TYPE_CHECKING:
    from ledger.events.reseeds import Medians


def _value(metric: str, value: float | None) -> str:
    return "-" if value is None else f"{value:.{CATALOGUE[metric].decimals}f}"


def medians_line(medians: Medians) -> str:
    """Return medians on one line."""
    return ", ".join(
        f"{CATALOGUE[m].label} {_value(m, medians.get(m))}" for m in CATALOGUE if medians.get(m) is not None
    )
