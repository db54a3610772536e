"""Whether enough distinct keys approved a decision under each policy in force."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger.identity import names, signing
from ledger.identity.distinct import Distinct
from ledger.identity.signing import GOOD, MISSING, Signed
from ledger.identity.ssh_keys import signing_key
from projections.authority.policy import Policy

NOT_SIGNED, UNCHECKED = "not signed", "signature not checked"  # as an approval is shown


@dataclass(frozen=True)
class Given:
    """An approval as its event says it; `signature` is "" for one that is not signed."""

    approver: str
    signature: str = ""
    event_id: str = ""


@dataclass(frozen=True)
class Counted:
    """What the approvals of a decision are worth under one policy.

    taken: the approvals that count; people: name and key of each, "" when not signed. refused: the others, with why.
    """

    policy: Policy
    taken: tuple[Given, ...]
    people: tuple[tuple[str, str], ...]
    refused: tuple[tuple[Given, str], ...]

    @property
    def enough(self) -> bool:
        """Whether the policy is satisfied."""
        return len(self.people) >= self.policy.needed


def count(policies: Sequence[Policy], what: Signed, given: Iterable[Given]) -> list[Counted]:
    """Return what the approvals are worth under each of the policies."""
    approvals = list(given)
    return [_under(policy, what, approvals) for policy in policies]


def _under(policy: Policy, what: Signed, given: Sequence[Given]) -> Counted:
    found, taken, refused = Distinct(), [], []
    for one in given:
        key, why = _key(policy, what, one)
        if not why and not found.add(one.approver, key):
            why = "its approver or key is counted already"
        if why:
            refused.append((one, why))
        else:
            taken.append(one)
    return Counted(policy, tuple(taken), tuple(found.people), tuple(refused))


def _key(policy: Policy, what: Signed, one: Given) -> tuple[str, str]:
    """Return the key of an approval, and why it does not count, or ""."""
    fault = names.fault(one.approver)
    if fault:
        return "", f"the name {one.approver!a} {fault}"
    if not policy.signed:
        return signing_key(one.signature), ""
    seen = signing.verify(one.signature, what, name=one.approver, signers=policy.usable)
    if seen.outcome == GOOD:
        return seen.key, ""
    return "", NOT_SIGNED if seen.outcome == MISSING else f"the signature does not hold: {seen.why}"
