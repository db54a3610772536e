"""Whether an adopted CI policy holds here: where the policy of approvals covers it, only with enough of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.identity.signing import Signed
from projections.authority import approvals
from projections.authority import in_force as authority_in_force
from projections.authority.policy import CI_POLICY
from projections.state import succession
from projections.state.succession import InForce

if TYPE_CHECKING:
    from projections.state.state import State


def decision(digest: str, replaces: str | None) -> Signed:
    """Return what an approver of a CI policy signs: its digest, and that of the one it takes over from."""
    return Signed(CI_POLICY, f"after {replaces or 'none'}", digest)


def in_force(state: State) -> InForce | None:
    """Return the CI policy in force at the moment the state is at: of those that have their approvals, as they are
    today, the one that nothing replaced. None when none was adopted."""
    return succession.in_force(state, "ci", _approved(state))


def successor(state: State) -> tuple[list[str], int]:
    """Return what the next adoption replaces, by event id, and its number. See `succession.successor`."""
    return succession.successor(state, "ci", _approved(state))


def _approved(state: State) -> list[str]:
    """Return the adoptions, by event id, that have the approvals they need here."""
    rows = state.rows("SELECT digest, replaces, event_id FROM policies WHERE kind = 'ci'")
    if not rows:
        return []
    authority = authority_in_force.load(state.ledger)
    return [
        row["event_id"]
        for row in rows
        if approvals.approved(state.ledger, authority, decision(row["digest"], row["replaces"]))
    ]
