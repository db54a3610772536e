"""The derived index of one origin: last position and hash, stream versions, event ids and idempotency keys.

Two files, both derived from the log and both free to delete. `heads.sqlite` answers look-ups; it is written for
many appends at once, and a process that opens it reads the few journal lines it lags behind. `head` is one line
that says where the log ended when a writer was last told "ok"; it is written in place after the journal is
durable, so it never leads: a log that ends before it has lost something.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from ledger.disk import KeptFile
from ledger.event import GENESIS_HASH, Event
from ledger.identifiers import parse_time

NAME = "heads.sqlite"
MARK_NAME = "head"
INDEX_VERSION = 2
MARK_BYTES = 187
FLUSH_EVENTS = 256  # at most so many appended events are parsed again by the next process
STREAMS_REMEMBERED_MAX = 10_000


class Head(NamedTuple):
    """Where an origin's log ends. `recorded_us` is microseconds UTC; all zero before the first event."""

    position: int = 0
    hash: str = GENESIS_HASH
    recorded_us: int = 0


class Indexed(NamedTuple):
    """A state of the log: its head, and how much of which journal file leads there."""

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


class Row(NamedTuple):
    """What the index keeps of an event. `event_id` is the UUID's 16 bytes."""

    position: int
    event_id: bytes
    stream: str
    version: int
    key: str | None
    recorded_us: int


class Mark(KeptFile):
    """The `head` file: the last acknowledged state, one short line written in place.

    Keeps the file open; a user closes it when the folder changed, as anybody may delete it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / MARK_NAME)
        self._written: tuple[bytes, Indexed] | None = None

    def read(self) -> Indexed | None:
        """Return the acknowledged state, or None when there is no mark, or it cannot be read as one."""
        try:
            if self._fd is not None:
                data = os.pread(self._fd, 512, 0)
            else:
                fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    data = os.pread(fd, 512, 0)
                finally:
                    os.close(fd)
        except OSError:
            return None
        if self._written is not None and data == self._written[0]:
            return self._written[1]
        text, _, check = data.rstrip(b"\n").rpartition(b" ")
        if sha256(text).hexdigest()[:16].encode() != check:
            return None
        position, digest, recorded_us, inode, size, first = text.split()
        return Indexed(Head(int(position), digest.decode(), int(recorded_us)), int(inode), int(size), int(first))

    def write(self, state: Indexed) -> None:
        """Note an acknowledged state. Call under the lock, after it is durable; a failure is no error (derived)."""
        head = state.head
        text = b"%020d %b %020d %020d %020d %020d" % (
            head.position,
            head.hash.encode(),
            head.recorded_us,
            state.journal_inode,
            state.journal_size,
            state.journal_first,
        )
        line = b"%b %b\n" % (text, sha256(text).hexdigest()[:16].encode())
        # written over the last line, in place: a shorter one would leave that one's end behind it, and `read` would
        # take the two for a mark that cannot be read, so that a cut log is no longer noticed
        assert len(line) == MARK_BYTES, line
        # an empty log has no journal file it could end in; any other has a hash
        assert (head.position == 0) == (head.hash == GENESIS_HASH), head
        with contextlib.suppress(OSError):
            if self._fd is None:
                self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.pwrite(self._fd, line, 0)
            self._written = (line, state)


_DDL = """
CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER, position INTEGER, hash TEXT,
                   recorded_us INTEGER, journal_inode INTEGER, journal_size INTEGER, journal_first INTEGER);
