"""The Merkle tree over one origin's log: its leaves are the hashes of the events, in the log's order.

The leaf at index i (from 0) is the hash of the event at position i + 1, as 32 bytes. So the tree commits to the same
events as the chain does, and is made of nothing else.

What is kept of it is one hash for 256 events, in `log/<origin>/tree`: a cache. It is used only as far as it leads to
the root of a checkpoint that was signed before; what it says beyond that, or where it leads elsewhere, is made again
from the log. So a cache that is gone, older, newer or wrong costs time and changes nothing.
"""

from __future__ import annotations

import contextlib
from itertools import islice

from ledger import disk
from ledger.errors import Conflict
from ledger.log.reading import LogReader
from ledger.proofs import merkle
from ledger.proofs.merkle import HASH_BYTES
from ledger.proofs.notes import Checkpoint

NAME = "tree"
TILE = 256  # leaves below one kept hash; the same height as c2sp.org/tlog-tiles


class Tree:
    """The tree over the first `size` events of a log. Raises `Damaged` where the log cannot be read."""

    def __init__(self, log: LogReader, size: int, tiles: list[bytes]) -> None:
        self.size = size
        self._log = log
        self._tiles = tiles
        self._blocks: dict[int, list[bytes]] = {}

    def root(self, size: int | None = None) -> bytes:
        """Return the root over the first `size` events (None: all of the tree)."""
        return merkle.root(self._lookup, 0, self.size if size is None else size)

    def inclusion(self, position: int, size: int | None = None) -> list[bytes]:
        """Return the audit path of the event at a position, in the tree over the first `size` events."""
        return merkle.inclusion(self._lookup, position - 1, self.size if size is None else size)

    def consistency(self, old: int, new: int | None = None) -> list[bytes]:
        """Return the proof that the tree over `new` events begins with the one over `old`."""
        return merkle.consistency(self._lookup, old, self.size if new is None else new)

    def _lookup(self, start: int, end: int) -> bytes | None:
        if end - start == TILE and start % TILE == 0 and start // TILE < len(self._tiles):
            return self._tiles[start // TILE]
        if end - start == 1:
            return self._block(start // TILE)[start % TILE]
        return None

    def _block(self, number: int) -> list[bytes]:
        """Return the leaf hashes of a run of 256 events, or of those of it that are in the tree."""
        leaves = self._blocks.get(number)
        if leaves is None:
            first, last = number * TILE + 1, min((number + 1) * TILE, self.size)
            leaves = [merkle.leaf_hash(h) for h in self._log.hashes(first=first, last=last)]
            if number < len(self._tiles) and merkle.complete(leaves) != self._tiles[number]:
                raise contradicted(self._log.origin, first)
            self._blocks[number] = leaves
        return leaves


def open_tree(log: LogReader, size: int, signed: Checkpoint | None) -> Tree:
    """Return the tree over the first `size` events of a log, and keep what made it cheap.

    signed: a checkpoint of this log that is known to be genuine, of at most `size` events; the tree begins with the
    tree it was signed over, or `Conflict` (`checkpoint_contradicted`) is raised. None: there was none yet.
    """
    kept = _read(log)
    tiles = None
    if signed is not None and signed.size:
        assert signed.size <= size, (signed.size, size)
        # the last leaf is always read from the log: its event's hash speaks for all before it
        begun = kept[: (signed.size - 1) // TILE]
        for known in [begun, []] if begun else [[]]:
            tiles = _extended(log, known, size)
            if Tree(log, size, tiles).root(signed.size) == signed.root:
                break
        else:
            raise contradicted(log.origin, signed.size)
    tiles = _extended(log, [], size) if tiles is None else tiles
    if tiles != kept:
        with contextlib.suppress(OSError):  # a folder that may only be read, a full disk: it is made again next time
            disk.overwrite(log.folder / NAME, b"".join(tiles))
    return Tree(log, size, tiles)


def contradicted(origin: str, position: int) -> Conflict:
    """Return the refusal of a log that is not the one a checkpoint was signed over."""
    return Conflict(
        f"the log of {origin} up to position {position} is not the one that its checkpoint was signed over: it was "
        "rewritten since, or this is a copy that went another way",
        code="checkpoint_contradicted",
        hint="perfledger verify; restore the log from a copy or from the remote",
        origin=origin,
        position=position,
    )


def _extended(log: LogReader, tiles: list[bytes], size: int) -> list[bytes]:
    """Return the hashes of all complete runs of 256 events, those that are missing made from the log."""
    count = size // TILE
    found = tiles[:count]
    if len(found) < count:
        hashes = map(merkle.leaf_hash, log.hashes(first=len(found) * TILE + 1, last=count * TILE))
        while block := list(islice(hashes, TILE)):
            found.append(merkle.complete(block))
    return found


def _read(log: LogReader) -> list[bytes]:
    try:
        data = (log.folder / NAME).read_bytes()
    except OSError:
        return []
    return [data[at : at + HASH_BYTES] for at in range(0, len(data) - HASH_BYTES + 1, HASH_BYTES)]
