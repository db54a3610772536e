"""The heads index: last position and hash, stream versions, event ids and idempotency keys of one origin.

Derived from the log and never fsynced: it may be deleted at any time, and an append then reads the log
once to make it again. It exists so that opening and appending cost the same however long the history is.
It is written after the journal is durable, so it can lag behind the log but never lead it; an index
that leads means that the log lost something.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ledger.event import GENESIS_HASH, Event
from ledger.identifiers import parse_time

NAME = "heads.sqlite"
INDEX_VERSION = 1


@dataclass(frozen=True)
class Head:
    """Where an origin's log ends. `recorded_us` is microseconds UTC; all zero before the first event."""

    position: int = 0
    hash: str = GENESIS_HASH
    recorded_us: int = 0


@dataclass(frozen=True)
class Indexed:
    """The state of the log the index has seen: its head, and how much of which journal file."""

    head: Head = Head()
    journal_inode: int = 0
    journal_size: int = 0
    journal_first: int = 0  # position of the first event in the journal; 0 when it is empty


@dataclass(frozen=True)
class Known:
    """An event that is in the log already."""

    position: int
    event_id: str
    recorded_us: int


_DDL = """
CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER, boot TEXT, position INTEGER, hash TEXT,
                   recorded_us INTEGER, journal_inode INTEGER, journal_size INTEGER, journal_first INTEGER);
CREATE TABLE streams (stream TEXT PRIMARY KEY, version INTEGER, position INTEGER) WITHOUT ROWID;
CREATE TABLE ids (event_id BLOB PRIMARY KEY, position INTEGER) WITHOUT ROWID;
CREATE TABLE keys (key TEXT PRIMARY KEY, position INTEGER, event_id BLOB, recorded_us INTEGER) WITHOUT ROWID;
"""


def _boot() -> str:
    """Return the kernel's boot id: an index written before a reboot may have been torn by a power cut."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def _blob(event_id: str) -> bytes:
    return bytes.fromhex(event_id.replace("-", "")) if len(event_id) == 36 else event_id.encode()


class Heads:
    """An open heads index. All methods are called under the origin's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=OFF")

    @classmethod
    def open(cls, folder: Path) -> Heads | None:
        """Open the index of an origin's log folder, or None when it cannot be trusted and must be made again."""
        path = folder / NAME
        if not path.exists():
            return None
        try:
            heads = cls(path)
            row = heads.db.execute("SELECT version, boot FROM head").fetchone()
            if row == (INDEX_VERSION, _boot()):
                return heads
            heads.close()
        except sqlite3.DatabaseError:
            pass
        return None

    @classmethod
    def create(cls, folder: Path) -> Heads:
        """Make an empty index in place of whatever is there."""
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                (folder / (NAME + suffix)).unlink()
        heads = cls(folder / NAME)
        heads.db.executescript(_DDL)
        heads.db.execute("INSERT INTO head VALUES (1,?,?,0,?,0,0,0,0)", (INDEX_VERSION, _boot(), GENESIS_HASH))
        return heads

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def indexed(self) -> Indexed:
        """Return what the index has seen."""
        row = self.db.execute(
            "SELECT position, hash, recorded_us, journal_inode, journal_size, journal_first FROM head").fetchone()
        return Indexed(Head(*row[:3]), *row[3:])

    def stream(self, stream: str) -> tuple[int, int]:
        """Return (version, position) of a stream's last event, (0, 0) for a new stream."""
        row = self.db.execute("SELECT version, position FROM streams WHERE stream=?", (stream,)).fetchone()
        return row or (0, 0)

    def by_key(self, key: str) -> Known | None:
        """Return the event appended with this idempotency key."""
        row = self.db.execute("SELECT position, event_id, recorded_us FROM keys WHERE key=?", (key,)).fetchone()
        return None if row is None else Known(row[0], _text_id(row[1]), row[2])

    def position_of(self, event_id: str) -> int | None:
        """Return the position of an event id."""
        row = self.db.execute("SELECT position FROM ids WHERE event_id=?", (_blob(event_id),)).fetchone()
        return None if row is None else int(row[0])

    def add(self, events: Sequence[Event], seen: Indexed) -> None:
        """Take in events that follow the index's head, and what of the journal they came from."""
        streams = {e.stream: (e.stream, e.version, e.position) for e in events}
        keys = [(e.key, e.position, _blob(e.event_id), parse_time(e.recorded_at)) for e in events if e.key is not None]
        with self._transaction():
            self.db.executemany("INSERT INTO ids VALUES (?,?)", [(_blob(e.event_id), e.position) for e in events])
            self.db.executemany("INSERT OR REPLACE INTO streams VALUES (?,?,?)", list(streams.values()))
            if keys:
                self.db.executemany("INSERT OR IGNORE INTO keys VALUES (?,?,?,?)", keys)
            self._set(seen)

    def journal_replaced(self, *, inode: int, size: int, first: int) -> Indexed:
        """Note that a seal replaced the journal file; the head stays."""
        seen = replace(self.indexed(), journal_inode=inode, journal_size=size, journal_first=first)
        with self._transaction():
            self._set(seen)
        return seen

    def _set(self, seen: Indexed) -> None:
        self.db.execute(
            "UPDATE head SET position=?, hash=?, recorded_us=?, journal_inode=?, journal_size=?, journal_first=?",
            (seen.head.position, seen.head.hash, seen.head.recorded_us, seen.journal_inode, seen.journal_size,
             seen.journal_first))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")


def head_after(events: Sequence[Event]) -> Head:
    """Return the head of a log whose last events these are."""
    last = events[-1]
    return Head(last.position, last.hash, parse_time(last.recorded_at))


def _text_id(blob: bytes) -> str:
    if len(blob) != 16:
        return blob.decode()
    text = blob.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
