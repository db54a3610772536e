"""The evidence store: content-addressed, durable, sealed into packs, checked."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from ledger.errors import BadInput, Damaged
from ledger.evidence.index import TAIL_NAME
from ledger.evidence.pieces import Problem
from ledger.evidence.store import EvidenceStore
from ledger.ledger import Ledger

BINARY = bytes(range(256))


def digests(store: EvidenceStore) -> set[str]:
    found = list(store.check())
    assert not [f for f in found if isinstance(f, Problem)], found
    return {f for f in found if isinstance(f, str)}


@pytest.mark.parametrize("data", [b"", b"text", "Umläute €".encode(), BINARY, b"\n\n", b"x" * 70_000])
def test_what_was_put_comes_back_before_and_after_sealing(ledger: Ledger, data: bytes) -> None:
    digest = ledger.evidence.put(data)
    assert digest == sha256(data).hexdigest()
    assert ledger.evidence.get(digest) == data
    ledger.seal()
    assert ledger.evidence.get(digest) == data
    assert EvidenceStore(ledger.path / "evidence", ledger.origin).get(digest) == data
    assert digests(ledger.evidence) == {digest}


def test_the_same_bytes_are_kept_once(ledger: Ledger) -> None:
    store = ledger.evidence
    assert store.put_many([b"a", b"a", b"b"]) == [store.put(b"a"), store.put(b"a"), store.put(b"b")]
    assert (store.folder / TAIL_NAME).read_bytes().count(b"\n") == 2


def test_many_pieces_at_once_become_a_pack(ledger: Ledger) -> None:
    items = [f"{n}".encode() * 500 for n in range(2_000)]
    found = ledger.evidence.put_many(items)
    assert [ledger.evidence.get(d) for d in found[::500]] == items[::500]
    assert len(ledger.evidence.files()) == 1
    assert digests(ledger.evidence) == set(found)


def test_large_pieces_are_files_named_by_their_digest(ledger: Ledger, tmp_path: Path) -> None:
    source = tmp_path / "log.txt"
    source.write_bytes(b"line\n" * 50_000)
    digest = ledger.evidence.put_file(source)
    assert [str(p) for p in ledger.evidence.files()] == [f"sha256/{digest[:2]}/{digest}"]


def test_an_unfinished_write_is_passed_over_and_does_not_spoil_the_next(ledger: Ledger) -> None:
    first = ledger.evidence.put(b"first")
    tail = ledger.evidence.folder / TAIL_NAME
    with tail.open("ab") as file:
        file.write(b'{"data":"unfin')
    store = EvidenceStore(ledger.path / "evidence", ledger.origin)
    second = store.put(b"second")
    assert store.get(first) == b"first"
    assert store.get(second) == b"second"


def test_the_index_may_be_deleted(ledger: Ledger) -> None:
    first = ledger.evidence.put(b"first")
    ledger.seal()
    second = ledger.evidence.put(b"second")
    for file in ledger.evidence.folder.glob("index.sqlite*"):
        file.unlink()
    store = EvidenceStore(ledger.path / "evidence", ledger.origin)
    assert (store.get(first), store.get(second)) == (b"first", b"second")


def test_another_origins_evidence_is_found(ledger: Ledger) -> None:
    other = EvidenceStore(ledger.path / "evidence", "other")
    digest = other.put(b"theirs")
    other.seal()
    assert ledger.evidence.get(digest) == b"theirs"


def test_changed_evidence_is_damage_and_check_names_it(ledger: Ledger) -> None:
    digest = ledger.evidence.put(b"x" * 70_000)
    path = ledger.evidence.root / ledger.evidence.files()[0]
    path.write_bytes(b"y" * 70_000)
    with pytest.raises(Damaged, match="is not what it was"):
        ledger.evidence.get(digest)
    assert [p.digest for p in ledger.evidence.check() if isinstance(p, Problem)] == [digest]


def test_unknown_evidence_is_bad_input(ledger: Ledger) -> None:
    assert not ledger.evidence.has("0" * 64)
    with pytest.raises(BadInput, match="no evidence"):
        ledger.evidence.get("0" * 64)
