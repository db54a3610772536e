"""Changing who may approve: a policy that names the one it replaces, and the endorsements that put it in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from commands.ledger_commands import policy_pin
from ledger.errors import BadInput, Refused
from ledger.event import EventPayload, NewEvent
from ledger.events.reseeds import ReseedPolicyEndorsed
from ledger.identity import names, signing
from ledger.identity.signing import GOOD
from ledger.outside.files import read_bytes
from projections.authority import in_force
from projections.authority.in_force import Authority
from projections.authority.policy import NONE, Document, Policy, check, digest_of, new_lineage

if TYPE_CHECKING:
    from ledger.ledger import Ledger


@dataclass(frozen=True)
class Asked:
    """What the options of `policy` say."""

    approvals: int | None
    allowed_signers: str | None
    covers: tuple[str, ...]
    reason: str
    sign_key: str | None
    endorse: str | None
    confirm: str | None
    pin: str | None

    @property
    def changes(self) -> bool:
        """Whether another policy is asked for."""
        return self.approvals is not None or self.allowed_signers is not None or bool(self.covers)

    @property
    def writes(self) -> bool:
        """Whether anything is."""
        return self.changes or self.endorse is not None or self.pin is not None


def carry_out(ledger: Ledger, asked: Asked) -> str | None:
    """Do what is asked; return the digest of the policy that was adopted, endorsed or pinned."""
    digest = None
    if asked.changes:
        document = _changed(in_force.load(ledger), asked)
        digest = digest_of(document)
        _adopt(ledger, document, asked.sign_key, pinned=asked.pin is not None)
        if asked.pin is not None:
            policy_pin.pin(ledger, document)
        return digest
    if asked.endorse is not None:
        return _endorse(ledger, asked.endorse, asked.sign_key)
    return _pin(ledger, asked.pin or "")


def _changed(authority: Authority, asked: Asked) -> Document:
    """Return the policy that is asked for: what is not said stays as it is."""
    ended = [p for p in authority.chain.rivals or authority.policies if p is not NONE]
    base = authority.policies[0].document
    signers = base.allowed_signers
    if asked.allowed_signers is not None:
        signers = _signers(asked.allowed_signers)
    if len({policy.document.lineage for policy in ended}) > 1:
        raise Refused(
            "first policies of several ledgers are in force, which no change replaces at once; nothing was adopted",
            code="policies_of_several_ledgers",
            hint="perfledger reseed policy --pin DIGEST   # the one that is yours",
        )
    replaces = [policy.digest for policy in ended]
    document = Document(
        approvals=asked.approvals or authority.policies[0].needed,
        allowed_signers=signers,
        covers=tuple(sorted(set(asked.covers or base.covers))),
        lineage=base.lineage or new_lineage(),
        reason=asked.reason,
        replaces=replaces[0] if replaces else None,
        settles=tuple(replaces[1:]),
    )
    check(document)
    return document


def _signers(file: str) -> str:
    try:
        text = read_bytes(file).decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{file} is no UTF-8 text: {error}", code="no_signers", hint="write it in UTF-8") from None
    if not any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()):
        raise BadInput(
            f"{file} lists no signer; nothing was adopted",
            code="no_signers",
            hint="one line per person: NAME ssh-ed25519 AAAA...",
        )
    return text


def _adopt(ledger: Ledger, document: Document, sign_key: str | None, *, pinned: bool) -> None:
    authority = in_force.load(ledger)
    if authority.pin is not None and not pinned and not authority.policies[0].signed:
        raise Refused(
            "the pinned policy lists no signers, so that nothing in the log can replace it; nothing was adopted",
            code="policy_pinned",
            hint="the same command with --pin pins the new one in this ledger",
        )
    parents = [policy for policy in authority.policies if policy is not NONE]
    own = _endorsement(ledger, digest_of(document), parents, sign_key)
    _append(ledger, [policy_pin.adopted(ledger, document), own])


def to_endorse(ledger: Ledger, digest: str) -> Policy:
    """Return the policy that waits for endorsements under this digest, or its beginning."""
    policies = [aside.policy for aside in in_force.load(ledger).chain.set_aside]
    return _one(policies, digest, "waits for endorsements")


def terms(policy: Policy) -> str:
    """Return all that a policy says, for whoever is about to sign it."""
    document = policy.document
    people = [f"  {', '.join(s.names)}  {s.fingerprint}  {s.options}{s.fault}".rstrip() for s in policy.signers]
    return "\n".join(
        [
            f"policy {policy.digest}, adopted by {policy.actor} on {policy.origin}",
            f"  {policy.summary()}",
            f"  reason    {document.reason or '-'}",
            f"  replaces  {', '.join(policy.parents) or 'nothing: it is a first policy'}",
            *people,
        ]
    )


def _endorse(ledger: Ledger, given: str, sign_key: str | None) -> str:
    authority = in_force.load(ledger)
    found = to_endorse(ledger, given)
    parents = [authority.chain.known[d] for d in found.parents if d in authority.chain.known]
    _append(ledger, [_endorsement(ledger, found.digest, parents, sign_key)])
    return found.digest


def _endorsement(ledger: Ledger, digest: str, parents: Sequence[Policy], sign_key: str | None) -> ReseedPolicyEndorsed:
    """Sign a change. Raises `Refused` for a key that none of the policies it replaces lists for this person."""
    name = names.checked(ledger.actor, what="approver's name")
    signature = signing.sign(sign_key, in_force.change(digest)) if sign_key else ""
    looks = [
        signing.verify(signature, in_force.change(digest), name=name, signers=policy.usable)
        for policy in parents
        if policy.signed
    ]
    if signature and looks and all(look.outcome != GOOD for look in looks):
        raise Refused(
            f"the signature of {name} would not count for this change: {looks[0].why}; nothing was recorded",
            code="signature_wrong",
            hint="sign with the key that the policy in force lists under exactly this name (--actor)",
        )
    return ReseedPolicyEndorsed(digest=digest, approver=name, signature=signature)


def _pin(ledger: Ledger, what: str) -> str:
    """Pin the policy in force (""), that of a file, or one of the log by its digest."""
    if what and Path(what).is_file():
        document = policy_pin.from_file(what)
        policy_pin.pin(ledger, document, file=what)
        return digest_of(document)
    try:
        authority = in_force.load(ledger)
    except Refused as error:
        raise Refused(
            f"{error.message}; name the policy to pin instead by its file",
            code=error.code,
            hint="perfledger reseed policy --pin FILE",
        ) from None
    if what:
        policies = [*authority.chain.known.values(), *(aside.policy for aside in authority.chain.set_aside)]
        policy = _one(policies, what, "is in this ledger")
    elif len(authority.policies) > 1 or authority.policies[0] is NONE:
        raise BadInput(
            "several policies are in force; name the one to pin" if authority.chain.rivals else "no policy is adopted",
            code="nothing_to_pin",
            hint="perfledger reseed policy --pin DIGEST" if authority.chain.rivals else "add --approvals N",
        )
    else:
        policy = authority.policies[0]
    policy_pin.pin(ledger, policy.document)
    return policy.digest


def _one(policies: Sequence[Policy], digest: str, which: str) -> Policy:
    found = {policy.digest: policy for policy in policies if digest and policy.digest.startswith(digest)}
    if len(found) != 1:
        raise BadInput(
            f"{digest!r} is not the beginning of the digest of exactly one policy that {which}",
            code="no_such_policy",
            hint="perfledger reseed policy --json lists them",
        )
    return next(iter(found.values()))


def _append(ledger: Ledger, payloads: Sequence[EventPayload]) -> None:
    ledger.append([NewEvent(stream=policy_pin.STREAM, payload=payload) for payload in payloads])
