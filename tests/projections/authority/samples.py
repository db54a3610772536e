"""Policies with keys that are only named: what a signature says is told by the test."""

from __future__ import annotations

import base64
from typing import Any

from ledger.identity.signing import EXPIRED, GOOD, WRONG, Seen
from ledger.identity.ssh_keys import fingerprint
from projections.authority import chain
from projections.authority.chain import Chain, Endorsement
from projections.authority.policy import Document, Policy

KEYS = "abcd"


def blob(name: str) -> bytes:
    """The public key that a name stands for."""
    kind = b"ssh-ed25519"
    return len(kind).to_bytes(4, "big") + kind + (32).to_bytes(4, "big") + name.encode().ljust(32, b"\0")


def signers(keys: str) -> str:
    """The text of an allowed-signers file that lists these keys, each under its own name."""
    return "".join(f"{key} ssh-ed25519 {base64.b64encode(blob(key)).decode()}\n" for key in keys)


def policy(
    approvals: int, keys: str | None = None, *, after: Policy | None = None, origin: str = "ours", **more: Any
) -> Policy:
    """A policy that lists keys, or none; `after` is the one that it replaces."""
    at = more.pop("at", 1)
    document = Document(
        approvals=approvals,
        allowed_signers=signers(keys) if keys else "",
        replaces=after.digest if after else None,
        **more,
    )
    return Policy(document, origin=origin, position=at)


def by(change: Policy, keys: str, *, origin: str = "ours") -> list[Endorsement]:
    """Endorsements of a change by these keys; a capital letter is a key that is valid no more, `!` a forged one."""
    return [
        Endorsement(change.digest, key.lower(), "forged" if key == "!" else f"signed by {key}", origin) for key in keys
    ]


def verify(listed: Policy, word: Endorsement) -> Seen:
    """Say what a signature of `by` is worth under a policy that lists the key."""
    key = word.signature.rpartition(" ")[2]
    known = {signer.principals for signer in listed.usable}
    if not word.signature.startswith("signed by ") or key.lower() not in known:
        return Seen(WRONG, why="not listed")
    return Seen(EXPIRED if key.isupper() else GOOD, fingerprint(blob(key.lower())))


def fold(policies: list[Policy], *words: list[Endorsement], anchor: Policy | None = None) -> Chain:
    """Fold policies as the machine `ours`."""
    flat = [word for group in words for word in group]
    return chain.fold(policies, flat, own_origin="ours", verify=verify, anchor=anchor)
