"""Pinning the approval policy of a ledger: its file is named with its digest in `ledger.toml`, and that is an event."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ledger import disk
from ledger.errors import BadInput
from ledger.event import NewEvent
from ledger.events.reseeds import ReseedPolicyAdopted, ReseedPolicyPinned
from ledger.outside.files import read_bytes
from ledger.pins import APPROVAL_POLICY, Pin, read_pin, write_pin
from projections.authority.policy import Document, bytes_of, check, digest_of, read

if TYPE_CHECKING:
    from ledger.ledger import Ledger

STREAM = "policy/reseed"


def from_file(path: str | os.PathLike[str]) -> Document:
    """Read a policy file that is to be pinned. Raises `BadInput` for one that is none, or that nobody satisfies."""
    document = read(read_bytes(path), where=str(path))
    check(document)
    return document


def pin(ledger: Ledger, document: Document, *, file: str | os.PathLike[str] | None = None) -> Pin:
    """Pin a policy: by `file`, which must hold its bytes, or by a file beside `ledger.toml`."""
    digest = digest_of(document)
    before = read_pin(ledger.path, APPROVAL_POLICY)
    if file is None:
        name = f"approval-policy-{digest[:12]}.json"
        if not disk.put_if_absent(ledger.path / name, bytes_of(document)):
            disk.overwrite(ledger.path / name, bytes_of(document))
    else:
        name = os.path.relpath(os.path.realpath(file), os.path.realpath(ledger.path))
        if not name.isprintable() or '"' in name:
            raise BadInput(
                f"the path {name!a} cannot stand in ledger.toml; nothing was pinned",
                code="bad_pin",
                hint="give the file a plain name",
            )
    made = Pin(name, digest)
    # first said, then done: a pin that no event names was not made by this command
    event = ReseedPolicyPinned(digest=digest, before=before.sha256 if before else None, file=name)
    ledger.append([NewEvent(stream=STREAM, payload=event)])
    write_pin(ledger.path, APPROVAL_POLICY, made)
    return made


def adopted(ledger: Ledger, document: Document) -> ReseedPolicyAdopted:
    """Keep the allowed signers as evidence, and return what says that this policy was adopted."""
    signers = ledger.evidence.put(document.allowed_signers.encode()) if document.allowed_signers else ""
    return ReseedPolicyAdopted(
        approvals=document.approvals,
        allowed_signers=signers,
        reason=document.reason,
        covers=list(document.covers),
        lineage=document.lineage,
        replaces=document.replaces,
        settles=list(document.settles),
    )
