"""The relations `reseeds` and `reseed_steps`: what `transitions` says of every reseed and its events, as rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from projections.authority.quorum import NOT_SIGNED, UNCHECKED
from projections.reseed.transitions import Standing, Told, advance

if TYPE_CHECKING:
    from projections.state.state import State

_STEPS = """
SELECT s.reseed, s.step AS type, s.event_id, s.recorded_at, s.origin, s.position, s.actor, s.digest, s.approver,
       s.signature, s.revision, s.superseded_by, p.approvals_needed
FROM fact_reseed_step AS s LEFT JOIN fact_reseed_plan AS p ON p.event_id = s.event_id
WHERE s.learned_at <= CAST($as_of AS TIMESTAMPTZ) AND s.recorded_at <= CAST($as_recorded AS TIMESTAMPTZ)
ORDER BY s.reseed, s.recorded_at, s.origin, s.position
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
    folded = dict(_folded(state))
    for plan in state.rows(_PLANS, _moment(state)):
        standing = folded[plan["id"]][-1][1]
        passed = {one.event_id for one in standing.passed_over}
        if plan["event_id"] in passed:
            continue  # a second plan of the same reseed
        steps = (row for row, _ in folded[plan["id"]] if row["event_id"] not in passed)
        approvers = sorted(standing.approvers)
        landed = next((row for row in steps if row["type"] == "ReseedUploaded"), None)
        yield {
            **plan,
            "step": standing.step,
            "approvers": ", ".join(f"{name} ({UNCHECKED if key else NOT_SIGNED})" for name, key in approvers) or None,
            "uploaded_at": landed["recorded_at"] if landed else None,
            "revision": landed["revision"] if landed else None,
            "superseded_by": standing.superseded_by,
            "changed_at": standing.changed_at,
            "passed_over": len(passed),
        }


def reseed_steps(state: State) -> Iterator[dict[str, Any]]:
    """Yield a row for each event of each reseed: the step after it, and why it was passed over, if it was."""
    for reseed, steps in _folded(state):
        why = {one.event_id: one.why for one in steps[-1][1].passed_over}
        for row, standing in steps:
            named = {name: row[name] for name in ("type", "event_id", "recorded_at", "origin", "position")}
            yield {"reseed": reseed, "step": standing.step, "passed_over": why.get(row["event_id"]), **named}


def _folded(state: State) -> Iterator[tuple[str, list[tuple[dict[str, Any], Standing]]]]:
    """Yield each reseed's events in recorded order, each with the standing after it."""
    for reseed, rows in groupby(state.rows(_STEPS, _moment(state)), lambda row: str(row["reseed"])):
        standing = Standing()
        steps = []
        for row in rows:
            standing = advance(standing, _told(row))
            steps.append((row, standing))
        yield reseed, steps


def _moment(state: State) -> dict[str, str]:
    return {"as_of": state.as_of, "as_recorded": state.as_recorded}


def _told(row: dict[str, Any]) -> Told:
    return Told(
        type=row["type"],
        event_id=row["event_id"],
        recorded_at=row["recorded_at"],
        actor=row["actor"],
        digest=row["digest"] or "",
        approver=row["approver"] or "",
        signature=row["signature"] or "",
        approvals_needed=row["approvals_needed"] or 0,
        by=row["superseded_by"] or "",
    )
