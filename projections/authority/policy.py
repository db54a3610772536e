"""An approval policy, its digest, and which of two is the stricter.

A policy is one document, canonical JSON; its SHA-256 is the digest that pins it, that a change of it names, and that
is signed. Of two policies one is at least as strict as the other if whatever satisfies it also satisfies the other.
That is a partial order: where neither is, both hold, so that the answer never depends on which was learned first.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

import msgspec

from ledger import canonical
from ledger.errors import BadInput
from ledger.identity import names
from ledger.identity.ssh_keys import Signer, read_signers

RESEED, APPLY, CI_POLICY = "reseed", "apply", "ci-policy"
ACTS = (RESEED, APPLY, CI_POLICY)
APPROVALS_MAX = 10


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A policy as it is pinned and signed.

    approvals: how many distinct approvers a decision needs. allowed_signers: the text of an OpenSSH allowed-signers
    file; empty: approvals are not signed. covers: the acts that need approval. lineage: random, made with the first
    policy of a ledger and kept by its successors. replaces: digest of the policy before, null for the first;
    settles: digests of further ones that replaced the same one.
    """

    approvals: int
    allowed_signers: str = ""
    covers: tuple[str, ...] = (RESEED,)
    lineage: str = ""
    reason: str = ""
    replaces: str | None = None
    settles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """A policy and where it was learned: `origin` and `position` of its event, "" and 0 for a pinned file."""

    document: Document
    origin: str = ""
    position: int = 0
    event_id: str = ""
    actor: str = ""
    recorded_at: str = ""
    fault: str = field(default="", compare=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the document."""
        return digest_of(self.document)

    @cached_property
    def signers(self) -> tuple[Signer, ...]:
        """The lines of its allowed-signers file."""
        return tuple(read_signers(self.document.allowed_signers))

    @property
    def signed(self) -> bool:
        """Whether approvals under it need signatures."""
        return bool(self.document.allowed_signers)

    @property
    def needed(self) -> int:
        """How many distinct approvers it needs; none that needs fewer than one is believed."""
        return max(1, self.document.approvals)

    @cached_property
    def usable(self) -> frozenset[Signer]:
        """The lines whose signatures count."""
        return frozenset(signer for signer in self.signers if not signer.fault)

    @property
    def parents(self) -> tuple[str, ...]:
        """The digests of the policies that it ends."""
        return tuple(d for d in (self.document.replaces, *self.document.settles) if d is not None)

    def summary(self) -> str:
        """Return what it asks for, in words."""
        by = (
            f"signed by {self.needed} of {len({s.fingerprint for s in self.usable})} keys"
            if self.signed
            else (f"{self.needed} approver(s), not signed")
        )
        return f"{by}, for {', '.join(self.document.covers) or 'nothing'}"


NONE = Policy(Document(approvals=1))  # what holds while nothing was adopted


def bytes_of(document: Document) -> bytes:
    """Return the canonical bytes of a policy, which a pinned file has."""
    return canonical.encode(msgspec.to_builtins(document))


def digest_of(document: Document) -> str:
    """Return the digest of a policy."""
    return sha256(bytes_of(document)).hexdigest()


def read(data: bytes, *, where: str) -> Document:
    """Read a policy file. Raises `BadInput` for anything but the exact bytes of a policy."""
    hint = "perfledger reseed policy --pin writes such a file"
    try:
        found = msgspec.json.decode(data, type=Document)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"{where} is not an approval policy: {error}", code="bad_policy_file", hint=hint) from None
    if bytes_of(found) != data:
        raise BadInput(f"{where} is not in canonical form", code="bad_policy_file", hint=hint)
    return found


def new_lineage() -> str:
    """Return a new random lineage."""
    return secrets.token_hex(16)


def check(document: Document) -> None:
    """Refuse to adopt a policy that nobody could satisfy, or that does not mean what it says. Raises `BadInput`."""
    policy = Policy(document)
    for signer in policy.signers:
        if signer.fault:
            raise _refused(f"the line of {signer.principals} is not usable: {signer.fault}")
        for name in signer.names:
            why = names.fault(name)
            if why:
                raise _refused(f"the name {name!a} {why}")
    people = [names.normal(name) for signer in policy.signers for name in signer.names]
    for nth, signer in enumerate(policy.signers):
        twin = next((s for s in policy.signers[:nth] if s.fingerprint == signer.fingerprint), None)
        if twin:
            raise _refused(
                f"the key {signer.fingerprint} is listed twice, for {twin.principals} and {signer.principals}"
            )
    able = min(len(policy.signers), len(set(people)))
    if policy.signed and able < policy.needed:
        raise _refused(f"{policy.needed} approvers are asked for, and it lists {able} people with a key of their own")


def _refused(why: str) -> BadInput:
    return BadInput(
        f"{why}; nothing was adopted",
        code="bad_approval_policy",
        hint="one line per person and key: NAME ssh-ed25519 AAAA...",
    )


def at_least_as_strict(one: Policy, other: Policy) -> bool:
    """Whether whatever satisfies `one` satisfies `other`, too.

    Of the approvals that `one` counts, all by lines that `other` has as well count there; at most so many as there are
    other lines do not.
    """
    if not set(other.document.covers) <= set(one.document.covers):
        return False
    if not other.signed:
        return one.needed >= other.needed
    if not one.signed:
        return False
    return one.needed - len(one.usable - other.usable) >= other.needed


def strictest(policies: Iterable[Policy]) -> list[Policy]:
    """Return the policies that no other one implies, in the order of their digests: all of them must be satisfied."""
    found: Sequence[Policy] = sorted({p.digest: p for p in policies}.values(), key=lambda p: p.digest)
    kept = []
    for nth, policy in enumerate(found):
        implied = any(
            at_least_as_strict(other, policy) and (not at_least_as_strict(policy, other) or place < nth)
            for place, other in enumerate(found)
            if place != nth
        )
        if not implied:
            kept.append(policy)
    return kept


def as_json(policy: Policy) -> dict[str, Any]:
    """Return a policy for people and programs."""
    keys = [{"names": s.names, "key": s.fingerprint, "fault": s.fault or None} for s in policy.signers]
    return {
        "digest": policy.digest,
        "approvals": policy.needed,
        "signed": policy.signed,
        "signers": keys,
        "covers": list(policy.document.covers),
        "reason": policy.document.reason,
        "replaces": policy.document.replaces,
        "event_id": policy.event_id or None,
        "origin": policy.origin or None,
    }
