"""The evidence store: content-addressed copies of what was judged, named by SHA-256.

Small pieces (a record's original bytes) go line by line into the origin's evidence tail and are sealed, many
to a Parquet pack; large ones (logs, telemetry, backups) are files of their own. A put returns after the bytes are
durable, and the event that cites the digest is appended after that. The index is derived and may be deleted.
"""

from __future__ import annotations

import base64
import contextlib
import io
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from ledger import disk, lock
from ledger.errors import BadInput, Damaged

SMALL_BYTES_MAX = 64 * 1024
TAIL_BYTES_MAX = 8 * 2**20
PACK_BATCH_BYTES = 2 * 2**20  # a put of more than this at once becomes a pack directly
TAIL_NAME = "tail.jsonl"
MISMATCH = "its bytes do not match its digest"
INDEX_NAME = "index.sqlite"

_DDL = """
CREATE TABLE IF NOT EXISTS blobs (sha256 BLOB PRIMARY KEY, place TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (place TEXT PRIMARY KEY, size INTEGER NOT NULL);
"""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One small piece of evidence as a line of the tail."""

    data: str
    encoding: str
    sha256: str

    def content(self) -> bytes:
        """Return the original bytes."""
        return self.data.encode() if self.encoding == "utf8" else base64.b64decode(self.data)


@dataclass(frozen=True)
class Problem:
    """A piece of evidence that is not what its name says."""

    place: str
    digest: str
    reason: str


class EvidenceStore:
    """The evidence of a ledger: `put` writes under this ledger's origin, `get` finds any origin's."""

    def __init__(self, root: Path, origin: str) -> None:
        self.root = root
        self.folder = root / origin
        self.large = root / "sha256"
        self._db: sqlite3.Connection | None = None

    # ---------------------------------------------------------------- writing

    def put(self, data: bytes, media_type: str = "application/octet-stream") -> str:
        """Store bytes durably and return their SHA-256 hex. Storing the same bytes again is free."""
        del media_type  # the event that cites the digest says what it is
        return self.put_many([data])[0]

    def put_file(self, path: str | os.PathLike[str]) -> str:
        """Store a file's bytes durably and return their SHA-256 hex."""
        return self.put(Path(path).read_bytes())

    def put_many(self, items: Sequence[bytes]) -> list[str]:
        """Store many pieces with one sync. Returns their digests in order."""
        digests = [sha256(data).hexdigest() for data in items]
        small: dict[str, bytes] = {}
        for digest, data in zip(digests, items, strict=True):
            if len(data) > SMALL_BYTES_MAX:
                self._put_large(digest, data)
            else:
                small.setdefault(digest, data)
        if small:
            disk.make_directory(self.folder)
            with lock.exclusive(self.folder / "lock"):
                self._put_small({d: b for d, b in small.items() if self._place(d) is None})
        return digests

    def _put_large(self, digest: str, data: bytes) -> None:
        target = self.large / digest[:2] / digest
        if not target.exists():
            disk.make_directory(target.parent)
            disk.put_if_absent(target, data)

    def _put_small(self, items: dict[str, bytes]) -> None:
        if not items:
            return
        if sum(map(len, items.values())) > PACK_BATCH_BYTES:
            self._pack(items)
            return
        tail = self.folder / TAIL_NAME
        data = b"".join(msgspec.json.encode(_piece(d, b)) + b"\n" for d, b in items.items())
        created = not tail.exists()
        fd = os.open(tail, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            if created:
                disk.fsync_directory(self.folder)
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":
                # an unfinished write of a killed process: end its line, so that the next one is whole
                disk.write_all(fd, b"\n")
                size += 1
            try:
                disk.write_all(fd, data)
                os.fdatasync(fd)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(fd, size)
                raise
        finally:
            os.close(fd)
        self._remember(items, TAIL_NAME)
        if size + len(data) > TAIL_BYTES_MAX:
            self._seal()

    def seal(self) -> None:
        """Move the tail's pieces into a pack."""
        if (self.folder / TAIL_NAME).exists():
            with lock.exclusive(self.folder / "lock"):
                self._seal()

    def _seal(self) -> None:
        tail = self.folder / TAIL_NAME
        pieces = {p.sha256: p.content() for p in _read_tail(tail) if _is(p.content(), p.sha256)}
        if pieces:
            self._pack(pieces)
        if tail.exists():
            disk.overwrite(tail, b"")

    def _pack(self, items: dict[str, bytes]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        digests = sorted(items)
        table = pa.table({"sha256": digests, "size": [len(items[d]) for d in digests],
                          "data": pa.array([items[d] for d in digests], type=pa.binary())})
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd", version="2.6", row_group_size=2_000, store_schema=False,
                       write_page_checksum=True)
        body = sink.getvalue()
        # named by its own content: packs of a crash-repeated seal are the same file
        name = f"{sha256(body).hexdigest()[:32]}.parquet"
        disk.put_if_absent(self.folder / name, body)
        self._remember(items, name)

    # ---------------------------------------------------------------- reading

    def has(self, digest: str) -> bool:
        """Whether the store holds these bytes."""
        return (self.large / digest[:2] / digest).exists() or self._place(digest) is not None

    def get(self, digest: str) -> bytes:
        """Return the bytes of a digest. Raises `BadInput` when unknown, `Damaged` when they are not what they were."""
        path = self.large / digest[:2] / digest
        if path.exists():
            data: bytes | None = path.read_bytes()
        else:
            place = self._place(digest)
            data = self._read(place, digest) if place else None
        if data is None:
            raise BadInput(f"no evidence {digest}", code="no_such_evidence",
                           hint="perfledger sync pull brings other machines'")
        if not _is(data, digest):
            raise Damaged(f"evidence {digest} is not what it was", code="evidence_damaged", hint="perfledger verify")
        return data

    def files(self) -> list[Path]:
        """Return the sealed files, relative to the evidence folder: packs of every origin and large pieces."""
        packs = self.root.glob("*/*.parquet")
        large = self.large.glob("??/*")
        return sorted(p.relative_to(self.root) for p in (*packs, *large) if not p.name.startswith(".tmp-"))

    def check(self) -> Iterator[Problem | str]:
        """Read everything: yield the digest of each good piece and a `Problem` for each bad one."""
        import pyarrow as pa

        for relative in self.files():
            path = self.root / relative
            if relative.parts[0] == "sha256":
                good = _is(path.read_bytes(), path.name)
                yield path.name if good else Problem(str(relative), path.name, "its bytes do not match its name")
                continue
            try:
                rows = list(_read_pack(path))
            except (pa.ArrowException, OSError, KeyError) as error:
                yield Problem(str(relative), "", f"unreadable pack: {str(error).splitlines()[0]}")
                continue
            for digest, data in rows:
                yield digest if _is(data, digest) else Problem(str(relative), digest, MISMATCH)
        for tail in sorted(self.root.glob(f"*/{TAIL_NAME}")):
            yield from _check_tail(tail, str(tail.relative_to(self.root)))

    # ---------------------------------------------------------------- the derived index

    def _index(self) -> sqlite3.Connection | None:
        if self._db is None and self.root.is_dir():
            disk.make_directory(self.folder)
            try:
                self._db = self._open_index()
            except sqlite3.DatabaseError:
                for suffix in ("", "-wal", "-shm"):
                    (self.folder / (INDEX_NAME + suffix)).unlink(missing_ok=True)
                self._db = self._open_index()
        return self._db

    def _open_index(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.folder / INDEX_NAME, isolation_level=None, timeout=30, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=OFF")
        db.executescript(_DDL)
        return db

    def _place(self, digest: str) -> str | None:
        """Return where a small piece is, looking at files the index has not seen yet before saying it is nowhere."""
        db = self._index()
        if db is None:
            return None
        for fresh in (False, True):
            if fresh:
                self._catch_up(db)
            row = db.execute("SELECT place FROM blobs WHERE sha256=?", (bytes.fromhex(digest),)).fetchone()
            if row and (self.root / _path_of(row[0], self.folder.name)).exists():
                return str(row[0])
        return None

    def _catch_up(self, db: sqlite3.Connection) -> None:
        seen = dict(db.execute("SELECT place, size FROM seen"))
        for path in (*self.root.glob("*/*.parquet"), *self.root.glob(f"*/{TAIL_NAME}")):
            place = f"{path.parent.name}/{path.name}"
            size = path.stat().st_size
            if seen.get(place) == size:
                continue
            digests = [p.sha256 for p in _read_tail(path)] if path.name == TAIL_NAME else _pack_digests(path)
            db.execute("BEGIN")
            db.executemany("INSERT OR REPLACE INTO blobs VALUES (?,?)", [(bytes.fromhex(d), place) for d in digests])
            db.execute("INSERT OR REPLACE INTO seen VALUES (?,?)", (place, size))
            db.execute("COMMIT")

    def _remember(self, items: dict[str, bytes], name: str) -> None:
        db = self._index()
        assert db is not None
        place = f"{self.folder.name}/{name}"
        with contextlib.suppress(sqlite3.Error):  # derived: a later look-up reads the file itself
            db.execute("BEGIN")
            db.executemany("INSERT OR REPLACE INTO blobs VALUES (?,?)", [(bytes.fromhex(d), place) for d in items])
            db.execute("INSERT OR REPLACE INTO seen VALUES (?,?)", (place, (self.folder / name).stat().st_size))
            db.execute("COMMIT")

    def _read(self, place: str, digest: str) -> bytes | None:
        path = self.root / _path_of(place, self.folder.name)
        if path.name == TAIL_NAME:
            return next((p.content() for p in _read_tail(path) if p.sha256 == digest), None)
        return next((data for found, data in _read_pack(path, digest) if found == digest), None)


def _path_of(place: str, origin: str) -> str:
    return place if "/" in place else f"{origin}/{place}"


def _is(data: bytes, digest: str) -> bool:
    return sha256(data).hexdigest() == digest


def _piece(digest: str, data: bytes) -> Piece:
    try:
        return Piece(data=data.decode(), encoding="utf8", sha256=digest)
    except UnicodeDecodeError:
        return Piece(data=base64.b64encode(data).decode(), encoding="base64", sha256=digest)


def _read_tail(path: Path) -> Iterator[Piece]:
    """Yield the whole lines of a tail; an unfinished write was never acknowledged and is passed over."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    for line in data.split(b"\n"):
        with contextlib.suppress(msgspec.MsgspecError, UnicodeError):
            if line:
                yield msgspec.json.decode(line, type=Piece)


def _check_tail(path: Path, place: str) -> Iterator[Problem | str]:
    for piece in _read_tail(path):
        try:
            good = _is(piece.content(), piece.sha256)
        except ValueError:
            good = False
        yield piece.sha256 if good else Problem(place, piece.sha256, MISMATCH)


def _pack_digests(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    digests: list[str] = pq.read_table(path, columns=["sha256"], partitioning=None).column(0).to_pylist()
    return digests


def _read_pack(path: Path, digest: str | None = None) -> Iterator[tuple[str, bytes]]:
    import pyarrow.parquet as pq

    filters: Any = [("sha256", "==", digest)] if digest else None
    table = pq.read_table(path, columns=["sha256", "data"], filters=filters, page_checksum_verification=True,
                          partitioning=None)
    yield from zip(table.column("sha256").to_pylist(), table.column("data").to_pylist(), strict=True)
