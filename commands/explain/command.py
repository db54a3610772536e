"""`perfledger explain`: the exact events and values behind a decision.

One function per event type explains it, imported only when asked. An area adds its own by a line in
`EXPLAINERS`; an event type without one is shown as it was recorded, with the events around it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from commands.cli.app import App, command, load
from ledger.errors import BadInput
from ledger.event import Event, recorded_order
from ledger.outside import shown

if TYPE_CHECKING:
    from ledger.ledger import Ledger

# (app, ledger, event) -> the document for --json and the text for people
Explainer = Callable[[App, "Ledger", Event], tuple[dict[str, Any], str]]

EXPLAINERS: dict[str, str] = {
    "PullRequestObserved": "ci.explaining:explain_gate",
    "CommandDecided": "ci.explaining:explain_command",
    "PublishPlanned": "ci.explaining:explain_post",
    "ResultJudged": "explain.results:explain_verdict",
    "ResultRecorded": "explain.results:explain_result",
    "BaselinePinned": "explain.results:explain_pin",
    "ThresholdApplied": "explain.thresholds:explain_applied",
}

# (app, ledger, text) -> the event id of the decision with this name, or None: another kind of name
DECISIONS: list[str] = [
    "ci.explaining:find_gate",
    "explain.results:find_verdict",
]


@command("explain", reads=True)
@click.argument("decision", metavar="EVENT_ID|DECISION")
def explain(app: App, decision: str) -> int:
    """Show the exact events and values behind a decision.

    DECISION is an event id, position@origin, or a target: its latest verdict.
    """
    from commands.ledger_commands.events import known_event

    ledger = app.ledger()
    event = known_event(app, ledger, find_event(app, ledger, decision))
    where = EXPLAINERS.get(event.type) if event.why_unreadable() is None else None
    document, text = load(where)(app, ledger, event) if where else explain_plainly(app, ledger, event)
    app.emit({"event": event.as_dict(), **document}, text)
    return 0


def find_event(app: App, ledger: Ledger, decision: str) -> Event:
    """Return the event of the decision with this name. Raises `BadInput` when nothing has that name."""
    try:
        return ledger.event(decision)
    except BadInput as error:
        for where in DECISIONS:
            found = load(where)(app, ledger, decision)
            if found is not None:
                return ledger.event(found)
        raise BadInput(
            f"nothing here is called {decision}: {error.message}",
            code="no_such_decision",
            hint="perfledger events list shows event ids, perfledger baseline list shows targets",
        ) from None


def explain_plainly(app: App, ledger: Ledger, event: Event) -> tuple[dict[str, Any], str]:
    """Explain an event by itself: what it says, what caused it, and what happened around it in its stream."""
    del app
    around = [e for e in ledger.read_stream(event.stream) if e.event_id != event.event_id]
    before = [e for e in around if recorded_order(e) < recorded_order(event)]
    cause = event.causation_id
    lines = [headline(event)]
    fault = event.why_unreadable()
    if fault is not None:
        lines += [f"  it counts for nothing: {fault.detail}", f"  payload: {_short(bytes(event.payload).decode())}"]
    else:
        lines += [f"  {name}: {_short(value)}" for name, value in event.body().items()]
    if cause:
        lines.append(f"  caused by {cause}")
    if around:
        lines.append(f"  {len(before)} events before it and {len(around) - len(before)} after it in {event.stream}:")
        lines += [f"    {e.recorded_at}  {e.type}  {e.event_id}" for e in around[-20:]]
    stream = [{"event_id": e.event_id, "type": e.type, "recorded_at": e.recorded_at} for e in around]
    return {"caused_by": cause, "stream": stream}, shown.text_of(lines)


def headline(event: Event) -> str:
    """Return the first line of an explanation: what, when, who, where in the log."""
    return f"{event.type}  {event.recorded_at}  by {event.actor}  at {event.position}@{event.origin}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else text[:197] + "..."
