"""The Merkle tree of RFC 6962, section 2.1: roots, inclusion proofs and consistency proofs, made and checked.

A tree of n leaves is split at the largest power of two smaller than n, so that a tree that grows keeps its complete
subtrees. `lookup(start, end)` stands for the leaves: it returns the hash of the leaves start..end-1 where that is known
(it must be for a single leaf), or None where it is to be made from its two halves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

Lookup = Callable[[int, int], bytes | None]


class DoesNotHold(Exception):
    """A proof that does not lead to the root it is for. The message says why, as the end of a sentence."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256 of 0x00 and its data."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: SHA-256 of 0x01 and its two children."""
    return sha256(b"\x01" + left + right).digest()


def complete(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes whose number is a power of two: level by level, without recursion."""
    assert leaves and len(leaves) & (len(leaves) - 1) == 0, len(leaves)
    row = list(leaves)
    while len(row) > 1:
        row = [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]


def root(lookup: Lookup, start: int, end: int) -> bytes:
    """Return the root over the leaves start..end-1: MTH(D[start:end]) of the RFC."""
    if start == end:
        return EMPTY_ROOT
    known = lookup(start, end)
    if known is not None:
        return known
    middle = start + _split(end - start)
    return node_hash(root(lookup, start, middle), root(lookup, middle, end))


def inclusion(lookup: Lookup, index: int, size: int) -> list[bytes]:
    """Return the audit path of leaf `index` (from 0) in the tree of `size` leaves, from the leaf's sibling upward."""
    assert 0 <= index < size, (index, size)
    start, end, path = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(root(lookup, middle, end))
            end = middle
        else:
            path.append(root(lookup, start, middle))
            start = middle
    return path[::-1]


def consistency(lookup: Lookup, old: int, new: int) -> list[bytes]:
    """Return the proof that the tree of `new` leaves begins with the tree of `old` leaves; empty for 0 or equal."""
    assert 0 <= old <= new, (old, new)
    if old in (0, new):
        return []
    start, end, path, whole = 0, new, [], True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(root(lookup, middle, end))
            end = middle
        else:
            path.append(root(lookup, start, middle))
            start, whole = middle, False
    # the old root itself is known to whoever asks, unless it is a part of the old tree only
    if not whole:
        path.append(root(lookup, start, end))
    return path[::-1]


def check_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], expected: bytes) -> None:
    """Raise `DoesNotHold` unless the path leads from a leaf hash to the root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        raise DoesNotHold(f"index {index} is not in a tree of {size}")
    node, last, found = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise DoesNotHold("its path is too long")
        if node & 1 or node == last:
            found = node_hash(step, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, step)
        node, last = node >> 1, last >> 1
    if last:
        raise DoesNotHold("its path is too short")
    if found != expected:
        raise DoesNotHold("its path does not lead to the root of the checkpoint")


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Raise `DoesNotHold` unless the larger tree begins with the smaller one (RFC 9162, section 2.1.4.2)."""
    if not 0 <= old <= new:
        raise DoesNotHold(f"a tree of {new} cannot begin with one of {old}")
    if old in (0, new):
        if path:
            raise DoesNotHold("its path is too long")
        if old_root != (new_root if old else EMPTY_ROOT):
            raise DoesNotHold("two trees of one size have different roots")
        return
    steps = list(path) if old & (old - 1) else [old_root, *path]
    if not steps:
        raise DoesNotHold("its path is too short")
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise DoesNotHold("its path is too long")
        if node & 1 or node == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, step)
        node, last = node >> 1, last >> 1
    if last:
        raise DoesNotHold("its path is too short")
    if (first, second) != (old_root, new_root):
        raise DoesNotHold("the larger tree does not begin with the smaller one")


def _split(size: int) -> int:
    """Return the largest power of two smaller than `size`."""
    return 1 << (size - 1).bit_length() - 1
