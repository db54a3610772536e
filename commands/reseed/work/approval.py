"""Whether enough distinct keys approved exactly this plan, under the approval policy in force now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ledger.errors import PerfledgerError, Refused
from ledger.events import reseeds
from ledger.identity.signing import Signed
from ledger.identity.ssh_keys import signing_key
from projections.authority import in_force
from projections.authority.in_force import Authority
from projections.authority.policy import RESEED
from projections.authority.quorum import NOT_SIGNED, UNCHECKED, Counted, Given
from projections.reseed import fold as decider

if TYPE_CHECKING:
    from ledger.ledger import Ledger

NOT_PINNED = (
    "policy not pinned: who may approve is believed from the log, which anybody who can write the remote adds to; "
    "perfledger reseed policy --pin"
)


@dataclass(frozen=True)
class Approved:
    """A plan that may be uploaded: under which policies, pinned or not, and who counted."""

    authority: Authority
    counted: Sequence[Counted]

    @property
    def people(self) -> list[reseeds.ApprovedBy]:
        """Every approver who counted under a policy, with the key; "" for one that is not signed."""
        found = sorted({person for one in self.counted for person in one.people})
        return [reseeds.ApprovedBy(approver=name, key=key) for name, key in found]


def decision(state: decider.Reseed) -> Signed:
    """Return what an approver of this plan signs."""
    return Signed(RESEED, state.id, state.needed().digest)


def given(state: decider.Reseed) -> list[Given]:
    """Return the approvals of exactly this plan."""
    return [Given(one.approver, one.signature) for one in state.approvals]


def require_approved(ledger: Ledger, state: decider.Reseed) -> Approved:
    """Check, before anything leaves, the plan and its approvals against the policy in force, signatures included."""
    decider.require_whole(state)
    authority = in_force.load(ledger)
    require_known_policy(authority, state.needed())
    return Approved(authority, authority.require(decision(state), given(state), hint=decider.next_approval(state)))


def require_known_policy(authority: Authority, plan: reseeds.ReseedPlanned) -> None:
    """Refuse a plan made under a policy that is not, and was not, in force here: its approvals are of another ledger.

    A plan of earlier versions names none: it must ask for what the policy in force asks for.
    """
    unknown = next((digest for digest in plan.policies if digest not in authority.chain.known), None)
    policies = [policy for policy in authority.of(RESEED) if policy.origin or authority.pin]
    asked = (plan.approvals_needed, plan.allowed_signers)
    alike = any(asked == (policy.needed, signers_digest(policy.document.allowed_signers)) for policy in policies)
    if unknown or (policies and not plan.policies and not alike):
        raise Refused(
            f"reseed {plan.reseed} was planned under "
            + (f"the approval policy {unknown[:12]}, which is not in force here and never was" if unknown else "none")
            + ("" if unknown else f" of the approval policies in force here ({policies[0].digest[:12]})"),
            code="plan_of_another_policy",
            hint="perfledger sync pull, then make a new plan: perfledger reseed plan ...",
        )


def signers_digest(text: str) -> str:
    """Return the evidence digest of an allowed-signers text, "" for none."""
    return sha256(text.encode()).hexdigest() if text else ""


def shown(ledger: Ledger, state: decider.Reseed) -> tuple[list[dict[str, Any]], str]:
    """Return each approval with what it is worth now, and how many the policy in force counts, in words.

    Where the policy cannot be read, the approvals are shown unchecked, with why.
    """
    approvals = given(state)
    try:
        counted = in_force.load(ledger).count(decision(state), approvals) if state.plan else []
    except PerfledgerError as error:
        return [_row(one, None, UNCHECKED) for one in state.approvals], f"approvals not checked: {error.message}"
    words = [f"{len(one.people)} of {one.policy.needed} ({one.policy.summary()})" for one in counted]
    pairs = zip(state.approvals, approvals, strict=True)
    return [_row(one, *_worth(own, counted)) for one, own in pairs], "; ".join(words)


def _worth(approval: Given, counted: Sequence[Counted]) -> tuple[bool, str]:
    """Return whether an approval counts under any policy in force, and how its signature is shown."""
    under = [one.policy for one in counted if any(taken is approval for taken in one.taken)]
    if under:
        checked = any(policy.signed for policy in under)
        return True, f"signed by {signing_key(approval.signature)}" if checked else UNCHECKED
    return False, next((why for one in counted for refused, why in one.refused if refused is approval), UNCHECKED)


def _row(approval: reseeds.ReseedApproved, counts: bool | None, signature: str) -> dict[str, Any]:
    key = signing_key(approval.signature)
    return {
        "approver": approval.approver,
        "digest": approval.digest,
        "signed": bool(key),
        "signature": signature if key else NOT_SIGNED,
        "key": key or None,
        "counts": counts,
    }


def people_text(people: Sequence[reseeds.ApprovedBy]) -> str:
    """Return who approved, each with the key that signed or `not signed`."""
    return ", ".join(f"{one.approver} ({f'signed by {one.key}' if one.key else NOT_SIGNED})" for one in people)
