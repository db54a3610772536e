"""`perfledger baseline list` and `show`: medians, windows, and why a result counts or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from commands.cli.app import App, command
from commands.cli.numbers import Whole
from commands.cli.targets import resolve_target, target_options
from commands.results.check_summary import number
from ledger.outside import shown
from projections.results.metric_policy import CATALOGUE
from projections.results.record_shape import METRICS, median

if TYPE_CHECKING:
    from projections.state.state import State

RECENT = 10
_METRIC_COLUMNS = ", ".join(METRICS)


@command("list", reads=True)
@click.argument("target", required=False)
@click.option("--model", metavar="ID", help="Only targets of this model_id.")
@click.option("--gpu", metavar="NAME", help="Only targets on this GPU.")
def list_baselines(app: App, target: str | None, model: str | None, gpu: str | None) -> int:
    """List every target (or those that begin with TARGET) with its medians and how many results they rest on."""
    with app.state(app.ledger()) as state:
        rows = state.rows(
            f"""SELECT target, model_id, gpu_type, n, results, counted, {_METRIC_COLUMNS}, oldest, newest, pinned
                FROM baselines
                WHERE ($model IS NULL OR model_id = $model) AND ($gpu IS NULL OR gpu_type = $gpu)
                  AND ($target IS NULL OR starts_with(target, $target))
                ORDER BY target""",  # noqa: S608
            {"target": target, "model": model, "gpu": gpu},
        )
    app.emit({"baselines": rows}, lambda: _list_text(rows))
    return 0


def _list_text(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "no results yet; perfledger import hf-tracking DIR   or   perfledger record FILE..."
    from commands.cli.output import table

    used = [m for m in METRICS if any(row[m] is not None for row in rows)]
    labels = [CATALOGUE[m].label for m in used]
    return table(
        ["target", "n", "results", *labels, "newest", "pinned"],
        [
            [
                _name(row),
                row["n"],
                row["results"],
                *(_value(m, row[m]) for m in used),
                (row["newest"] or "")[:16],
                row["pinned"],
            ]
            for row in rows
        ],
        right=["n", "results", *labels],
    )


def _name(row: Mapping[str, Any]) -> str:
    target = str(row["target"])
    return target if target.startswith(str(row["model_id"])) else f"{target} ({row['model_id']})"


def _value(metric: str, value: float | None) -> str | None:
    return None if value is None else number(metric, value)


@command("show", reads=True)
@target_options
@click.option(
    "-n",
    "--last",
    type=Whole(0),
    default=RECENT,
    show_default=True,
    help="How many of the newest results to list with why they count or not.",
)
def show(app: App, target: str | None, last: int, **selection: str | None) -> int:
    """Show one target's baseline: medians, the window they come from, and why recent results count or not."""
    with app.state(app.ledger()) as state:
        document = describe_baseline(state, resolve_target(state, target, **selection), last=last)
    app.emit(document, lambda: _show_text(document))
    return 0


def describe_baseline(state: State, target: str, *, last: int) -> dict[str, Any]:
    """Return a target's baseline: `medians`, `records` (the window, oldest first), `recent` with `why`, `pinned`."""
    window = state.rows(
        f"""SELECT event_id, full_path, instant, commit_sha, status, {_METRIC_COLUMNS} FROM baseline_windows
            WHERE target = $target ORDER BY place DESC""",  # noqa: S608
        {"target": target},
    )
    recent = state.rows(
        f"""SELECT event_id, full_path, instant, commit_sha, status, run_source, counted, {WHY_SQL} AS why,
                   {_METRIC_COLUMNS}
            FROM results WHERE target = $target
            ORDER BY COALESCE(instant, TIMESTAMPTZ '0001-01-01 00:00:00+00') DESC, full_path DESC, event_id DESC
            LIMIT $last""",  # noqa: S608
        {"target": target, "last": last},
    )
    totals = state.rows(
        """SELECT model_id, gpu_type, workload_id, variant_id, benchmark_version, recipe_fingerprint,
                  hardware_profile_id, software_profile_id, COUNT(*) AS results,
                  COUNT(*) FILTER (WHERE counted) AS counted
           FROM results WHERE target = $target GROUP BY ALL ORDER BY results DESC""",
        {"target": target},
    )
    pins = state.rows(
        "SELECT name, medians, reason, recorded_at, event_id, newest FROM pinned_baselines "
        "WHERE target = $target ORDER BY recorded_at DESC",
        {"target": target},
    )
    from ledger import canonical

    return {
        "target": target,
        "cohort": {k: v for k, v in totals[0].items() if k not in ("results", "counted") and v is not None},
        "results": sum(row["results"] for row in totals),
        "counted": sum(row["counted"] for row in totals),
        "n": len(window),
        "medians": {m: median([row[m] for row in window if row[m] is not None]) for m in METRICS},
        "records": window,
        "recent": recent,
        "pinned": [{**pin, "medians": canonical.decode(pin["medians"])} for pin in pins],
    }


# Why a result enters the baseline or not, first reason first.
WHY_SQL = """CASE WHEN counted THEN 'counts'
     WHEN superseded = 'rewritten' THEN 'no: its file has other content now'
     WHEN superseded = 'copy' THEN 'no: the same content is recorded once already'
     WHEN superseded = 'uploaded' THEN 'no: its own copy in the imported history counts'
     WHEN NOT measured THEN 'no: no metric was measured'
     WHEN NOT success THEN 'no: not successful' || COALESCE(' (' || status || ')', '')
     WHEN claims_identity AND identity_digest IS NULL THEN 'no: its identity is incomplete'
     WHEN status = 'CALIBRATION_NEEDED' THEN 'no: calibration needed; seed the cohort first'
     ELSE 'no: run source ' || COALESCE(run_source, 'none') || ', not marked eligible' END"""


def _show_text(document: Mapping[str, Any]) -> str:
    from commands.cli.output import table

    cohort = ", ".join(f"{k}={v}" for k, v in document["cohort"].items())
    lines = [shown.terminal(document["target"]), f"  {shown.terminal(cohort)}"]
    lines += [f"  {document['counted']} of {document['results']} results count", ""]
    rows = [
        [
            CATALOGUE[m].label,
            _value(m, value),
            CATALOGUE[m].unit,
            *(_value(m, pin["medians"].get(m)) for pin in document["pinned"]),
        ]
        for m, value in document["medians"].items()
    ]
    pinned = [f"pinned {pin['name']}" for pin in document["pinned"]]
    median_of = f"median of {document['n']}"
    lines.append(table(["metric", median_of, "unit", *pinned], rows, right=[median_of, *pinned]))
    if document["recent"]:
        used = [m for m in METRICS if any(row[m] is not None for row in document["recent"])][:3]
        labels = [CATALOGUE[m].label for m in used]
        lines += [
            "",
            "newest results:",
            table(
                ["time", *labels, "status", "for the baseline", "from"],
                [
                    [
                        (row["instant"] or "no time")[:19],
                        *(_value(m, row[m]) for m in used),
                        row["status"],
                        row["why"],
                        row["full_path"],
                    ]
                    for row in document["recent"]
                ],
                right=labels,
            ),
        ]
    return "\n".join(lines)
