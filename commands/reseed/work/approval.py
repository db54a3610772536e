"""Whether enough people approved exactly this plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.reseed.work import signatures
from ledger.errors import Refused
from projections.reseed import fold as decider

if TYPE_CHECKING:
    from ledger.ledger import Ledger


def check_signature(ledger: Ledger, state: decider.Reseed, approver: str, signature: str) -> None:
    """Raise `Refused` unless the signature is the approver's over this plan."""
    plan = state.needed()
    signatures.check(
        signature,
        allowed_signers=ledger.evidence.get(plan.allowed_signers),
        approver=approver,
        reseed_id=state.id,
        digest=plan.digest,
    )


def require_approved(ledger: Ledger, state: decider.Reseed) -> None:
    """Check again, before anything leaves, that enough people approved exactly this plan, and their signatures."""
    decider.require_whole(state)
    if not decider.approved(state):
        raise Refused(f"reseed {state.id} is not approved", code="not_approved", hint=decider.next_step(state))
    plan = state.needed()
    if plan.allowed_signers:
        for approval in state.approvals:
            check_signature(ledger, state, approval.approver, approval.signature)
