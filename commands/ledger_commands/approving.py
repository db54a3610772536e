"""Approving a decision, and asking whether it was approved: the same for every command whose acts a policy covers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ledger.errors import BadInput, Refused
from ledger.event import NewEvent
from ledger.events.approvals import ApprovalGiven
from ledger.identity import names, signing
from ledger.identity.signing import Signed
from ledger.identity.ssh_keys import signing_key
from projections.authority import approvals, in_force
from projections.authority.in_force import Authority
from projections.authority.quorum import NOT_SIGNED, Counted, Given

if TYPE_CHECKING:
    from ledger.ledger import Ledger


def sign_own(authority: Authority, what: Signed, before: Sequence[Given], *, actor: str, sign_key: str | None) -> Given:
    """Return the approval of whoever acts, signed with a key if one is given.

    Raises `Refused` for one that would not count under any policy in force.
    """
    signature = signing.sign(sign_key, what) if sign_key else ""
    own = Given(actor, signature)
    worth = authority.count(what, [*before, own])
    whys = [why for one in worth for refused, why in one.refused if refused is own]
    if worth and len(whys) == len(worth):
        raise _does_not_count(actor, signature, whys[0])
    return own


def refuse_again(counted: Sequence[Counted], actor: str, *, hint: str) -> None:
    """Refuse whoever is counted already, under every policy in force."""
    plain = names.normal(actor)
    if counted and all(any(names.normal(name) == plain for name, _ in one.people) for one in counted):
        needed = max(one.policy.needed for one in counted)
        raise Refused(
            f"{actor} has approved this plan already; it needs {needed} distinct approver(s)",
            code="approved_already",
            hint=hint,
        )


def give(ledger: Ledger, what: Signed, *, sign_key: str | None, hint: str) -> list[Counted]:
    """Record the approval of whoever acts, in the stream of the decision's approvals; return what all are worth."""
    actor = names.checked(ledger.actor, what="approver's name")
    authority = in_force.load(ledger)
    if not authority.chain.covers(what.act):
        raise BadInput(
            f"no policy in force asks for the approval of {what.act}; nothing was recorded",
            code="nothing_to_approve",
            hint=f"perfledger reseed policy --covers {what.act} ...",
        )
    before = approvals.given(ledger, what)
    refuse_again(authority.count(what, before), actor, hint=hint)
    own = sign_own(authority, what, before, actor=actor, sign_key=sign_key)
    payload = ApprovalGiven(
        act=what.act, subject=what.subject, digest=what.digest, approver=actor, signature=own.signature
    )
    ledger.append([NewEvent(stream=approvals.stream_of(what), payload=payload)])
    return authority.count(what, [*before, own])


def require(ledger: Ledger, what: Signed, *, hint: str) -> None:
    """Refuse (exit 1) a decision that the policy in force covers and that not enough distinct keys approved."""
    authority = in_force.load(ledger)
    if authority.chain.covers(what.act):
        authority.require(what, approvals.given(ledger, what), hint=hint)


def document(what: Signed, counted: Sequence[Counted], actor: str, *, following: str) -> dict[str, Any]:
    """Return what was approved and how many more it needs, as JSON."""
    return {
        "act": what.act,
        "subject": what.subject,
        "digest": what.digest,
        "approver": actor,
        "approvers": sorted({name for one in counted for name, _ in one.people}),
        "approvals_needed": max(one.policy.needed for one in counted),
        "enough": all(one.enough for one in counted),
        "next": following,
    }


def shown(signature: str) -> str:
    """Return how an approval that was just given is called: by its key, or `not signed`."""
    key = signing_key(signature)
    return f"signed by {key}" if key else NOT_SIGNED


def line(what: Signed, counted: Sequence[Counted], actor: str, *, following: str) -> str:
    """Return the same for people."""
    keys = dict(pair for one in counted for pair in one.people)
    how = f"signed by {keys[actor]}" if keys.get(actor) else NOT_SIGNED
    done, needed = min(len(one.people) for one in counted), max(one.policy.needed for one in counted)
    return f"{actor} approved {what.act} {what.digest[:12]}, {how} ({done} of {needed})\nnext: {following}"


def _does_not_count(actor: str, signature: str, why: str) -> Refused:
    if not signature:
        return Refused(
            f"the policy in force asks for a signed approval, and that of {actor} is not signed; nothing was recorded",
            code="signature_missing",
            hint="the same command with --sign-key KEY",
        )
    return Refused(
        f"the approval of {actor} would not count: {why}; nothing was recorded",
        code="signature_wrong",
        hint="sign with the key listed in the allowed signers under exactly this name (--actor), each person one key",
    )
