"""`perfledger baseline history` and `plot`: a target's results in order, as rows or as a chart."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import click

from commands.cli.app import App, command
from commands.cli.chart import Point, chart
from commands.cli.numbers import Whole
from commands.cli.targets import resolve_target, target_options
from commands.results.baseline_reading import WHY_SQL
from commands.results.check_summary import number
from ledger.errors import Inconclusive
from ledger.outside import shown
from projections.results.metric_policy import CATALOGUE
from projections.results.record_shape import METRICS, median

if TYPE_CHECKING:
    from projections.state.state import State

PLOT_WIDTH_MAX = 120
EVERY = 2**31 - 1


@command("history", reads=True)
@target_options
@click.option("-n", "--last", type=Whole(1), default=30, show_default=True, help="How many results.")
def history(app: App, target: str | None, last: int, **selection: str | None) -> int:
    """List one target's results, oldest first, with the verdict each got and whether it counts."""
    with app.state(app.ledger()) as state:
        name = resolve_target(state, target, **selection)
        rows = results_of(state, name, last=last)
    app.emit({"target": name, "results": rows}, lambda: _history_text(name, rows))
    return 0


def results_of(state: State, target: str, *, last: int) -> list[dict[str, Any]]:
    """Return the newest `last` results of a target, oldest first, in the baseline's order."""
    rows = state.rows(
        f"""SELECT event_id, instant, commit_sha, {", ".join(METRICS)}, status, reason, run_source, counted, seeded,
                   {WHY_SQL} AS why, full_path, recorded_at
            FROM results WHERE target = $target
            ORDER BY COALESCE(instant, TIMESTAMPTZ '0001-01-01 00:00:00+00') DESC, full_path DESC, event_id DESC
            LIMIT $last""",  # noqa: S608
        {"target": target, "last": last},
    )
    return rows[::-1]


def _history_text(target: str, rows: list[dict[str, Any]]) -> str:
    from commands.cli.output import table

    used = [m for m in METRICS if any(row[m] is not None for row in rows)]
    labels = [CATALOGUE[m].label for m in used]
    return (
        shown.terminal(target)
        + "\n"
        + table(
            ["time", "commit", *labels, "status", "for the baseline"],
            [
                [
                    (row["instant"] or "no time")[:19],
                    (row["commit_sha"] or "")[:9],
                    *(None if row[m] is None else number(m, row[m]) for m in used),
                    row["status"],
                    row["why"],
                ]
                for row in rows
            ],
            right=labels,
        )
    )


@command("plot", reads=True)
@target_options
@click.option("--metric", type=click.Choice(METRICS), default="latency", show_default=True, help="What to plot.")
@click.option("-n", "--last", type=Whole(2), default=200, show_default=True, help="How many results at most.")
def plot(app: App, target: str | None, metric: str, last: int, **selection: str | None) -> int:
    """Plot one metric of a target over its results, with the rolling baseline each was compared with."""
    from projections.results.window import adopted_policy

    with app.state(app.ledger()) as state:
        name = resolve_target(state, target, **selection)
        window = adopted_policy(state).window
        # the first shown result was compared with results that are not shown
        every = results_of(state, name, last=EVERY)
        rows = [row for row in every if row[metric] is not None]
        points = _points(rows, metric, window)
        shown = sum(row[metric] is not None for row in every[-last:])
        rows, points = rows[len(rows) - shown :], points[len(points) - shown :]
        pins = state.rows("SELECT medians FROM pinned_baselines WHERE target = $target AND newest", {"target": name})
    if not rows:
        raise Inconclusive(
            f"{name} has no result with {metric}",
            code="nothing_measured",
            hint="perfledger baseline history shows which metrics it has",
        )
    pinned = _pinned(pins, metric)
    document = {
        "target": name,
        "metric": metric,
        "unit": CATALOGUE[metric].unit,
        "pinned": pinned,
        "points": [
            {
                "instant": row["instant"],
                "value": point.value,
                "baseline": point.baseline,
                "status": row["status"],
                "counted": row["counted"],
                "event_id": row["event_id"],
            }
            for row, point in zip(rows, points, strict=True)
        ],
    }
    app.emit(document, lambda: _plot_text(name, metric, points, rows, pinned))
    return 0


def _points(rows: list[dict[str, Any]], metric: str, size: int) -> list[Point]:
    """Return each value with the rolling median of the `size` counted results before it."""
    window: list[float] = []
    points = []
    for row in rows:
        failed = row["status"] in ("REGRESSION", "INFRA_ERROR", "RECIPE_MISMATCH")
        mark = "counts" if row["counted"] else "failed" if failed else "other"
        points.append(Point(row[metric], median(window[-size:]), mark))
        if row["counted"]:
            window.append(row[metric])
    return points


def _pinned(pins: list[dict[str, Any]], metric: str) -> float | None:
    if not pins:
        return None
    from ledger import canonical

    value: float | None = canonical.decode(pins[0]["medians"]).get(metric)
    return value


def _plot_text(target: str, metric: str, points: list[Point], rows: list[dict[str, Any]], pinned: float | None) -> str:
    about = CATALOGUE[metric]
    width = min(shutil.get_terminal_size().columns, PLOT_WIDTH_MAX)
    better = "higher is better" if about.higher_is_better else "lower is better"
    lines = [f"{target}   {about.label} in {about.unit}, {better}"]
    lines += chart(points, width=width, show=lambda value: number(metric, value), pinned=pinned)
    first, last = rows[0]["instant"] or "no time", rows[-1]["instant"] or "no time"
    lines.append(f"{len(points)} results, {first[:16]} to {last[:16]}")
    pin = "   ┄ pinned" if pinned is not None else ""
    lines.append(f"● counts   ○ does not count   ✗ failed   ─ rolling baseline{pin}")
    return "\n".join(lines)
