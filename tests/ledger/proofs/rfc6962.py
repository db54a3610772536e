"""The Merkle tree written from the text of RFC 6962, section 2.1, sharing no code with the product.

Plain recursion over lists of leaf data, as the RFC defines it: slow, and easy to compare with the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256


def mth(data: Sequence[bytes]) -> bytes:
    """MTH(D[n]): "Merkle Hash Trees", section 2.1."""
    if not data:
        return sha256().digest()
    if len(data) == 1:
        return sha256(b"\x00" + data[0]).digest()
    k = largest_power_of_two_below(len(data))
    return sha256(b"\x01" + mth(data[:k]) + mth(data[k:])).digest()


def path(m: int, data: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n]): "Merkle Audit Paths", section 2.1.1."""
    if len(data) == 1:
        return []
    k = largest_power_of_two_below(len(data))
    if m < k:
        return [*path(m, data[:k]), mth(data[k:])]
    return [*path(m - k, data[k:]), mth(data[:k])]


def proof(m: int, data: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D[n]): "Merkle Consistency Proofs", section 2.1.2."""
    return subproof(m, data, b=True)


def subproof(m: int, data: Sequence[bytes], *, b: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b)."""
    if m == len(data):
        return [] if b else [mth(data)]
    k = largest_power_of_two_below(len(data))
    if m <= k:
        return [*subproof(m, data[:k], b=b), mth(data[k:])]
    return [*subproof(m - k, data[k:], b=False), mth(data[:k])]


def largest_power_of_two_below(n: int) -> int:
    """The k of the RFC: k < n <= 2k."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k
