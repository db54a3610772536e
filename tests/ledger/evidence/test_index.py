"""The index of the evidence is derived: lost, spoiled, of another folder or not writable, the pieces are found."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.errors import BadInput, Damaged
from ledger.evidence import index
from ledger.evidence.store import EvidenceStore
from ledger.ledger import Ledger

PIECES = [f"piece {n}".encode() for n in range(20)]
DIGESTS = [sha256(piece).hexdigest() for piece in PIECES]


@pytest.fixture(params=["in the tail", "sealed", "half and half"])
def kept(request: pytest.FixtureRequest, ledger: Ledger) -> Ledger:
    """A ledger with twenty small pieces of evidence."""
    for number, piece in enumerate(PIECES):
        ledger.evidence.put(piece)
        if request.param == "half and half" and number == 9:
            ledger.evidence.seal()
    if request.param == "sealed":
        ledger.evidence.seal()
    return Ledger.open(ledger.path)


def index_of(ledger: Ledger) -> Path:
    (path,) = ledger.path.rglob(index.NAME)
    return path


def all_there(ledger: Ledger) -> bool:
    fresh = EvidenceStore(ledger.path / "evidence", ledger.origin)
    return [fresh.get(digest) for digest in DIGESTS] == PIECES and all(fresh.has(digest) for digest in DIGESTS)


@pytest.mark.parametrize("data", [b"", b"rubbish" * 1000, b"SQLite format 3\0" + b"\xff" * 4096])
def test_an_index_that_is_rubbish_is_made_again(kept: Ledger, data: bytes) -> None:
    path = index_of(kept)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(data)
    assert all_there(kept)
    assert path.read_bytes()[:16] == b"SQLite format 3\0"


def test_an_index_that_cannot_be_a_file_costs_a_look_and_loses_nothing(kept: Ledger) -> None:
    path = index_of(kept)
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.mkdir()
    assert all_there(kept)
    kept = Ledger.open(kept.path)
    digest = kept.evidence.put(b"one more")
    assert Ledger.open(kept.path).evidence.get(digest) == b"one more"


def test_an_index_from_before_the_seal_sends_nobody_to_the_old_place(kept: Ledger, tmp_path: Path) -> None:
    path = index_of(kept)
    assert all_there(kept)
    old = shutil.copy(path, tmp_path / "old.sqlite")
    kept.evidence.seal()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copy(old, path)
    assert all_there(kept)


def test_a_pack_that_is_gone_is_missing_evidence_and_not_an_old_answer(kept: Ledger) -> None:
    kept.evidence.seal()
    assert all_there(kept)
    for pack in kept.evidence.files():
        (kept.evidence.root / pack).unlink()
    fresh = Ledger.open(kept.path).evidence
    assert not any(fresh.has(digest) for digest in DIGESTS)
    with pytest.raises(BadInput, match="no evidence"):
        fresh.get(DIGESTS[0])
    fresh.put(PIECES[0])
    assert fresh.get(DIGESTS[0]) == PIECES[0], "what is missing is kept again, not taken for known"


def test_a_pack_that_cannot_be_read_is_damage_and_the_others_still_answer(kept: Ledger) -> None:
    kept.evidence.seal()
    more = kept.evidence.put(b"in another pack")
    kept.evidence.seal()
    fresh = Ledger.open(kept.path).evidence
    assert fresh.get(more) == b"in another pack"
    names = fresh.remembered()
    spoiled = kept.evidence.root / names[DIGESTS[0]]
    spoiled.write_bytes(spoiled.read_bytes()[:-20])
    with pytest.raises(Damaged) as caught:
        fresh.get(DIGESTS[0])
    assert caught.value.code == "evidence_damaged" and str(spoiled) in caught.value.message
    assert Ledger.open(kept.path).evidence.get(more) == b"in another pack"
