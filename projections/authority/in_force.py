"""The approval policy in force in a ledger: read from its pin and its log, with the signatures checked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ledger.errors import BadInput, Refused
from ledger.event import Event
from ledger.events.reseeds import ReseedPolicyAdopted, ReseedPolicyEndorsed
from ledger.identity import signing
from ledger.identity.signing import Seen, Signed
from ledger.pins import APPROVAL_POLICY, Pin, pinned_bytes, read_pin
from projections.authority import chain, quorum
from projections.authority.chain import Chain, Endorsement
from projections.authority.policy import NONE, RESEED, Document, Policy, read
from projections.authority.quorum import Counted, Given

if TYPE_CHECKING:
    from ledger.ledger import Ledger

ADOPTED, ENDORSED = "ReseedPolicyAdopted", "ReseedPolicyEndorsed"


@dataclass(frozen=True)
class Authority:
    """Who may decide here. pin: what `ledger.toml` names, None when the policy is not pinned."""

    chain: Chain
    pin: Pin | None

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The policies in force, all of which must be satisfied."""
        return self.chain.in_force

    def of(self, act: str) -> list[Policy]:
        """Return the policies in force that a decision of this kind must satisfy."""
        found = [policy for policy in self.policies if act in policy.document.covers]
        # a ledger whose policy is about other acts still moves no baseline without anybody's approval
        return found or ([NONE] if act == RESEED else [])

    def count(self, what: Signed, given: Collection[Given]) -> list[Counted]:
        """Return what the approvals of a decision are worth, policy by policy."""
        return quorum.count(self.of(what.act), what, given)

    def require(self, what: Signed, given: Collection[Given], *, hint: str) -> list[Counted]:
        """Return the same, and refuse (exit 1) a decision that not enough distinct keys approved."""
        counted = self.count(what, given)
        for one in counted:
            if not one.enough:
                raise _not_approved(what, one, hint)
        return counted


def load(ledger: Ledger, *, known: Collection[str] | None = None) -> Authority:
    """Return who may decide in this ledger. Raises `Refused` when the pinned file is not what was pinned.

    `known` limits the log to these event ids: what was known at an earlier moment. The pin is always that of today.
    """
    pin = read_pin(ledger.path, APPROVAL_POLICY)
    anchor = None
    if pin is not None:
        anchor = Policy(read(pinned_bytes(ledger.path, pin), where=pin.file))
    policies: list[Policy] = []
    words: list[Endorsement] = []
    for event in ledger.read_counted(types=[ADOPTED, ENDORSED]):
        if known is not None and event.event_id not in known:
            continue
        payload = event.typed()
        if isinstance(payload, ReseedPolicyAdopted):
            policies.append(_policy(ledger, event, payload))
        elif isinstance(payload, ReseedPolicyEndorsed):
            words.append(Endorsement(payload.digest, payload.approver, payload.signature, event.origin))
    return Authority(
        chain.fold(policies, words, own_origin=ledger.origin, verify=cache(_verify), anchor=anchor),
        pin,
    )


def change(digest: str) -> Signed:
    """Return what is signed to endorse a change of policy."""
    return Signed("policy", "of approvals", digest)


def _verify(policy: Policy, word: Endorsement) -> Seen:
    return signing.verify(word.signature, change(word.digest), name=word.approver, signers=policy.usable)


def _policy(ledger: Ledger, event: Event, payload: ReseedPolicyAdopted) -> Policy:
    document = Document(
        approvals=payload.approvals,
        allowed_signers=_text(ledger, payload.allowed_signers),
        covers=tuple(payload.covers),
        lineage=payload.lineage,
        reason=payload.reason,
        replaces=payload.replaces,
        settles=tuple(payload.settles),
    )
    return Policy(document, event.origin, event.position, event.event_id, event.actor, event.recorded_at)


def _text(ledger: Ledger, digest: str) -> str:
    """Return the allowed signers; what cannot be read lists nobody, so that nothing can be approved under it."""
    if not digest:
        return ""
    try:
        return ledger.evidence.get(digest).decode()
    except (BadInput, UnicodeDecodeError):
        return f"(the allowed signers {digest} are missing or are no text)"


def _not_approved(what: Signed, counted: Counted, hint: str) -> Refused:
    policy = counted.policy
    people = ", ".join(name for name, _ in counted.people) or "nobody"
    kind = "keys" if policy.signed else "people"
    whys = "; ".join(f"{given.approver!a}: {why}" for given, why in counted.refused)
    return Refused(
        f"{what.act} {what.subject} is not approved under the policy in force"
        f"{' ' + policy.digest[:12] if policy.origin or policy.document.lineage else ''}: it needs "
        f"{policy.needed} distinct {kind}, counted are {len(counted.people)} ({people})"
        + (f"; not counted are {whys}" if whys else ""),
        code="not_approved",
        hint=hint,
        approvals_needed=policy.needed,
        counted=[{"approver": name, "key": key or None} for name, key in counted.people],
        refused=[{"approver": given.approver, "why": why} for given, why in counted.refused],
    )
