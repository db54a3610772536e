"""Draw a series of values in the terminal: one column per value, so that nothing is averaged away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

HEIGHT = 12
MARKS = {"counts": "●", "other": "○", "failed": "✗"}


@dataclass(frozen=True)
class Point:
    """One result: its value, the baseline it was compared with (None: none), and a mark of `MARKS`."""

    value: float
    baseline: float | None
    mark: str


def chart(
    points: Sequence[Point], *, width: int, show: Callable[[float], str], pinned: float | None = None
) -> list[str]:
    """Return the lines of a chart of the last points that fit in `width` characters.

    `show` writes a value as the axis shows it. `●` counted, `○` not counted, `✗` failed; `─` the rolling
    baseline, `┄` the pinned one.
    """
    label = max(len(show(extreme)) for extreme in _range(points, pinned))
    shown = list(points[-max(width - label - 3, 10) :])
    low, high = _range(shown, pinned)
    span = (high - low) or abs(high) or 1.0
    grid = [[" "] * len(shown) for _ in range(HEIGHT)]

    def row_of(value: float) -> int:
        return round((high - value) / span * (HEIGHT - 1)) if high > low else HEIGHT // 2

    for column, point in enumerate(shown):
        if pinned is not None:
            grid[row_of(pinned)][column] = "┄"
        if point.baseline is not None:
            grid[row_of(point.baseline)][column] = "─"
    for column, point in enumerate(shown):
        grid[row_of(point.value)][column] = MARKS[point.mark]
    step = (high - low) / (HEIGHT - 1)
    labels = [show(high - step * i) for i in range(HEIGHT)]
    wide = max(map(len, labels))
    return [f"{text:>{wide}} │{''.join(line).rstrip()}" for text, line in zip(labels, grid, strict=True)]


def _range(points: Sequence[Point], pinned: float | None) -> tuple[float, float]:
    values = [v for p in points for v in (p.value, p.baseline) if v is not None]
    values += [pinned] if pinned is not None else []
    return min(values), max(values)
