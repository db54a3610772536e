"""The checkpoint an origin keeps at a remote, `log/<origin>/HEAD.json`: how far its log goes, and the hash there.

A log that was cut off still verifies up to the cut; only the checkpoint says that more was there. And one hash tells
whether a remote's log is the same chain as ours, without reading any of it.
"""

from __future__ import annotations

import functools
from typing import Annotated

import msgspec

from ledger import canonical
from ledger.canonical import INT_MAX
from ledger.errors import BadInput, Conflict, Damaged
from ledger.layout import ORIGIN_PATTERN
from ledger.ledger import Ledger
from ledger.log.heads import Head
from ledger.log.segment import SegmentInfo
from ledger.remotes.remote import Remote, Snapshot
from ledger.remotes.retry import asking

NAME = "HEAD.json"
FORMAT = 1


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says. `hash` is that of the event at `position`."""

    format: int
    hash: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    origin: str
    position: Annotated[int, msgspec.Meta(ge=1, le=INT_MAX)]


def path_of(origin: str) -> str:
    """Return the checkpoint's path at a remote."""
    return f"log/{origin}/{NAME}"


def encode(head: SegmentInfo) -> bytes:
    """Return the checkpoint of an origin whose last segment is `head`."""
    return canonical.encode(Checkpoint(format=FORMAT, hash=head.head_hash, origin=head.origin, position=head.last))


def read(remote: Remote, snapshot: Snapshot, origin: str, *, expected: SegmentInfo | None) -> Checkpoint | None:
    """Return an origin's checkpoint at a remote, or None when there is none. Raises `Damaged` when it is unreadable.

    expected: where this ledger's own copy of that log ends. A checkpoint has one form, so a listing with digests
    tells without a request whether it says just that.
    """
    path = path_of(origin)
    listed = snapshot.files.get(path)
    if listed is None:
        return None
    if expected is not None and listed.has_digest and listed.is_content(encode(expected)):
        return Checkpoint(format=FORMAT, hash=expected.head_hash, origin=origin, position=expected.last)
    try:
        found = msgspec.json.decode(remote.read(snapshot, path), type=Checkpoint)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Damaged(
            f"{remote.url}/{path} is not a checkpoint",
            code="checkpoint_unreadable",
            remote=remote.url,
            hint=f"delete it there; the next push of {origin} writes it again",
        ) from None
    if found.origin != origin or found.format > FORMAT:
        raise Damaged(
            f"{remote.url}/{path} is a checkpoint of {found.origin}, format {found.format}",
            code="checkpoint_foreign",
            remote=remote.url,
            hint="upgrade perfledger, or restore that file there",
        )
    return found


def hash_here(ledger: Ledger, origin: str, position: int) -> str | None:
    """Return the hash of an event this ledger holds, or None when its log of that origin ends before."""
    try:
        return ledger.log_of(origin).at(position).hash
    except BadInput:
        return None


def forked(origin: str, remote: str, *, own: bool, position: int) -> Conflict:
    """Return the refusal of a fork: two different histories under one origin's name."""
    if own:
        return Conflict(
            f"the origin {origin} was written in two places: {remote} holds other events at position {position} than "
            "this ledger does; nothing was pushed",
            code="forked_origin",
            origin=origin,
            remote=remote,
            position=position,
            hint="this folder is a copy of another ledger: `perfledger init NEWDIR --origin NEWNAME`, `sync pull` "
            f"there, and record again what only this copy has (perfledger events export --origin {origin})",
        )
    return Conflict(
        f"the origin {origin} has two histories: {remote} holds other events at position {position} than this ledger "
        "pulled before; none of them was taken",
        code="forked_origin",
        origin=origin,
        remote=remote,
        position=position,
        hint=f"ask whoever runs {origin}: one of its copies must get a new origin (perfledger init --origin NEWNAME); "
        "`perfledger verify --remote` names the first difference",
    )


def heads(remote: Remote) -> dict[str, Head]:
    """Return where every origin's log ends according to the checkpoints at a remote."""
    snapshot = asking(remote.snapshot, remote.policy, name=remote.url)
    found = {}
    for path in sorted(snapshot.files):
        parts = path.split("/")
        if len(parts) == 3 and parts[0] == "log" and parts[2] == NAME and ORIGIN_PATTERN.fullmatch(parts[1]):
            origin = parts[1]
            look = functools.partial(read, remote, snapshot, origin, expected=None)
            said = asking(look, remote.policy, name=remote.url)
            if said is not None:
                found[origin] = Head(said.position, said.hash)
    return found
