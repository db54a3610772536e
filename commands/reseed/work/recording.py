"""One step of a reseed, recorded on what was known of it; it must count by the order in which steps were recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import Conflict
from ledger.event import EventPayload, NewEvent
from projections.reseed import fold as decider

if TYPE_CHECKING:
    from ledger.ledger import Ledger


def record(ledger: Ledger, state: decider.Reseed, payload: EventPayload) -> decider.Reseed:
    """Append a step, and return the reseed after it.

    Raises `Conflict` when the stream moved since `state`, also when a pull in between brought an earlier step of
    another machine, because of which this one is passed over.
    """
    event = NewEvent(stream=state.stream, causation_id=state.plan_event_id or None, payload=payload)
    receipt = ledger.append([event], seen={state.stream: state.position})[0]
    after = decider.load(ledger, state.id)
    for passed in after.passed_over:
        if passed.event_id == receipt.event_id:
            raise overtaken(after, passed.why)
    return after


def overtaken(after: decider.Reseed, why: str) -> Conflict:
    """Return the error for a step that does not count, because an earlier one of another machine was just learned."""
    return Conflict(
        f"another machine's step of reseed {after.id} came first and was learned only now: {why}; this step does not "
        "count",
        code="reseed_overtaken",
        hint=decider.next_step(after),
        step=after.step,
    )
