""" "I have it" means: in files of our own, and hashed by us. The rule is T2 of the trust design.

What an index or another machine's pack claims never makes a write unnecessary, and never hides bytes that are here.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ledger.errors import BadInput, Damaged
from ledger.evidence.index import NAME, TAIL_NAME
from ledger.evidence.store import EvidenceStore
from ledger.ledger import Ledger
from ledger.verification.walk import verify
from tests.ledger.sync.samples import do_pull

PIECES = [b"one", b"two", bytes(range(256)), b"x" * 40_000]
LARGE = b"a long log\n" * 10_000
MORE = [b"three", b"four", b"y" * 50_000]


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def opened(ledger: Ledger) -> EvidenceStore:
    """The store as another process sees it."""
    return EvidenceStore(ledger.evidence.root, ledger.origin)


def pack(rows: dict[str, bytes]) -> bytes:
    """A pack that claims these digests for these bytes."""
    table = pa.table(
        {
            "sha256": list(rows),
            "size": [len(data) for data in rows.values()],
            "data": pa.array(list(rows.values()), type=pa.binary()),
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", store_schema=False)
    return sink.getvalue()


def put_pack(folder: Path, rows: dict[str, bytes]) -> Path:
    """Put a pack where an origin has its packs, named by its content."""
    data = pack(rows)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{digest(data)[:32]}.parquet"
    path.write_bytes(data)
    return path


def rows_of(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def delete(index: Path, _: bytes) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{index}{suffix}").unlink(missing_ok=True)


def rubbish(index: Path, older: bytes) -> None:
    delete(index, older)
    index.write_bytes(b"not a database at all" * 400)


def cut(index: Path, older: bytes) -> None:
    delete(index, older)
    index.write_bytes(older[: len(older) // 2])


def go_back(index: Path, older: bytes) -> None:
    delete(index, older)
    index.write_bytes(older)


def another_version(index: Path, older: bytes) -> None:
    delete(index, older)
    with rows_of(index) as db:
        db.executescript(
            "CREATE TABLE blobs (sha256 BLOB PRIMARY KEY, place TEXT, more INT); CREATE TABLE seen (place TEXT);"
            "PRAGMA user_version = 77;"
        )


def forget_all(index: Path, _: bytes) -> None:
    """It says that it has seen every file, and knows no piece."""
    with rows_of(index) as db:
        db.execute("DELETE FROM blobs")


def name_one_file_for_all(index: Path, _: bytes) -> None:
    with rows_of(index) as db:
        place = db.execute("SELECT max(place) FROM seen").fetchone()[0]
        digests = {row[0] for row in db.execute("SELECT sha256 FROM blobs")}
        db.execute("DELETE FROM blobs")
        db.executemany("INSERT INTO blobs VALUES (?,?)", [(found, place) for found in digests])


def claim_what_is_written_later(index: Path, _: bytes) -> None:
    with rows_of(index) as db:
        places = [row[0] for row in db.execute("SELECT place FROM seen")]
        db.executemany("INSERT INTO blobs VALUES (?,?)", [(sha256(d).digest(), p) for d in MORE for p in places])


def name_files_outside(index: Path, _: bytes) -> None:
    with rows_of(index) as db:
        db.executemany("INSERT INTO blobs VALUES (?,?)", [(sha256(d).digest(), "/etc/passwd") for d in MORE])


def not_even_a_file(index: Path, older: bytes) -> None:
    delete(index, older)
    index.mkdir()


SPOILS = [
    delete, rubbish, cut, go_back, another_version, forget_all, name_one_file_for_all, claim_what_is_written_later,
    name_files_outside, not_even_a_file,
]  # fmt: skip


@pytest.mark.parametrize("sealed", [False, True], ids=["in the tail", "in packs"])
@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
def test_whatever_becomes_of_the_index_every_byte_is_read_back(
    ledger: Ledger, spoil: Callable[[Path, bytes], None], sealed: bool
) -> None:
    ledger.evidence.put(b"before")
    index = ledger.evidence.folder / NAME
    with rows_of(index) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    older = index.read_bytes()
    ledger.evidence.put_many([*PIECES, LARGE])
    if sealed:
        ledger.seal()
    spoil(index, older)
    again = opened(ledger)
    for data in [b"before", *PIECES, LARGE]:
        assert again.get(digest(data)) == data
    writer = opened(ledger)
    writer.put_many([*PIECES, *MORE, LARGE])
    for data in [b"before", *PIECES, *MORE, LARGE]:
        assert opened(ledger).get(digest(data)) == data
    assert verify(ledger).findings == []


def test_an_index_newer_than_its_files_makes_no_write_unnecessary(ledger: Ledger, tmp_path: Path) -> None:
    """The evidence folder came back from a copy, and the index did not."""
    ledger.evidence.put(b"before")
    shutil.copytree(ledger.evidence.folder, tmp_path / "copy", ignore=shutil.ignore_patterns(f"{NAME}*"))
    ledger.evidence.put_many(PIECES)
    for path in ledger.evidence.folder.iterdir():
        if not path.name.startswith(NAME):
            path.unlink()
    shutil.copytree(tmp_path / "copy", ledger.evidence.folder, dirs_exist_ok=True)
    opened(ledger).put_many(PIECES)
    assert [opened(ledger).get(digest(data)) for data in PIECES] == PIECES


@pytest.mark.parametrize("sealed", [False, True], ids=["in the tail", "in a pack"])
def test_a_piece_whose_own_copy_was_damaged_is_written_again(ledger: Ledger, sealed: bool) -> None:
    ledger.evidence.put_many([b"kept whole", b"damaged later"])
    if sealed:
        ledger.seal()
        (path,) = ledger.evidence.folder.glob("*.parquet")
        path.write_bytes(path.read_bytes()[:-20])
    else:
        path = ledger.evidence.folder / TAIL_NAME
        path.write_bytes(path.read_bytes().replace(b"damaged later", b"damaged LATER"))
    opened(ledger).put(b"damaged later")
    assert opened(ledger).get(digest(b"damaged later")) == b"damaged later"


@pytest.mark.parametrize("left", [b"", LARGE[:100], b"z" * len(LARGE)])
def test_a_large_piece_that_was_damaged_is_written_again(ledger: Ledger, left: bytes) -> None:
    ledger.evidence.put(LARGE)
    path = ledger.evidence.root / ledger.evidence.files()[0]
    path.write_bytes(left)
    with pytest.raises(Damaged):
        opened(ledger).get(digest(LARGE))
    opened(ledger).put(LARGE)
    assert opened(ledger).get(digest(LARGE)) == LARGE


def test_a_pack_that_lost_bytes_is_whole_again_when_its_pieces_are_sealed_again(ledger: Ledger) -> None:
    """A pack is named by its content, so sealing the same pieces names the same file; it may have been damaged."""
    ledger.evidence.put_many(PIECES)
    tail = (ledger.evidence.folder / TAIL_NAME).read_bytes()
    ledger.seal()
    (path,) = ledger.evidence.folder.glob("*.parquet")
    path.write_bytes(b"")
    (ledger.evidence.folder / TAIL_NAME).write_bytes(tail)
    opened(ledger).seal()
    assert [opened(ledger).get(digest(data)) for data in PIECES] == PIECES


class TestAPeersPack:
    """Another origin's pack is a stranger's file: what it claims is not ours, whatever the index makes of it."""

    CLAIMED = b"what the victim will write"

    def test_a_claim_in_it_makes_no_write_unnecessary(self, ledger: Ledger) -> None:
        put_pack(ledger.evidence.root / "peer", {digest(self.CLAIMED): b"something else"})
        assert not ledger.evidence.has(digest(self.CLAIMED))
        ledger.evidence.put(self.CLAIMED)
        assert opened(ledger).get(digest(self.CLAIMED)) == self.CLAIMED
        assert digest(self.CLAIMED).encode() in (ledger.evidence.folder / TAIL_NAME).read_bytes()

    def test_a_claim_that_comes_later_does_not_hide_our_bytes(self, ledger: Ledger) -> None:
        ledger.evidence.put(self.CLAIMED)
        put_pack(ledger.evidence.root / "a-peer", {digest(self.CLAIMED): b"something else"})
        put_pack(ledger.evidence.root / "z-peer", {digest(self.CLAIMED): b"something else"})
        assert opened(ledger).get(digest(self.CLAIMED)) == self.CLAIMED
        ledger.seal()
        assert opened(ledger).get(digest(self.CLAIMED)) == self.CLAIMED

    def test_true_bytes_in_it_are_written_to_our_own_files_too(self, ledger: Ledger) -> None:
        """The peer may take its pack away, or it may be lost with what was pulled."""
        path = put_pack(ledger.evidence.root / "peer", {digest(self.CLAIMED): self.CLAIMED})
        assert ledger.evidence.get(digest(self.CLAIMED)) == self.CLAIMED
        ledger.evidence.put(self.CLAIMED)
        path.unlink()
        assert opened(ledger).get(digest(self.CLAIMED)) == self.CLAIMED

    def test_wrong_bytes_of_one_peer_do_not_hide_the_right_ones_of_another(self, ledger: Ledger) -> None:
        put_pack(ledger.evidence.root / "a-peer", {digest(self.CLAIMED): b"something else"})
        put_pack(ledger.evidence.root / "b-peer", {digest(self.CLAIMED): self.CLAIMED})
        assert opened(ledger).get(digest(self.CLAIMED)) == self.CLAIMED

    @pytest.mark.parametrize("rows", [{"no digest": b"x"}, {"": b""}, {"f" * 63: b""}, {"é" * 64: b""}])
    def test_what_is_no_digest_is_passed_over(self, ledger: Ledger, rows: dict[str, bytes]) -> None:
        put_pack(ledger.evidence.root / "peer", rows)
        ledger.evidence.put(b"mine")
        assert opened(ledger).get(digest(b"mine")) == b"mine"
        with pytest.raises(BadInput):
            opened(ledger).get("0" * 64)

    @pytest.mark.parametrize(
        "rows",
        [
            {digest(CLAIMED): b"something else"},
            {digest(CLAIMED): CLAIMED, digest(b"other"): b"not it"},
            {"no digest": b"x"},
        ],
    )
    def test_a_pull_takes_no_pack_with_a_row_that_is_not_what_it_claims(
        self, ledger: Ledger, tmp_path: Path, rows: dict[str, bytes]
    ) -> None:
        pytest.importorskip("obstore")
        shared = tmp_path / "shared"
        put_pack(shared / "evidence" / "peer", rows)
        good = put_pack(shared / "evidence" / "other", {digest(b"good"): b"good"})
        with pytest.raises(Damaged) as caught:
            do_pull(ledger, shared.as_uri())
        assert caught.value.code == "evidence_damaged"
        assert [path.name for path in ledger.evidence.files()] == [good.name]
        ledger.evidence.put(self.CLAIMED)
        assert opened(ledger).get(digest(self.CLAIMED)) == self.CLAIMED
        assert verify(ledger).findings == []


WRITER = """
import sys
from ledger.ledger import Ledger
ledger = Ledger.open(sys.argv[1], actor="w")
number = 0
while True:
    data = f"{sys.argv[2]} {number}".encode() * 50
    print(ledger.evidence.put(data), flush=True)
    if number % 7 == 6:
        ledger.evidence.seal()
    number += 1
"""


def test_writers_that_are_killed_while_the_index_is_taken_away_lose_nothing(ledger: Ledger) -> None:
    """Two processes put and seal, the index goes again and again, both are killed: what was acknowledged is there."""
    command = [sys.executable, "-c", WRITER, str(ledger.path)]
    writers = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in ("a", "b")]
    told: list[str] = []
    try:
        for turn in range(12):
            for writer in writers:
                assert writer.stdout is not None
                told += [writer.stdout.readline().strip() for _ in range(5)]
            (delete if turn % 2 else rubbish)(ledger.evidence.folder / NAME, b"")
    finally:
        for writer in writers:
            os.kill(writer.pid, signal.SIGKILL)
            rest = writer.communicate()[0]
            told += [line for line in rest.splitlines() if len(line) == 64]
    delete(ledger.evidence.folder / NAME, b"")
    again = opened(ledger)
    assert len(told) >= 120
    for found in told:
        assert digest(again.get(found)) == found
    assert verify(ledger).findings == []
