"""The derived index of small evidence: which file may hold a piece. A hint, never a proof.

Nothing is believed because the index says it: a put that finds its bytes here reads them and takes their SHA-256, a
get does the same and looks everywhere before it says no. So the index may be deleted, cut, of another version, older
or newer than the files, or wrong, and nothing changes but the time it takes.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from ledger import disk
from ledger.evidence.pieces import is_digest, pack_digests, read_tail

TAIL_NAME = "tail.jsonl"
NAME = "index.sqlite"
VERSION = 2
_DDL = """
CREATE TABLE IF NOT EXISTS blobs (sha256 BLOB, place TEXT, PRIMARY KEY (sha256, place)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (place TEXT PRIMARY KEY, size INTEGER NOT NULL);
"""


class PieceIndex:
    """The index in an origin's evidence folder, over the files of all origins below `root`.

    Places are paths below `root`, such as `origin/tail.jsonl`.
    """

    def __init__(self, root: Path, origin: str) -> None:
        self.root = root
        self.origin = origin
        self._db: sqlite3.Connection | None = None
        self._files: set[str] = set()  # as the last look found them

    def places(self, digests: Sequence[str]) -> dict[str, list[str]]:
        """Return where each piece may be, our own files first, after a look at files that are new."""
        for attempt in (1, 2):
            db = self._open() if attempt == 1 else self._in_memory()
            try:
                self._catch_up(db)
                return {digest: self._places(db, digest) for digest in digests}
            except sqlite3.Error:
                continue
        return {digest: [] for digest in digests}

    def _places(self, db: sqlite3.Connection, digest: str) -> list[str]:
        rows = db.execute("SELECT place FROM blobs WHERE sha256=?", (bytes.fromhex(digest),)).fetchall()
        found = sorted((str(place) for (place,) in rows), key=lambda place: (not self.is_own(place), place))
        return [place for place in found if place in self._files]

    def everywhere(self) -> list[str]:
        """Return all files that hold small pieces: our own first, and each origin's tail before its packs.

        A seal moves pieces from a tail to a pack: in this order they are met in both, never in none.
        """
        tails = [f"{path.parent.name}/{path.name}" for path in self.root.glob(f"*/{TAIL_NAME}")]
        packs = [f"{path.parent.name}/{path.name}" for path in self.root.glob("*/*.parquet")]
        return sorted(
            [*tails, *packs], key=lambda place: (not self.is_own(place), not place.endswith(TAIL_NAME), place)
        )

    def is_own(self, place: str) -> bool:
        """Whether a file is of this ledger's own origin."""
        return place.startswith(f"{self.origin}/")

    def remember(self, digests: Iterable[str], place: str) -> None:
        """Note that a file was given these pieces. A failure is no error: a later look finds them."""
        digests = list(digests)
        with contextlib.suppress(sqlite3.Error, OSError):
            db = self._open()
            _record(db, digests, place, (self.root / place).stat().st_size)
            tail = f"{self.origin}/{TAIL_NAME}"
            if place != tail:  # a pack of what the tail had
                moved = [(bytes.fromhex(digest), tail) for digest in digests]
                with db:
                    db.executemany("DELETE FROM blobs WHERE sha256=? AND place=?", moved)

    def remembered(self) -> dict[str, str]:
        """Return the digests that were noted, each with a file it was put in, our own if there is one."""
        if not self.root.is_dir():
            return {}
        found: dict[str, str] = {}
        with contextlib.suppress(sqlite3.Error):
            for digest, place in self._open().execute("SELECT sha256, place FROM blobs"):
                if digest.hex() not in found or self.is_own(str(place)):
                    found[digest.hex()] = str(place)
        return found

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            try:
                disk.make_directory(self.root / self.origin)
                try:
                    self._db = self._connect()
                except sqlite3.DatabaseError:
                    for suffix in ("", "-wal", "-shm"):
                        (self.root / self.origin / (NAME + suffix)).unlink(missing_ok=True)
                    self._db = self._connect()
            except (OSError, sqlite3.Error):
                return self._in_memory()
        return self._db

    def _connect(self) -> sqlite3.Connection:
        path = self.root / self.origin / NAME
        db = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")  # never torn by a power cut; it may lose its newest rows then
        if db.execute("PRAGMA user_version").fetchone() != (VERSION,):
            db.execute("BEGIN IMMEDIATE")  # two processes may find the old version at once
            if db.execute("PRAGMA user_version").fetchone() != (VERSION,):
                db.execute("DROP TABLE IF EXISTS blobs")
                db.execute("DROP TABLE IF EXISTS seen")
                db.execute(f"PRAGMA user_version={VERSION}")
            db.execute("COMMIT")
        db.executescript(_DDL)
        return db

    def _in_memory(self) -> sqlite3.Connection:
        """Where the index cannot be written (read-only folder, full disk), make one for this process alone."""
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._db.executescript(_DDL)
        return self._db

    def _catch_up(self, db: sqlite3.Connection) -> None:
        seen = dict(db.execute("SELECT place, size FROM seen"))
        self._files = set(self.everywhere())
        for place in self._files:
            path = self.root / place
            try:
                size = path.stat().st_size
            except FileNotFoundError:
                continue
            if seen.get(place) == size:
                continue
            digests = _digests_in(path)
            if digests is None:
                continue  # not readable: what it holds counts as missing, and `verify` says why
            if path.name == TAIL_NAME:
                disk.fsync_file(path)  # its writer may have died before it was durable; the index must never lead
            _record(db, digests, place, size)


def _digests_in(path: Path) -> list[str] | None:
    """Return the digests a tail or pack claims to hold, None for a pack that cannot be read."""
    if path.name == TAIL_NAME:
        return [piece.sha256 for piece in read_tail(path)]
    import pyarrow as pa  # only here: recording a result must not pay for it

    try:
        return pack_digests(path)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError):
        return None


def _record(db: sqlite3.Connection, digests: Iterable[str], place: str, size: int) -> None:
    """Note in one transaction that a file of this size holds these pieces."""
    rows = [(bytes.fromhex(digest), place) for digest in digests if is_digest(digest)]
    db.execute("BEGIN")
    try:
        db.executemany("INSERT OR IGNORE INTO blobs VALUES (?,?)", rows)
        db.execute("INSERT OR REPLACE INTO seen VALUES (?,?)", (place, size))
        db.execute("COMMIT")
    except sqlite3.Error:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
