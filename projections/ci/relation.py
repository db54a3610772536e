"""The relation `merge_gate`: what `gate` decides of every pull request, as rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ledger import canonical
from projections.ci import history
from projections.ci.approval import in_force
from projections.ci.gate import GateVerdict, settle
from projections.ci.policy import from_data

if TYPE_CHECKING:
    from projections.state.state import State


def merge_gate(state: State) -> Iterator[dict[str, Any]]:
    """Yield a row for each merge condition of each pull request, under the CI policy in force at that moment."""
    adopted = in_force(state)
    if adopted is None:
        return
    policy = from_data(canonical.decode(adopted.policy), where=f"event {adopted.event_id}")
    for known in history.of_pulls(state):
        recorded = {one.input.event_id: one.input.recorded_at for one in known}
        verdict = settle(policy, (one.input for one in known))
        yield from _rows(verdict, recorded, adopted.digest)


def _rows(verdict: GateVerdict, recorded: dict[str, str], digest: str) -> Iterator[dict[str, Any]]:
    pull = verdict.pull
    assert pull is not None, "its history begins with a sight of it"
    for place, condition in enumerate(verdict.conditions, 1):
        yield {
            "repository": pull.repository,
            "number": pull.number,
            "head_sha": pull.head_sha,
            "condition": condition.id,
            "met": condition.met,
            "advisory": condition.advisory,
            "why": condition.why,
            "event_id": max(condition.event_ids, key=lambda one: (recorded.get(one, ""), one), default=None),
            "place": place,
            "mergeable": verdict.mergeable,
            "policy_digest": digest,
        }