CREATE TABLE streams (stream TEXT PRIMARY KEY, version INTEGER, position INTEGER) WITHOUT ROWID;
CREATE TABLE ids (event_id BLOB PRIMARY KEY, position INTEGER) WITHOUT ROWID;
CREATE TABLE keys (key TEXT PRIMARY KEY, position INTEGER, event_id BLOB, recorded_us INTEGER) WITHOUT ROWID;
"""


class Heads:
    """An open heads index. Methods that write are called under the origin's lock.

    `known` is the state of the log this object answers for: the file's, and what was added since it was flushed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")  # never torn by a power cut; it may lose its newest rows then
        self.inode = path.stat().st_ino
        self.known = Indexed()
        self._pending: list[Row] = []
        self._streams: dict[str, tuple[int, int]] = {}
        self._dirty: set[str] = set()
        self._ids: dict[bytes, int] = {}
        self._keys: dict[str, Known] = {}

    @classmethod
    def open(cls, folder: Path) -> Heads | None:
        """Open the index of an origin's log folder, or None when it must be made again."""
        path = folder / NAME
        if not path.exists():
            return None
        try:
            heads = cls(path)
            if heads.db.execute("SELECT version FROM head").fetchone() == (INDEX_VERSION,):
                heads.refresh()
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
        heads.db.execute("INSERT INTO head VALUES (1,?,0,?,0,0,0,0)", (INDEX_VERSION, GENESIS_HASH))
        return heads

    def close(self) -> None:
        """Close the file. What was not flushed is in the log."""
        self.db.close()

    def is_current(self) -> bool:
        """Whether the file this object has open is still the one in the folder."""
        try:
            return os.stat(self.path).st_ino == self.inode  # noqa: PTH116
        except FileNotFoundError:
            return False

    def refresh(self) -> Indexed:
        """Forget what was not flushed and return what the file knows: another process may have written it."""
        for memory in (self._pending, self._streams, self._dirty, self._ids, self._keys):
            memory.clear()
        row = self.db.execute(
            "SELECT position, hash, recorded_us, journal_inode, journal_size, journal_first FROM head"
        ).fetchone()
        self.known = Indexed(Head(*row[:3]), *row[3:])
        return self.known

    # ---------------------------------------------------------------- look-ups

    def stream(self, stream: str) -> tuple[int, int]:
        """Return (version, position) of a stream's last event, (0, 0) for a new stream."""
        found = self._streams.get(stream)
        if found is None:
            found = self.db.execute("SELECT version, position FROM streams WHERE stream=?", (stream,)).fetchone()
            found = self._streams[stream] = found or (0, 0)
        return found

    def by_key(self, key: str) -> Known | None:
        """Return the event appended with this idempotency key."""
        found = self._keys.get(key)
        if found is not None:
            return found
        row = self.db.execute("SELECT position, event_id, recorded_us FROM keys WHERE key=?", (key,)).fetchone()
        return None if row is None else Known(row[0], _text_id(row[1]), row[2])

    def position_of(self, event_id: str) -> int | None:
        """Return the position of an event id."""
        blob = id_bytes(event_id)
        found = self._ids.get(blob)
        if found is not None:
            return found
        row = self.db.execute("SELECT position FROM ids WHERE event_id=?", (blob,)).fetchone()
        return None if row is None else int(row[0])

    # ---------------------------------------------------------------- taking in

    def add(self, rows: Sequence[Row], seen: Indexed) -> None:
        """Take in events that follow `known`, and the state of the log they lead to."""
        # the index answers "is this id known" with what it was given: a position left out here is an event that a
        # retry records a second time
        assert not rows or rows[0].position == self.known.head.position + 1, (rows[0], self.known)
        assert not rows or rows[-1].position - rows[0].position == len(rows) - 1, (rows[0], rows[-1])
        assert seen.head.position == (rows[-1].position if rows else self.known.head.position), (rows[-1:], seen)
        for row in rows:
            self._streams[row.stream] = (row.version, row.position)
            self._dirty.add(row.stream)
            self._ids[row.event_id] = row.position
            if row.key is not None and row.key not in self._keys:
                self._keys[row.key] = Known(row.position, _text_id(row.event_id), row.recorded_us)
        self._pending += rows
        self.known = seen
        if len(self._pending) >= FLUSH_EVENTS:
            self.flush()

    def journal_replaced(self, seen: Indexed) -> None:
        """Note that a seal replaced the journal file. The file must know at once: others ask it where to go on."""
        self.known = seen
        self.flush()

    def flush(self) -> None:
        """Write what was taken in to the file."""
        rows, seen = self._pending, self.known
        streams = [(stream, *self._streams[stream]) for stream in self._dirty]
        keys = [(r.key, r.position, r.event_id, r.recorded_us) for r in rows if r.key is not None]
        with self._transaction():
            self.db.executemany("INSERT OR IGNORE INTO ids VALUES (?,?)", [(r.event_id, r.position) for r in rows])
            self.db.executemany("INSERT OR REPLACE INTO streams VALUES (?,?,?)", streams)
            if keys:
                self.db.executemany("INSERT OR IGNORE INTO keys VALUES (?,?,?,?)", keys)
            self.db.execute(
                "UPDATE head SET position=?, hash=?, recorded_us=?, journal_inode=?, journal_size=?, journal_first=?",
                (
                    seen.head.position,
                    seen.head.hash,
                    seen.head.recorded_us,
                    seen.journal_inode,
                    seen.journal_size,
                    seen.journal_first,
                ),
            )
        for memory in (self._pending, self._dirty, self._ids, self._keys):
            memory.clear()
        if len(self._streams) > STREAMS_REMEMBERED_MAX:
            self._streams.clear()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")


def head_after(events: Sequence[Event]) -> Head:
    """Return the head of a log whose last events these are."""
    last = events[-1]
    return Head(last.position, last.hash, parse_time(last.recorded_at))


def rows_of(events: Sequence[Event]) -> list[Row]:
    """Return what the index keeps of events."""
    return [
        Row(
            e.position,
            id_bytes(e.event_id),
            e.stream,
            e.version,
            e.key,
            0 if e.key is None else parse_time(e.recorded_at),
        )
        for e in events
    ]


def id_bytes(event_id: str) -> bytes:
    """Return a UUID's 16 bytes; any other text as its own bytes."""
    if len(event_id) == 36:
        with contextlib.suppress(ValueError):
            return bytes.fromhex(event_id.replace("-", ""))
    return event_id.encode("utf-8", "surrogatepass")  # no Unicode names no event; asked for all the same


def _text_id(blob: bytes) -> str:
    if len(blob) != 16:
        return blob.decode()
    text = blob.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
