"""Whether an adopted CI policy holds here: where the policy of approvals covers it, only with enough of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ledger.identity.signing import Signed
from projections.authority import approvals, in_force
from projections.authority.policy import CI_POLICY

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from projections.state.state import State


def decision(digest: str, replaces: str | None) -> Signed:
    """Return what an approver of a CI policy signs: its digest, and that of the one it takes over from."""
    return Signed(CI_POLICY, f"after {replaces or 'none'}", digest)


def holds(ledger: Ledger) -> Callable[[str, str | None], bool]:
    """Return a predicate of (digest, replaces): whether that adoption has the approvals it needs here."""
    authority = in_force.load(ledger)

    def enough(digest: str, replaces: str | None) -> bool:
        return approvals.approved(ledger, authority, decision(digest, replaces))

    return enough


def current(state: State) -> dict[str, Any] | None:
    """Return the row of the CI policy in force (policy, digest, event_id) at the moment the state is at, or None.

    Of those adopted by then the newest that has its approvals, as they are today.
    """
    rows = state.rows(
        "SELECT p.policy, p.digest, p.event_id, f.replaces "
        "FROM policies AS p JOIN fact_ci_policy AS f USING (event_id) "
        "WHERE p.kind = 'ci' ORDER BY p.adopted_at DESC, f.origin DESC, f.position DESC"
    )
    enough = holds(state.ledger) if rows else None
    return next((row for row in rows if enough is not None and enough(row["digest"], row["replaces"])), None)
