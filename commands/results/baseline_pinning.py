"""`perfledger baseline pin` and `unpin`: a fixed baseline beside the rolling one, so that a slow drift shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from commands.cli.app import App, command
from commands.cli.targets import resolve_target, target_options
from commands.intake.recording import stream_of
from commands.results.check_summary import number
from ledger.errors import BadInput, Inconclusive
from ledger.event import NewEvent
from ledger.events.baselines import BaselinePinned, BaselineUnpinned
from projections.results.metric_policy import CATALOGUE
from projections.results.record_shape import METRICS, median

if TYPE_CHECKING:
    from projections.state.state import State


@command("pin")
@target_options
@click.option("--name", required=True, metavar="NAME", help="What the pinned baseline is called, such as a release.")
@click.option("--reason", required=True, metavar="TEXT", help="Why these results become a fixed baseline.")
@click.option(
    "--result",
    "results",
    multiple=True,
    metavar="EVENT_ID",
    help="Take the medians of these results (repeatable). Default: the target's window now.",
)
def pin(app: App, target: str | None, name: str, reason: str, results: tuple[str, ...], **selection: str | None) -> int:
    """Name a fixed baseline. Every later check of the target is compared with it too, beside the rolling one."""
    ledger = app.ledger()
    with app.state(ledger) as state:
        chosen = resolve_target(state, target, **selection)
        rows = _rows(state, chosen, results)
    medians = {m: value for m in METRICS if (value := median([r[m] for r in rows if r[m] is not None])) is not None}
    if not medians:
        raise Inconclusive(
            f"{chosen} has no result to pin: its window is empty",
            code="nothing_measured",
            hint="name results with --result EVENT_ID",
        )
    payload = BaselinePinned(
        target=chosen, name=name, medians=medians, result_event_ids=[row["event_id"] for row in rows], reason=reason
    )
    receipt = ledger.append([NewEvent(stream=stream_of(chosen), payload=payload)])[0]
    document = {
        "target": chosen,
        "name": name,
        "medians": medians,
        "event_id": receipt.event_id,
        "result_event_ids": payload.result_event_ids,
    }
    values = ", ".join(f"{CATALOGUE[m].label} {number(m, value)}" for m, value in medians.items())
    app.emit(document, f"pinned {name} for {chosen}, from {len(rows)} results: {values}")
    return 0


def _rows(state: State, target: str, results: tuple[str, ...]) -> list[dict[str, Any]]:
    columns = ", ".join(METRICS)
    if not results:
        return state.rows(
            f"SELECT event_id, {columns} FROM baseline_windows WHERE target = $target ORDER BY place DESC",  # noqa: S608
            {"target": target},
        )
    rows = state.rows(
        f"SELECT event_id, {columns} FROM results WHERE target = $target AND list_contains($ids, event_id)",  # noqa: S608
        {"target": target, "ids": list(results)},
    )
    missing = set(results) - {row["event_id"] for row in rows}
    if missing:
        raise BadInput(
            f"{', '.join(sorted(missing))}: no result of {target} has this event id",
            code="no_such_result",
            hint="perfledger baseline history --json lists event_id",
        )
    return rows


@command("unpin")
@target_options
@click.option("--name", required=True, metavar="NAME", help="The pinned baseline to drop.")
@click.option("--reason", required=True, metavar="TEXT", help="Why it no longer holds.")
def unpin(app: App, target: str | None, name: str, reason: str, **selection: str | None) -> int:
    """Drop a pinned baseline. What was judged with it stays as it was judged."""
    ledger = app.ledger()
    with app.state(ledger) as state:
        chosen = resolve_target(state, target, **selection)
        pinned = state.rows(
            "SELECT name FROM pinned_baselines WHERE target = $target ORDER BY name", {"target": chosen}
        )
    names = [row["name"] for row in pinned]
    if name not in names:
        raise BadInput(
            f"{chosen} has no pinned baseline {name}",
            code="not_pinned",
            hint=f"pinned: {', '.join(names)}" if names else "none is pinned",
        )
    payload = BaselineUnpinned(target=chosen, name=name, reason=reason)
    receipt = ledger.append([NewEvent(stream=stream_of(chosen), payload=payload)])[0]
    app.emit({"target": chosen, "name": name, "event_id": receipt.event_id}, f"unpinned {name} from {chosen}")
    return 0
