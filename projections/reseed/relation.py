"""The relation `reseeds`: what `transitions` says of every reseed, as rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from projections.reseed.transitions import Standing, Told, advance

if TYPE_CHECKING:
    from projections.state.state import State

_STEPS = """
SELECT s.reseed, s.step AS type, s.event_id, s.recorded_at, s.actor, s.digest, s.approver, s.revision, s.superseded_by,
       p.approvals_needed
FROM fact_reseed_step AS s LEFT JOIN fact_reseed_plan AS p ON p.event_id = s.event_id
WHERE s.learned_at <= CAST($as_of AS TIMESTAMPTZ) AND s.recorded_at <= CAST($as_recorded AS TIMESTAMPTZ)
ORDER BY s.recorded_at, s.origin, s.position
"""
_PLANS = """
SELECT reseed AS id, kind, target, model_id, gpu_type, reason, seeds, old, batch, candidate, old_latency,
       candidate_latency, dataset, destination, approvals_needed, supersedes, digest, recorded_at AS planned_at,
       event_id, origin, position
FROM fact_reseed_plan
WHERE learned_at <= CAST($as_of AS TIMESTAMPTZ) AND recorded_at <= CAST($as_recorded AS TIMESTAMPTZ)
ORDER BY recorded_at, origin, position
"""


def reseeds(state: State) -> Iterator[dict[str, Any]]:
    """Yield a row for each reseed that has a plan, as its last step left it."""
    moment = {"as_of": state.as_of, "as_recorded": state.as_recorded}
    steps: dict[str, list[dict[str, Any]]] = {}
    for row in state.rows(_STEPS, moment):
        steps.setdefault(row["reseed"], []).append(row)
    for plan in state.rows(_PLANS, moment):
        standing = Standing()
        for row in steps[plan["id"]]:
            standing = advance(standing, _told(row))
        passed = {one.event_id for one in standing.passed_over}
        if plan["event_id"] in passed:
            continue  # a second plan of the same reseed
        landed = [r for r in steps[plan["id"]] if r["type"] == "ReseedUploaded" and r["event_id"] not in passed]
        yield {
            **plan,
            "step": standing.step,
            "approvers": ", ".join(sorted(standing.approvers)) or None,
            "uploaded_at": landed[0]["recorded_at"] if landed else None,
            "revision": landed[0]["revision"] if landed else None,
            "superseded_by": standing.superseded_by,
            "changed_at": standing.changed_at,
            "passed_over": len(passed),
        }


def _told(row: dict[str, Any]) -> Told:
    return Told(
        type=row["type"],
        event_id=row["event_id"],
        recorded_at=row["recorded_at"],
        actor=row["actor"],
        digest=row["digest"] or "",
        approver=row["approver"] or "",
        approvals_needed=row["approvals_needed"] or 0,
        by=row["superseded_by"] or "",
    )
