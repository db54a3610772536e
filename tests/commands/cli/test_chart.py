"""A chart in the terminal: each value is one mark at its height, and the newest are the ones that stay."""

from __future__ import annotations

import random

import pytest

from commands.cli.chart import HEIGHT, MARKS, Point, chart


def show(value: float) -> str:
    """A value as the axis shows it."""
    return f"{value:.2f}"


def points(chance: random.Random, count: int) -> list[Point]:
    """Some results, with and without a baseline."""
    return [
        Point(
            value=round(chance.uniform(-5, 100), 3),
            baseline=chance.choice([None, round(chance.uniform(0, 90), 3)]),
            mark=chance.choice(sorted(MARKS)),
        )
        for _ in range(count)
    ]


def columns(lines: list[str]) -> list[str]:
    """The drawing without its axis, a text for each column from top to bottom."""
    drawn = [line.partition("│")[2] for line in lines]
    width = max(map(len, drawn))
    return ["".join(line.ljust(width)[n] for line in drawn) for n in range(width)]


@pytest.mark.parametrize("seed", range(20))
def test_every_value_is_one_mark_at_its_height(seed: int) -> None:
    chance = random.Random(f"chart/{seed}")
    given = points(chance, chance.randrange(1, 40))
    pinned = chance.choice([None, 50.0])
    lines = chart(given, width=200, show=show, pinned=pinned)
    assert len(lines) == HEIGHT
    found = columns(lines)
    assert len(found) == len(given)
    values = [v for p in given for v in (p.value, p.baseline, pinned) if v is not None]
    high, step = max(values), (max(values) - min(values)) / (HEIGHT - 1)
    for point, column in zip(given, found, strict=True):
        (row,) = [n for n, sign in enumerate(column) if sign in MARKS.values()]
        assert column[row] == MARKS[point.mark]
        assert abs((high - row * step) - point.value) <= step / 2 + 1e-9, "at the nearest of the rows"
        assert set(column) <= {" ", "─", "┄", MARKS[point.mark]}


@pytest.mark.parametrize("width", [20, 33, 80])
def test_where_not_all_fit_the_newest_are_shown_and_no_line_is_wider(width: int) -> None:
    given = points(random.Random(width), 500)
    lines = chart(given, width=width, show=show)
    assert max(map(len, lines)) <= width
    shown = columns(lines)
    marks = ["".join(sign for sign in column if sign in MARKS.values()) for column in shown]
    assert marks == [MARKS[point.mark] for point in given[-len(marks) :]]


def test_values_that_are_all_the_same_are_a_level_line() -> None:
    given = [Point(value=3.0, baseline=3.0, mark="counts")] * 7
    (row,) = [line for line in chart(given, width=80, show=show) if "●" in line]
    assert row.count("●") == 7 and row.startswith("3.00 │")


def test_the_axis_goes_down_from_the_largest_to_the_smallest() -> None:
    given = points(random.Random(1), 30)
    labels = [float(line.partition("│")[0]) for line in chart(given, width=200, show=show)]
    values = [v for p in given for v in (p.value, p.baseline) if v is not None]
    assert labels == sorted(labels, reverse=True)
    assert (labels[0], labels[-1]) == (round(max(values), 2), round(min(values), 2))
