"""Ledgers with a few hundred events for the tests of proofs, and what is the same in several of them."""

from __future__ import annotations

from pathlib import Path

from ledger.ledger import Ledger
from ledger.proofs import checkpoints, keys
from ledger.proofs.checkpoints import Known
from tests.ledger.proofs import rfc6962
from tests.ledger.samples import result

ORIGIN = "bed"


def grown(path: Path, count: int = 600, origin: str = ORIGIN) -> Ledger:
    """A ledger with a key and a log of `count` events, some sealed and some in the journal."""
    ledger = Ledger.create(path, origin=origin, actor="tester@example.org")
    keys.ready(ledger)
    add(ledger, count // 2)
    ledger.seal()
    add(ledger, count - ledger.head().position)
    assert ledger.head().position == count
    return ledger


def add(ledger: Ledger, count: int) -> None:
    """Append `count` results."""
    first = ledger.head().position
    ledger.append([result(first + n) for n in range(count)])


def signed(ledger: Ledger) -> Known:
    """Sign the log as it is."""
    return checkpoints.sign(ledger, keys.ready(ledger))


def root_of(ledger: Ledger, size: int, origin: str | None = None) -> bytes:
    """The root over the first `size` events, from their hashes as readers of the whole log have them."""
    hashes = [bytes.fromhex(event.hash) for event in ledger.read(origin=origin or ledger.origin)]
    assert len(hashes) >= size
    return rfc6962.mth(hashes[:size])
