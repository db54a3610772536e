"""perfledger reseed show and list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from commands.cli.app import App, command
from commands.ledger_commands.events import bound
from commands.reseed.work.approval import shown
from commands.reseed.work.medians_text import _value
from ledger.errors import BadInput
from projections.authority.quorum import NOT_SIGNED, UNCHECKED
from projections.reseed import fold as decider
from projections.results.metric_policy import CATALOGUE

if TYPE_CHECKING:
    from ledger.events.reseeds import ReseedPlanned


@command("show", reads=True)
@click.argument("reseed_id", metavar="ID")
def show(app: App, reseed_id: str) -> None:
    """Show a reseed: its plan, every step with who and when, and the command that comes next."""
    ledger = app.ledger()
    state = decider.load(ledger, reseed_id)
    if app.as_of or app.as_recorded:
        known = bound(app, ledger, iter(ledger.read_stream(state.stream)))
        state = decider.fold(state.id, known, origin=ledger.origin)
        if not state.events:
            raise BadInput(
                f"reseed {state.id} was not known then",
                code="not_known_then",
                hint="leave out --as-of and --as-recorded, or give a later moment",
            )
    steps = [
        {"at": at, "event": kind, "actor": actor, "event_id": event_id} for at, kind, actor, event_id in state.events
    ]
    approvals, counted = shown(ledger, state)
    document = {
        "id": state.id,
        "step": state.step,
        "next": decider.next_step(state),
        "plan": plan_json(state.plan) if state.plan else None,
        "steps": steps,
        "approvals": approvals,
        "counted": counted,
        "uploaded": msgspec.to_builtins(state.uploaded) if state.uploaded else None,
        "passed_over": [
            {"at": p.recorded_at, "event": p.type, "actor": p.actor, "event_id": p.event_id, "why": p.why}
            for p in state.passed_over
        ],
    }

    def text() -> str:
        why = {p.event_id: f"   passed over: {p.why}" for p in state.passed_over}
        lines = [plan_text(state.plan)] if state.plan else [f"reseed {state.id} has no plan"]
        lines += [
            "",
            *(f"  {s['at'][:19]}Z  {s['event']:<20} {s['actor']}{why.get(s['event_id'], '')}" for s in steps),
            "",
            *(
                f"  approved by {a['approver']}: {a['signature']}"
                + (
                    ""
                    if a["counts"] is not False or a["signature"] not in (NOT_SIGNED, UNCHECKED)
                    else "; does not count"
                )
                for a in approvals
            ),
            *([f"  counted now: {counted}", ""] if approvals else []),
            f"{state.step}; next: {decider.next_step(state)}",
        ]
        return "\n".join(lines)

    app.emit(document, text)


@command("list", reads=True)
def list_(app: App) -> None:
    """List all reseeds, newest first."""
    from commands.cli.output import table

    ledger = app.ledger()
    with app.state(ledger) as state:
        rows = state.rows(
            "SELECT id, target, kind, step, reason, seeds, approvers, planned_at FROM reseeds "
            "ORDER BY planned_at DESC, id"
        )
    app.emit(
        rows,
        lambda: (
            table(
                ["id", "target", "kind", "step", "seeds", "approvers", "reason"],
                [(r["id"], r["target"], r["kind"], r["step"], r["seeds"], r["approvers"], r["reason"]) for r in rows],
            )
            if rows
            else "no reseeds"
        ),
    )


def plan_json(plan: ReseedPlanned) -> dict[str, Any]:
    """Return a plan as `plan --json` gives it."""
    body: dict[str, Any] = msgspec.to_builtins(plan)
    body["id"] = body.pop("reseed")
    for source in body["sources"]:
        source["verdict"] = source.pop("status")
    return body


def plan_text(plan: ReseedPlanned) -> str:
    """Return a plan for people: what moves, from what, and what was backed up."""
    from commands.cli.output import table

    metrics = [m for m in CATALOGUE if any(v.get(m) is not None for v in (plan.old, plan.batch))]
    seeds = list(plan.will_move_median)[: len(plan.sources)]
    rows = [
        (
            CATALOGUE[m].label,
            *(_value(m, v.get(m)) for v in (plan.old, plan.batch, plan.candidate)),
            _move(plan.old.get(m), plan.candidate.get(m)),
            _percent(plan.spread.get(m)),
            *(_value(m, plan.will_move_median[n].get(m)) for n in seeds),
        )
        for m in metrics
    ]
    lines = [
        f"reseed {plan.reseed}: {plan.kind.replace('_', ' ')} of {plan.target}",
        f"  reason   {plan.reason}",
        f"  digest   {plan.digest}",
        f"  dataset  {plan.dataset} at {plan.revision[:12]}",
        f"  backup   {plan.backup or 'none: the dataset has no record of this target, this is its first seed'}",
        f"  history  {plan.old_count} records, the baseline rests on {len(plan.window)}",
        "",
        table(
            ["metric", "old", "batch", "candidate", "move", "spread", *(f"after {n}" for n in seeds)],
            rows,
            right=["old", "batch", "candidate", "move", "spread", *(f"after {n}" for n in seeds)],
        ),
        *_readers_text(plan, metrics),
        "",
        "sources:",
        *(
            f"  {s.index}. {s.path}  {s.timestamp or 'no timestamp'}  {s.status or '-'}  sha256 {s.sha256[:12]}"
            for s in plan.sources
        ),
        "destination:",
        *(f"  {path}" for path in plan.destination),
    ]
    lines += [
        f"still breaches a fixed limit: {v['metric']} {v['batch_median']:g} over {v['limit']} {v['threshold']:g}"
        for v in plan.violations
    ]
    lines += [f"warning: {w}" for w in plan.warnings]
    return "\n".join(lines)


def _readers_text(plan: ReseedPlanned, metrics: list[str]) -> list[str]:
    """Return what the other readers of the dataset see, where it is something else."""
    from commands.cli.output import table

    theirs = plan.readers
    if theirs is None:
        return []
    seeds = list(theirs.will_move_median)[: len(plan.sources)]
    columns = ["old", "candidate", "move", *(f"after {n}" for n in seeds)]
    rows = [
        (
            CATALOGUE[m].label,
            *(_value(m, v.get(m)) for v in (theirs.old, theirs.candidate)),
            _move(theirs.old.get(m), theirs.candidate.get(m)),
            *(_value(m, theirs.will_move_median[n].get(m)) for n in seeds),
        )
        for m in metrics
    ]
    return [
        "",
        f"other readers of the dataset differ; their baseline rests on {len(theirs.window)}:",
        table(["metric", *columns], rows, right=columns),
    ]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{round(value * 100, 1) + 0.0:.1f}%"  # + 0.0: no "-0.0%"


def _move(old: float | None, new: float | None) -> str:
    return "-" if old is None or new is None or old == 0 else f"{(new - old) / abs(old) * 100:+.1f}%"
