"""The log of one origin on disk: append, seal, read.

Writers queue on the origin's lock; readers take none. The order of steps is the promise:

* append: write one journal line, fdatasync, then the derived index, then the caller is told;
* a large batch: a Parquet segment of the journal's events and the batch, fsync, link, fsync(directory),
  then the journal is replaced by an empty one;
* seal: the same without a batch.

A crash between any two steps leaves events in the journal, in a segment, or in both; the same event in
both places is one event, and the next writer finishes the seal.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from ledger import chain, disk, journal, lock, segment
from ledger.errors import BadInput, Conflict, Damaged, OutcomeUnknown, Unavailable
from ledger.event import Event, NewEvent, encode_payload, type_of
from ledger.heads import Head, Heads, Indexed, Known, head_after
from ledger.identifiers import format_time, new_event_id, next_time

APPEND_EVENTS_MAX = 100_000
APPEND_BYTES_MAX = 64 * 2**20
EVENT_BYTES_MAX = 2**20
SEGMENT_BATCH_EVENTS = 4_000  # from here one Parquet file is written faster than journal lines are encoded and re-read
JOURNAL_BYTES_MAX = 2 * 2**20  # an append seals past this, so that readers never parse more
READ_RETRY_COUNT_MAX = 50


@dataclass(frozen=True)
class Receipt:
    """What an append says of each event: where it is, and whether it was there already."""

    position: int
    event_id: str
    recorded_at: str
    duplicate: bool = False


@dataclass(frozen=True)
class Author:
    """Who writes, as every event of an append says it."""

    actor: str
    host: str


@dataclass(frozen=True)
class _Prepared:
    new: NewEvent
    type: str
    schema_version: int
    payload: bytes


class OriginLog:
    """The log folder of one origin, `log/<origin>/`."""

    def __init__(self, folder: Path, origin: str) -> None:
        self.folder = folder
        self.origin = origin
        self.journal_path = folder / journal.NAME
        self.lock_path = folder / "lock"
        self._heads: Heads | None = None

    # ---------------------------------------------------------------- writing

    def append(self, new: Sequence[NewEvent], *, author: Author, seen: Mapping[str, int] | None = None,
               correlation_id: str | None = None) -> list[Receipt]:
        """Append events, all or none, and return once they are durable.

        Raises `Conflict` when a stream named in `seen` has events after that position, `BadInput` for what
        does not fit, `Unavailable` when nothing was written, `OutcomeUnknown` when that is not certain.
        """
        prepared = _prepare(new)
        with lock.exclusive(self.lock_path):
            indexed = self._synchronise()
            self._refuse_moved(seen or {})
            receipts, fresh = self._known(prepared)
            if fresh:
                events, lines = self._chain(fresh, indexed.head, author, correlation_id)
                indexed = self._write(events, lines, indexed)
                for (index, _), event in zip(fresh, events, strict=True):
                    receipts[index] = Receipt(event.position, event.event_id, event.recorded_at)
            if indexed.journal_size > JOURNAL_BYTES_MAX:
                self._seal(indexed)
        done = [r for r in receipts if r is not None]
        assert len(done) == len(new), (len(done), len(new))
        return _resolve_twins(done, prepared)

    def seal(self) -> segment.SegmentInfo | None:
        """Move the journal's events into a segment; None when there were none."""
        with lock.exclusive(self.lock_path):
            return self._seal(self._synchronise())

    def _refuse_moved(self, seen: Mapping[str, int]) -> None:
        assert self._heads is not None
        for stream, position in seen.items():
            _, last = self._heads.stream(stream)
            if last > position:
                raise Conflict(
                    f"stream {stream} has an event at position {last}, you decided on position {position}; "
                    "nothing was written",
                    code="stream_moved", hint=f"perfledger events list --stream {stream}",
                    stream=stream, seen=position, last=last,
                )

    def _known(self, prepared: Sequence[_Prepared]) -> tuple[list[Receipt | None], list[tuple[int, _Prepared]]]:
        """Split into receipts of what the log has already, and what is fresh (with its index)."""
        assert self._heads is not None
        receipts: list[Receipt | None] = [None] * len(prepared)
        fresh: list[tuple[int, _Prepared]] = []
        keys: set[str] = set()
        for index, item in enumerate(prepared):
            known = self._same_event(item) if item.new.event_id else None
            if known is None and item.new.key is not None:
                known = self._heads.by_key(item.new.key)
                if known is None and item.new.key in keys:
                    receipts[index] = _TWIN
                    continue
                keys.add(item.new.key)
            if known is None:
                fresh.append((index, item))
            else:
                when = format_time(known.recorded_us)
                receipts[index] = Receipt(known.position, known.event_id, when, duplicate=True)
        return receipts, fresh

    def _same_event(self, item: _Prepared) -> Known | None:
        assert self._heads is not None and item.new.event_id is not None
        position = self._heads.position_of(item.new.event_id)
        if position is None:
            return None
        event = self.at(position)
        if (event.stream, event.type, bytes(event.payload)) != (item.new.stream, item.type, item.payload):
            raise Conflict(
                f"event id {item.new.event_id} is position {position} already, with other content; nothing was written",
                code="event_id_reused", hint=f"perfledger events show {item.new.event_id}", position=position,
            )
        from ledger.identifiers import parse_time

        return Known(position, event.event_id, parse_time(event.recorded_at))

    def _chain(self, fresh: Sequence[tuple[int, _Prepared]], head: Head, author: Author,
               correlation_id: str | None) -> tuple[list[Event], list[bytes]]:
        """Give positions, versions, times and hashes to new events."""
        assert self._heads is not None
        position, previous, now = head.position, head.hash, head.recorded_us
        versions: dict[str, int] = {}
        events: list[Event] = []
        lines: list[bytes] = []
        random = os.urandom(10 * len(fresh))
        for index, (_, item) in enumerate(fresh):
            new = item.new
            position, now = position + 1, next_time(now)
            version = versions.get(new.stream)
            if version is None:
                version = self._heads.stream(new.stream)[0]
            versions[new.stream] = version + 1
            event, line = chain.link(Event(
                actor=author.actor, causation_id=new.causation_id, correlation_id=new.correlation_id or correlation_id,
                event_id=new.event_id or new_event_id(now, random[10 * index:10 * index + 10]), git_sha=new.git_sha,
                hash="", host=author.host, key=new.key, origin=self.origin, payload=msgspec.Raw(item.payload),
                position=position, prev_hash=previous, recorded_at=format_time(now),
                schema_version=item.schema_version, stream=new.stream, type=item.type, version=version + 1,
            ))
            previous = event.hash
            events.append(event)
            lines.append(line)
        return events, lines

    def _write(self, events: list[Event], lines: list[bytes], indexed: Indexed) -> Indexed:
        """Make chained events durable: as a journal line, or as a segment when there are many."""
        assert events[0].position == indexed.head.position + 1, (events[0].position, indexed.head)
        if len(events) >= SEGMENT_BATCH_EVENTS:
            tail = journal.read(self.journal_path).events
            self._link_segment([*tail, *events])
            return self._index(events, self._cut_journal(after=events[-1].position, head=head_after(events)))
        line = chain.join_batch(lines) + b"\n"
        inode = self._write_line(line, indexed.journal_size)
        return self._index(events, Indexed(
            head=head_after(events), journal_inode=inode, journal_size=indexed.journal_size + len(line),
            journal_first=indexed.journal_first or events[0].position,
        ))

    def _write_line(self, line: bytes, size: int) -> int:
        """Append one line at byte `size` and sync it. Return the journal's inode."""
        created = not self.journal_path.exists()
        fd = os.open(self.journal_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            if created:
                disk.fsync_directory(self.folder)
            try:
                disk.write_all(fd, line)
                os.fdatasync(fd)
            except OSError as error:
                self._take_back(fd, size, error)
            return os.fstat(fd).st_ino
        finally:
            os.close(fd)

    def _take_back(self, fd: int, size: int, error: OSError) -> None:
        """After a failed write: cut the journal back, so that the event is certainly not recorded."""
        try:
            os.ftruncate(fd, size)
            os.fdatasync(fd)
        except OSError:
            raise OutcomeUnknown(
                f"{self.journal_path}: {os.strerror(error.errno or errno.EIO)}; the event may or may not be recorded",
                code="append_unknown",
                hint="perfledger verify, then run the same command again: a recorded event is never doubled",
            ) from error
        raise Unavailable(
            f"{self.journal_path}: {os.strerror(error.errno or errno.EIO)}; nothing was recorded",
            code="append_failed", hint="free some space or mend the disk, then run it again", errno=error.errno,
        ) from error

    def _index(self, events: Sequence[Event], indexed: Indexed) -> Indexed:
        """Tell the derived index. The events are durable: an index that cannot be written is dropped, not an error."""
        assert self._heads is not None
        try:
            self._heads.add(events, indexed)
        except sqlite3.Error:
            self._drop_heads()
        return indexed

    def _drop_heads(self) -> None:
        if self._heads is not None:
            with contextlib.suppress(sqlite3.Error):
                self._heads.close()
        self._heads = None

    # ---------------------------------------------------------------- sealing

    def _seal(self, indexed: Indexed) -> segment.SegmentInfo | None:
        tail = journal.read(self.journal_path).events
        if not tail:
            return None
        info = self._link_segment(tail)
        replaced = self._cut_journal(after=tail[-1].position, head=indexed.head)
        if self._heads is not None:
            try:
                self._heads.journal_replaced(inode=replaced.journal_inode, size=0, first=0)
            except sqlite3.Error:
                self._drop_heads()
        return info

    def _link_segment(self, events: Sequence[Event]) -> segment.SegmentInfo:
        path = self.folder / segment.file_name(events[0].position)
        if not disk.put_if_absent(path, segment.encode(events)):
            found = segment.info(path)
            if (found.origin, found.last, found.head_hash) != (self.origin, events[-1].position, events[-1].hash):
                raise Damaged(
                    f"{path} exists and does not end with position {events[-1].position} of this journal",
                    code="segment_slot_taken", hint="perfledger verify", file=str(path),
                )
        return segment.info(path)

    def _cut_journal(self, *, after: int, head: Head) -> Indexed:
        """Replace the journal by one that holds only events after a position, which a segment now holds."""
        later = [e for e in journal.read(self.journal_path).events if e.position > after]
        data = b"".join(chain.to_json(e) + b"\n" for e in later)
        disk.overwrite(self.journal_path, data)
        inode = self.journal_path.stat().st_ino
        return Indexed(head, inode, len(data), later[0].position if later else 0)

    # ---------------------------------------------------------------- opening

    def _synchronise(self) -> Indexed:
        """Bring the index up to the log, under the lock: take in what other writers appended, finish a seal a
        crash left half done, set torn bytes aside. Raises `Damaged` when the log lost acknowledged events."""
        if self._heads is None:
            self._heads = Heads.open(self.folder)
        if self._heads is None:
            return self._reindex()
        try:
            indexed = self._heads.indexed()
        except sqlite3.Error:
            self._drop_heads()
            return self._reindex()
        try:
            found = self.journal_path.stat()
            inode, size = found.st_ino, found.st_size
        except FileNotFoundError:
            inode, size = 0, 0
        if inode == indexed.journal_inode and size == indexed.journal_size and not self._half_sealed(indexed):
            return indexed
        if inode == indexed.journal_inode and size < indexed.journal_size:
            raise self._lost(indexed.head.position)
        if inode == indexed.journal_inode and not self._half_sealed(indexed):
            return self._take_in(indexed)
        return self._reindex(previous=indexed)

    def _half_sealed(self, indexed: Indexed) -> bool:
        """Whether a segment exists that the index does not know: of the journal's events, or of a batch after them."""
        following = self.folder / segment.file_name(indexed.head.position + 1)
        sealing = self.folder / segment.file_name(indexed.journal_first) if indexed.journal_first else following
        return sealing.exists() or following.exists()

    def _take_in(self, indexed: Indexed) -> Indexed:
        """Index the lines another writer appended after the ones the index knows."""
        more = journal.read(self.journal_path, start=indexed.journal_size)
        self._set_aside(more)
        if not more.events:
            return indexed
        self._check_continues(more.events, indexed.head)
        return self._index_all(more.events, Indexed(
            head_after(more.events), more.inode, more.size, indexed.journal_first or more.events[0].position))

    def _reindex(self, previous: Indexed | None = None) -> Indexed:
        """Make the index again from the whole log; finish a half-done seal first."""
        tail = journal.read(self.journal_path)
        self._set_aside(tail)
        if tail.events and (self.folder / segment.file_name(tail.events[0].position)).exists():
            held = segment.info(self.folder / segment.file_name(tail.events[0].position))
            self._cut_journal(after=held.last, head=Head())
            tail = journal.read(self.journal_path)
        self._drop_heads()
        self._heads = Heads.create(self.folder)
        indexed = Indexed(journal_inode=tail.inode, journal_size=tail.size)
        for path in self.segment_paths():
            events = segment.read(path)
            self._check_continues(events, indexed.head)
            indexed = self._index_all(events, Indexed(head_after(events), tail.inode, tail.size))
        if tail.events:
            self._check_continues(tail.events, indexed.head)
            indexed = self._index_all(tail.events, Indexed(
                head_after(tail.events), tail.inode, tail.size, tail.events[0].position))
        else:
            self._heads.journal_replaced(inode=tail.inode, size=tail.size, first=0)
        if previous is not None and indexed.head.position < previous.head.position:
            self._drop_heads()
            (self.folder / "heads.sqlite").unlink(missing_ok=True)
            raise self._lost(previous.head.position)
        return indexed

    def _index_all(self, events: Sequence[Event], indexed: Indexed) -> Indexed:
        assert self._heads is not None
        self._heads.add(events, indexed)
        return indexed

    def _check_continues(self, events: Sequence[Event], head: Head) -> None:
        wrong = chain.first_break(list(events), position=head.position, prev_hash=head.hash)
        if wrong:
            raise Damaged(f"the log of {self.origin} is broken: {wrong}", code="chain_broken", hint="perfledger verify",
                          position=head.position + 1)

    def _lost(self, position: int) -> Damaged:
        return Damaged(
            f"the log of {self.origin} ends before position {position}, which was acknowledged; nothing was written",
            code="log_cut", hint="perfledger verify; then restore the log from a copy or `perfledger sync pull`",
            position=position,
        )

    def _set_aside(self, found: journal.Journal) -> None:
        """Keep torn bytes for a person to see and cut them off the journal. They were never acknowledged."""
        if not found.torn:
            return
        folder = self.folder / "torn"
        disk.make_directory(folder)
        disk.put_if_absent(folder / f"{found.inode}-{found.size}", found.torn)
        fd = os.open(self.journal_path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(fd, found.size)
            os.fdatasync(fd)
        finally:
            os.close(fd)
        lock._say(f"perfledger: {len(found.torn)} bytes of an unfinished write were set aside in {folder}")

    # ---------------------------------------------------------------- reading

    def acknowledged(self) -> Head | None:
        """Return the head the derived index last acknowledged, or None when there is no index to ask."""
        heads = self._heads or Heads.open(self.folder)
        if heads is None:
            return None
        try:
            return heads.indexed().head
        except sqlite3.Error:
            return None
        finally:
            if heads is not self._heads:
                heads.close()

    def head(self) -> Head:
        """Return the last position, hash and time, without taking the lock."""
        tail = self.tail()
        if tail:
            return head_after(tail)
        paths = self.segment_paths()
        return head_after(segment.read(paths[-1])[-1:]) if paths else Head()

    def segment_paths(self) -> list[Path]:
        """Return the sealed segments in position order."""
        try:
            names = os.listdir(self.folder)  # noqa: PTH208  (names only; 10,000 Path objects cost more than the listing)
        except FileNotFoundError:
            return []
        return [self.folder / name for name in sorted(names) if segment.first_of(name) is not None]

    def tail(self) -> list[Event]:
        """Return the events the journal holds."""
        return journal.read(self.journal_path, check=False).events

    def read(self, *, after: int = 0, stream: str | None = None, types: Iterable[str] | None = None) -> Iterator[Event]:
        """Yield events after a position in order, each once, without taking the lock.

        The journal is read before the segments are listed: a seal in between shows its events in both places,
        never in none. Raises `Damaged` when positions are missing all the same.
        """
        wanted = set(types) if types is not None else None
        tail, paths = self._snapshot()
        firsts = [segment.first_of(p.name) or 0 for p in paths]
        for index, path in enumerate(paths):
            following = firsts[index + 1] if index + 1 < len(paths) else None
            if following is not None and following <= after + 1:
                continue
            for event in segment.read(path, stream=stream, types=wanted):
                if event.position > after:
                    after = event.position
                    yield event
        for event in tail:
            if event.position > after and stream in (None, event.stream) and (wanted is None or event.type in wanted):
                yield event

    def _snapshot(self) -> tuple[list[Event], list[Path]]:
        for _ in range(READ_RETRY_COUNT_MAX):
            tail = self.tail()
            paths = self.segment_paths()
            if not tail or tail[0].position == 1:
                return tail, paths
            last = segment.info(paths[-1]).last if paths else 0
            if last >= tail[0].position - 1:
                return tail, paths
        raise Damaged(f"the log of {self.origin} misses the events before position {tail[0].position}",
                      code="gap", hint="perfledger verify", position=last + 1)

    def at(self, position: int) -> Event:
        """Return the event at a position. Raises `BadInput` when there is none."""
        for event in self.tail():
            if event.position == position:
                return event
        holder = [p for p in self.segment_paths() if (segment.first_of(p.name) or 0) <= position]
        found = segment.read(holder[-1], position=position) if holder else []
        if not found:
            raise BadInput(f"no event at position {position} of {self.origin}", code="no_such_event")
        return found[0]

    def position_of(self, event_id: str) -> int | None:
        """Return the position of an event id, from the index when there is one, else by reading."""
        heads = self._heads or Heads.open(self.folder)
        if heads is not None and self._heads is None:
            self._heads = heads
        if heads is not None:
            position = heads.position_of(event_id)
            if position is not None:
                return position
        return next((e.position for e in self.read() if e.event_id == event_id), None)


_TWIN = Receipt(0, "", "", duplicate=True)  # stands for an event whose key came earlier in the same append


def _resolve_twins(receipts: list[Receipt], prepared: Sequence[_Prepared]) -> list[Receipt]:
    if _TWIN not in receipts:
        return receipts
    first = {item.new.key: r for item, r in zip(prepared, receipts, strict=True) if r is not _TWIN}
    twins = [(item, first[item.new.key] if r is _TWIN else r) for item, r in zip(prepared, receipts, strict=True)]
    return [
        replace(r, duplicate=True) if was is _TWIN else r for (_, r), was in zip(twins, receipts, strict=True)
    ]


def _prepare(new: Sequence[NewEvent]) -> list[_Prepared]:
    """Encode and check payloads before the lock is taken."""
    if len(new) > APPEND_EVENTS_MAX:
        raise BadInput(f"{len(new):,} events in one append; at most {APPEND_EVENTS_MAX:,}", code="append_too_large")
    prepared = []
    total = 0
    for item in new:
        data = encode_payload(item.payload)
        total += len(data)
        kind = type_of(item.payload)
        if len(data) > EVENT_BYTES_MAX:
            raise BadInput(f"{kind.name} on {item.stream}: payload of {len(data):,} bytes; at most {EVENT_BYTES_MAX:,}",
                           code="event_too_large", hint="put large content into evidence and cite its digest")
        if item.event_id is not None and len(item.event_id) != 36:
            raise BadInput(f"event id {item.event_id!r} is not a UUID", code="bad_event_id")
        prepared.append(_Prepared(item, kind.name, kind.schema_version, data))
    if total > APPEND_BYTES_MAX:
        raise BadInput(f"{total:,} payload bytes in one append; at most {APPEND_BYTES_MAX:,}", code="append_too_large")
    return prepared

