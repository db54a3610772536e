"""Making the derived index again from sealed segments, column by column, checking the chain on the way."""

from __future__ import annotations

from pathlib import Path

from ledger.errors import Damaged
from ledger.log import segment
from ledger.log.heads import Head, Heads, Indexed, Row, id_bytes

_COLUMNS = ("position", "event_id", "stream", "version", "key", "recorded_at", "hash", "prev_hash")


def index_segment(heads: Heads, path: Path, state: Indexed, mark: Indexed | None, origin: str) -> Head:
    """Index one segment that must follow `state`. Returns the head it leads to.

    Raises `Damaged` when it does not follow, or holds another event where `mark` says one was acknowledged.
    """
    found = segment.columns(path, _COLUMNS)
    positions, hashes = found["position"], found["hash"]
    first = state.head.position + 1
    previous = [bytes.fromhex(state.head.hash), *hashes[:-1]]
    for expected, position, before, mine in zip(
        range(first, first + len(positions)), positions, previous, found["prev_hash"], strict=True
    ):
        if position != expected:
            raise broken(origin, f"position {position} follows {expected - 1}", expected)
        if before != mine:
            raise broken(origin, f"position {position} does not chain to position {position - 1}", position)
    acknowledged = mark.head.position if mark else 0
    if mark and first <= acknowledged <= positions[-1] and hashes[acknowledged - first].hex() != mark.head.hash:
        raise broken(origin, f"position {acknowledged} is not the event that was acknowledged", acknowledged)
    head = Head(positions[-1], hashes[-1].hex(), found["recorded_at"][-1])
    rows = [
        Row(*row)
        for row in zip(
            positions,
            map(id_bytes, found["event_id"]),
            found["stream"],
            found["version"],
            found["key"],
            found["recorded_at"],
            strict=True,
        )
    ]
    heads.add(rows, Indexed(head, state.journal_inode, state.journal_size))
    return head


def broken(origin: str, what: str, position: int) -> Damaged:
    """Return the error of a chain that does not hold; `position` is the first bad event's."""
    return Damaged(
        f"the log of {origin} is broken: {what}", code="chain_broken", hint="perfledger verify", position=position
    )


def log_cut(origin: str, position: int) -> Damaged:
    """Return the error of a log that ends before an acknowledged position."""
    return Damaged(
        f"the log of {origin} ends before position {position}, which was acknowledged; nothing was written",
        code="log_cut",
        hint="perfledger verify; then restore the log from a copy or `perfledger sync pull`",
        position=position,
    )
