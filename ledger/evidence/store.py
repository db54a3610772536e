"""The evidence store: content-addressed copies of what was judged, named by SHA-256.

Small pieces (a record's original bytes) go line by line into the origin's evidence tail and are sealed, many
to a Parquet pack; large ones (logs, telemetry, backups) are files of their own. A put returns after the bytes are
durable, and the event that cites the digest is appended after that. The index is derived and may be deleted.
"""

from __future__ import annotations

import contextlib
import io
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from ledger import disk
from ledger.errors import BadInput, Damaged
from ledger.evidence.pieces import (
    MISMATCH,
    Problem,
    check_pack,
    digest_in,
    is_content,
    pack_digests,
    parse,
    piece_of,
    read_pack,
    read_tail,
    whole_lines,
)
from ledger.log import lock

SMALL_BYTES_MAX = 64 * 1024
TAIL_BYTES_MAX = 8 * 2**20
PACK_BATCH_BYTES = 2 * 2**20  # a put of more than this at once becomes a pack directly
TAIL_NAME = "tail.jsonl"
INDEX_NAME = "index.sqlite"

_DDL = """
CREATE TABLE IF NOT EXISTS blobs (sha256 BLOB PRIMARY KEY, place TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (place TEXT PRIMARY KEY, size INTEGER NOT NULL);
"""


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
                self._put_small(small)
        return digests

    def _put_large(self, digest: str, data: bytes) -> None:
        target = self.large / digest[:2] / digest
        disk.make_directory(target.parent)
        if target.exists():
            disk.fsync_directory(target.parent)  # whoever linked it may have died before its name was durable
        else:
            disk.put_if_absent(target, data)

    def _put_small(self, items: dict[str, bytes]) -> None:
        known = self._known(list(items))
        fresh = {d: b for d, b in items.items() if d not in known}
        if len(fresh) < len(items):
            self._sync()
        if not fresh:
            return
        if sum(map(len, fresh.values())) > PACK_BATCH_BYTES:
            self._pack(fresh)
            return
        tail = self.folder / TAIL_NAME
        data = b"".join(msgspec.json.encode(piece_of(d, b)) + b"\n" for d, b in fresh.items())
        fd = os.open(tail, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            size = self._set_aside(fd)
            if size == 0:
                disk.fsync_directory(self.folder)  # whoever created the file may have died before its name was durable
            try:
                disk.write_all(fd, data)
                os.fdatasync(fd)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(fd, size)
                raise
        finally:
            os.close(fd)
        self._remember(fresh, TAIL_NAME)
        if size + len(data) > TAIL_BYTES_MAX:
            with contextlib.suppress(OSError, Damaged):  # the pieces are durable; packing them can wait
                self._seal()

    def _sync(self) -> None:
        """Make durable what is there already: a process that wrote it may have died before it was."""
        disk.fsync_file(self.folder / TAIL_NAME)
        disk.fsync_directory(self.folder)

    def _set_aside(self, fd: int) -> int:
        """Keep the bytes of an unfinished write for a person to see and cut them off. Return the tail's size."""
        size = os.fstat(fd).st_size
        if size == 0 or os.pread(fd, 1, size - 1) == b"\n":
            return size
        data = os.pread(fd, size, 0)
        whole = data.rfind(b"\n") + 1
        folder = self.folder / "torn"
        disk.make_directory(folder)
        disk.put_if_absent(folder / f"{os.fstat(fd).st_ino}-{whole}", data[whole:])
        os.ftruncate(fd, whole)
        return whole

    def seal(self) -> None:
        """Move the tail's pieces into a pack."""
        if (self.folder / TAIL_NAME).exists():
            with lock.exclusive(self.folder / "lock"):
                self._seal()

    def _seal(self) -> None:
        tail = self.folder / TAIL_NAME
        pieces: dict[str, bytes] = {}
        for line in whole_lines(tail):
            piece = parse(line)
            if piece is None:
                raise Damaged(
                    f"{tail} holds a piece of evidence that is not what it was; nothing was moved",
                    code="evidence_damaged",
                    hint="perfledger verify",
                    file=str(tail),
                )
            pieces[piece[0]] = piece[1]
        if pieces:
            self._pack(pieces)
        if tail.exists():
            disk.overwrite(tail, b"")

    def _pack(self, items: dict[str, bytes]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        digests = sorted(items)
        table = pa.table(
            {
                "sha256": digests,
                "size": [len(items[d]) for d in digests],
                "data": pa.array([items[d] for d in digests], type=pa.binary()),
            }
        )
        sink = io.BytesIO()
        pq.write_table(
            table,
            sink,
            compression="zstd",
            version="2.6",
            row_group_size=2_000,
            store_schema=False,
            write_page_checksum=True,
        )
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
            data = self._read_small(digest)
        if data is None:
            raise BadInput(
                f"no evidence {digest}", code="no_such_evidence", hint="perfledger sync pull brings other machines'"
            )
        if not is_content(data, digest):
            raise Damaged(f"evidence {digest} is not what it was", code="evidence_damaged", hint="perfledger verify")
        return data

    def _read_small(self, digest: str) -> bytes | None:
        """Return a small piece from where the index says it is; where it is not there, from wherever it is."""
        place = self._place(digest)
        data = self._read(place, digest) if place else None
        if data is None and place:  # a seal moved it and could not say so
            place = self._look_up(self._index_in_memory(), digest)
            data = self._read(place, digest) if place else None
        return data

    def files(self) -> list[Path]:
        """Return the sealed files, relative to the evidence folder: packs of every origin and large pieces."""
        packs = self.root.glob("*/*.parquet")
        large = self.large.glob("??/*")
        return sorted(p.relative_to(self.root) for p in (*packs, *large) if not p.name.startswith(".tmp-"))

    def check(self) -> Iterator[Problem | str]:
        """Read everything: yield the digest of each good piece and a `Problem` for each bad one.

        A pack or a large file is named by its digest and a line of the tail has one form only, so every byte counts.
        The tails are read before the packs are listed: a seal in between shows its pieces in both, never in none.
        """
        lines = [
            (str(tail.relative_to(self.root)), line, parse(line))
            for tail in sorted(self.root.glob(f"*/{TAIL_NAME}"))
            for line in whole_lines(tail)
        ]
        for relative in self.files():
            path = self.root / relative
            if relative.parts[0] == "sha256":
                good = is_content(path.read_bytes(), path.name)
                yield path.name if good else Problem(str(relative), path.name, "its bytes do not match its name")
            else:
                yield from check_pack(path, str(relative))
        for place, line, piece in lines:
            yield piece[0] if piece else Problem(place, digest_in(line), MISMATCH)

    def remembered(self) -> dict[str, str]:
        """Return the digests the derived index has acknowledged, with the file each was put in. Never leads the files:
        what it names and no file holds is gone."""
        db = self._index()
        if db is None:
            return {}
        try:
            return {digest.hex(): place for digest, place in db.execute("SELECT sha256, place FROM blobs")}
        except sqlite3.Error:
            return {}

    # ---------------------------------------------------------------- the derived index

    def _index(self) -> sqlite3.Connection | None:
        if self._db is None and self.root.is_dir():
            try:
                disk.make_directory(self.folder)
                try:
                    self._db = self._open_index()
                except sqlite3.DatabaseError:
                    for suffix in ("", "-wal", "-shm"):
                        (self.folder / (INDEX_NAME + suffix)).unlink(missing_ok=True)
                    self._db = self._open_index()
            except (OSError, sqlite3.Error):
                return self._index_in_memory()
        return self._db

    def _index_in_memory(self) -> sqlite3.Connection:
        """Where the index cannot be written (read-only folder, full disk), make one for this process alone."""
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._db.executescript(_DDL)
        return self._db

    def _open_index(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.folder / INDEX_NAME, isolation_level=None, timeout=30, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")  # never torn by a power cut; it may lose its newest rows then
        db.executescript(_DDL)
        return db

    def _place(self, digest: str) -> str | None:
        """Return where a small piece is, looking at files the index has not seen yet before saying it is nowhere."""
        db = self._index()
        if db is None:
            return None
        try:
            return self._look_up(db, digest)
        except sqlite3.Error:
            return self._look_up(self._index_in_memory(), digest)

    def _known(self, digests: Sequence[str]) -> set[str]:
        """Return which of these small pieces are here; the folder is looked at once, not once a piece."""
        db = self._index()
        if db is not None and len(digests) > 1:
            with contextlib.suppress(sqlite3.Error):
                self._catch_up(db)
                rows = [
                    (d, db.execute("SELECT place FROM blobs WHERE sha256=?", (bytes.fromhex(d),)).fetchone())
                    for d in digests
                ]
                places = {row[0] for _, row in rows if row}
                if all((self.root / _path_of(place, self.folder.name)).exists() for place in places):
                    return {d for d, row in rows if row}
        return {d for d in digests if self._place(d) is not None}

    def _look_up(self, db: sqlite3.Connection, digest: str) -> str | None:
        found: tuple[str] | None = None
        for fresh in (False, True):
            if fresh:
                if found:
                    db.execute("DELETE FROM seen")  # the index names a file that is gone: look at all of them again
                self._catch_up(db)
            found = db.execute("SELECT place FROM blobs WHERE sha256=?", (bytes.fromhex(digest),)).fetchone()
            if found and (self.root / _path_of(found[0], self.folder.name)).exists():
                return found[0]
        return None

    def _catch_up(self, db: sqlite3.Connection) -> None:
        seen = dict(db.execute("SELECT place, size FROM seen"))
        for path in (*self.root.glob("*/*.parquet"), *self.root.glob(f"*/{TAIL_NAME}")):
            place = f"{path.parent.name}/{path.name}"
            size = path.stat().st_size
            if seen.get(place) == size:
                continue
            digests = _digests_in(path)
            if digests is None:
                continue  # not readable: what it holds counts as missing, and `verify` says why
            if path.name == TAIL_NAME:
                disk.fsync_file(path)  # its writer may have died before it was durable; the index must never lead
            _record(db, digests, place, size)

    def _remember(self, items: dict[str, bytes], name: str) -> None:
        db = self._index()
        assert db is not None
        place = f"{self.folder.name}/{name}"
        with contextlib.suppress(sqlite3.Error):  # derived: a later look-up reads the file itself
            _record(db, items, place, (self.folder / name).stat().st_size)

    def _read(self, place: str, digest: str) -> bytes | None:
        path = self.root / _path_of(place, self.folder.name)
        if path.name == TAIL_NAME:
            return next((p.content() for p in read_tail(path) if p.sha256 == digest), None)
        import pyarrow as pa

        try:
            return next((data for found, data in read_pack(path, digest) if found == digest), None)
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            raise Damaged(
                f"{path} is not a readable pack: {str(error).splitlines()[0]}",
                code="evidence_damaged",
                hint="perfledger verify",
                file=str(path),
            ) from None


def _digests_in(path: Path) -> list[str] | None:
    """Return the digests a tail or pack holds, None for a pack that cannot be read."""
    if path.name == TAIL_NAME:
        return [piece.sha256 for piece in read_tail(path)]
    import pyarrow as pa  # only here: recording a result must not pay for it

    try:
        return pack_digests(path)
    except (pa.ArrowException, OSError, KeyError, ValueError):
        return None


def _path_of(place: str, origin: str) -> str:
    return place if "/" in place else f"{origin}/{place}"


def _record(db: sqlite3.Connection, digests: Iterable[str], place: str, size: int) -> None:
    """Note in one transaction that a file of this size holds these pieces."""
    db.execute("BEGIN")
    try:
        db.executemany("INSERT OR REPLACE INTO blobs VALUES (?,?)", [(bytes.fromhex(d), place) for d in digests])
        db.execute("INSERT OR REPLACE INTO seen VALUES (?,?)", (place, size))
        db.execute("COMMIT")
    except sqlite3.Error:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
