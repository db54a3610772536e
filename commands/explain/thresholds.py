"""Explain a rewritten threshold: the change, and what each observation it rests on had measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commands.cli.app import App
from commands.explain.command import headline
from commands.ledger_commands.events import bound
from ledger.errors import BadInput
from ledger.events.calibrations import RepeatImported
from ledger.events.observations import RepeatObserved
from ledger.outside import shown

if TYPE_CHECKING:
    from ledger.event import Event
    from ledger.ledger import Ledger


def explain_applied(app: App, ledger: Ledger, event: Event) -> tuple[dict[str, Any], str]:
    """Explain a `ThresholdApplied`: the literal, the worst of N, and the observations it cites, opened."""
    change = event.body()
    cited = _cited(app, ledger, change)
    planned = [
        e.event_id
        for e in ledger.read_stream(event.stream)
        if e.type == "ThresholdApplyPlanned" and e.body()["apply"] == change["apply"]
    ]
    document = {"change": change, "observations": cited, "planned": planned[0] if planned else None}
    bound_name = {"min": "lower bound: the least", "max": "upper bound: the most"}.get(change["worst_op"], "worst")
    percent = "" if change["percent"] is None else f" ({change['percent'] * 100:+.1f}%)"
    lines = [
        headline(event),
        f"{change['file']}  {change['literal']}: {change['old_text']} -> {change['new_text']}  "
        f"{change['direction']}{percent}",
        f"  stage {change['stage']}, metric {change['metric']}, of calibration {change['calibration']} "
        f"at commit {change['commit'][:12]}",
    ]
    if change["undone"]:
        lines.append("  this write put the change of an interrupted apply back")
    if cited:
        lines.append(f"  {bound_name} of {len(cited)} observation(s) is {_number(change['worst_raw'])}:")
        lines += [f"  {_line(row, change)}" for row in cited]
    else:
        lines.append("  it cites no observation")
    if planned:
        lines.append(f"  announced by {planned[0]}")
    return document, shown.text_of(lines)


def _cited(app: App, ledger: Ledger, change: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what each cited event says of the stage and metric; `missing` where it is not here, or was not then."""
    found: dict[str, Event] = {}
    missing: dict[str, str] = {}
    for event_id in change["evidence_event_ids"]:
        try:
            found[event_id] = ledger.event(event_id)
        except BadInput as error:
            missing[event_id] = error.message
    known = {event.event_id for event in bound(app, ledger, iter(found.values()))}
    missing |= dict.fromkeys(found.keys() - known, "not known then")
    return [
        {"event_id": event_id, "missing": missing[event_id]}
        if event_id in missing
        else _measured(found[event_id], change)
        for event_id in change["evidence_event_ids"]
    ]


def _measured(event: Event, change: dict[str, Any]) -> dict[str, Any]:
    payload = event.typed() if event.type in ("RepeatObserved", "RepeatImported") else None
    row: dict[str, Any] = {
        "event_id": event.event_id,
        "type": event.type,
        "position": f"{event.position}@{event.origin}",
    }
    if isinstance(payload, RepeatObserved):
        share = next((s for s in payload.stages if s.stage == change["stage"]), None)
        if share is None:
            return {**row, "missing": f"it observed nothing of {change['stage']}"}
        return {
            **row,
            "repeat": payload.repeat,
            "value": share.metrics.get(change["metric"]),
            "problem": share.problems.get(change["metric"]),
            "status": share.status,
            "metrics": share.metrics,
            "samples_total": share.sample_counts.get("total"),
            "samples_ok": share.sample_counts.get("ok"),
            "measured_at": payload.recorded_at,
            "git_sha": payload.git_sha,
            "host": payload.host,
            "gpu_uuids": payload.gpu_uuids,
            "log_sha256": payload.log_sha256,
            "copy_of": None,
        }
    if isinstance(payload, RepeatImported):
        return {
            **row,
            "repeat": payload.repeat,
            "value": payload.metrics.get(change["metric"]),
            "problem": payload.not_finite.get(change["metric"]),
            "status": payload.status,
            "metrics": payload.metrics,
            "samples_total": payload.samples_total,
            "samples_ok": payload.samples_ok,
            "measured_at": payload.recorded_at or None,
            "git_sha": payload.git_sha or None,
            "host": None,
            "gpu_uuids": [],
            "log_sha256": payload.log_sha256,
            "copy_of": payload.from_event,
        }
    return {**row, "missing": "it is not an observation"}


def _line(row: dict[str, Any], change: dict[str, Any]) -> str:
    if "missing" in row:
        return f"  {row['event_id']}: {row['missing']}"
    value = _number(row["value"]) if row["value"] is not None else str(row["problem"] or "not read")
    worst = " (the worst)" if row["value"] is not None and row["value"] == change["worst_raw"] else ""
    asked = "" if row["samples_total"] is None else f"  {row['samples_ok']}/{row['samples_total']} samples"
    where = "".join(
        f"  {part}" for part in (row["measured_at"], row["git_sha"] and row["git_sha"][:12], row["host"]) if part
    )
    copy = f"  a copy of {row['copy_of']}" if row["copy_of"] else ""
    return f"  run {row['repeat']}: {value}{worst}  {row['status']}{asked}{where}  {row['event_id']}{copy}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else repr(value)
