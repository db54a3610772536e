"""Plots as SVG text: the rounds of one metric on a line, its worst and its median."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

from ledger.outside.shown import html as escape

WIDTH, HEIGHT, PAD = 360, 74, 34


class Point(msgspec.Struct, frozen=True):
    """One round of a metric in display units; aside: it is on record but does not count."""

    repeat: int
    value: float
    aside: bool = False


def strip_plot(points: Sequence[Point], *, label: str, digits: int, worst_op: str) -> str:
    """Return an SVG strip plot of a metric over its rounds; empty text without points.

    Filled dots count, hollow ones were set aside. The thick line is the worst-of-N, the thin one the
    median. Each dot says its round and value on hover.
    """
    counted = [p.value for p in points if not p.aside]
    if not counted:
        return ""
    low, high = min(p.value for p in points), max(p.value for p in points)
    span = (high - low) or abs(high) or 1.0

    def x(value: float) -> float:
        return PAD + (value - low) / span * (WIDTH - 2 * PAD) if high > low else WIDTH / 2

    worst = min(counted) if worst_op == "min" else max(counted)
    middle = statistics.median(counted)
    title = f"{label}: worst {worst:.{digits}f}, median {middle:.{digits}f}"
    parts = [
        f'<svg class="strip" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
        f'<line class="axis" x1="{PAD - 10}" x2="{WIDTH - PAD + 10}" y1="34" y2="34"/>',
        f'<line class="median" x1="{x(middle):.1f}" x2="{x(middle):.1f}" y1="20" y2="48"/>',
        f'<line class="worst" x1="{x(worst):.1f}" x2="{x(worst):.1f}" y1="12" y2="56"/>',
    ]
    for point in points:
        # rounds fan out around the axis so that equal values stay apart
        y = 34 + ((point.repeat % 5) - 2) * 4
        kind = "aside" if point.aside else "dot"
        says = escape(f"round {point.repeat}: {point.value:.{digits}f}")
        parts.append(f'<circle class="{kind}" cx="{x(point.value):.1f}" cy="{y}" r="4"><title>{says}</title></circle>')
    ends = [(low, "start", PAD - 10)] if high == low else [(low, "start", PAD - 10), (high, "end", WIDTH - PAD + 10)]
    parts += [
        f'<text x="{at}" y="{HEIGHT - 4}" text-anchor="{anchor}">{value:.{digits}f}</text>'
        for value, anchor, at in ends
    ]
    return "".join(parts) + "</svg>"
