"""The log of one origin on disk: append, seal, recover.

Writers queue on the origin's lock; readers (`ledger.log.reading`) take none. The order of steps is the promise:

* append: write one journal line over padding, fdatasync, then the derived index and its mark, then the caller is told;
* a large batch: a Parquet segment of the journal's events and the batch, fsync, link, fsync(directory),
  then the journal is replaced by an empty one;
* seal: the same without a batch.

A crash between any two steps leaves events in the journal, in a segment, or in both; the same event in
both places is one event, and the next writer finishes the seal. A writer syncs what it finds and no mark
vouches for before it builds on it, so nothing durable ever depends on something that is not.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ledger import disk
from ledger.errors import Conflict, Damaged, Unavailable
from ledger.event import Event, NewEvent
from ledger.identifiers import format_time, new_event_id, next_time, parse_time
from ledger.log import chain, indexing, journal, segment
from ledger.log.heads import NAME as HEADS_NAME
from ledger.log.heads import Head, Heads, Indexed, Known, Mark, head_after, rows_of
from ledger.log.incoming import TWIN, Prepared, Receipt, prepare, resolve_twins
from ledger.log.journal_writer import JournalWriter
from ledger.log.lock import KeptLock
from ledger.log.reading import LogReader

SEGMENT_BATCH_EVENTS = 1_000  # from here one Parquet file costs less than journal lines and sealing them later
JOURNAL_BYTES_MAX = 4 * 2**20  # an append seals past this, so that readers never parse more


@dataclass(frozen=True)
class Author:
    """Who writes, as every event of an append says it, and the time (microseconds UTC) that all of it comes after."""

    actor: str
    host: str
    after_us: int = 0


class OriginLog(LogReader):
    """The log folder of one origin, `log/<origin>/`."""

    def __init__(self, folder: Path, origin: str) -> None:
        super().__init__(folder, origin)
        self.lock_path = folder / "lock"
        self._prefix = f"{folder}/"
        self._heads: Heads | None = None
        self._lock = KeptLock(self.lock_path)
        self._journal = JournalWriter(folder)
        self._looked_through = False  # whether what a power cut may have left behind the lines was looked for
        self._mark = Mark(folder)
        self._state = Indexed()

    # ---------------------------------------------------------------- writing

    def append(
        self,
        new: Sequence[NewEvent],
        *,
        author: Author,
        seen: Mapping[str, int] | None = None,
        correlation_id: str | None = None,
    ) -> list[Receipt]:
        """Append events, all or none, and return once they are durable.

        Raises `Conflict` when a stream named in `seen` has events after that position, `BadInput` for what
        does not fit, `Unavailable` when nothing was written, `OutcomeUnknown` when that is not certain.
        """
        prepared = prepare(new)
        with self._lock:
            indexed, receipts, fresh = self._decide(prepared, seen or {})
            if fresh:
                events, lines, head = self._chain(fresh, indexed.head, author, correlation_id)
                indexed = self._write(events, lines, indexed, head)
                for (index, _), event in zip(fresh, events, strict=True):
                    receipts[index] = Receipt(event.position, event.event_id, event.recorded_at)
            if indexed.journal_size > JOURNAL_BYTES_MAX:
                # the events are recorded: what keeps them from being sealed now is no failure of this append
                with contextlib.suppress(OSError, Damaged):
                    self._seal(indexed)
        done = [r for r in receipts if r is not None]
        assert len(done) == len(new), (len(done), len(new))
        return resolve_twins(done, prepared)

    def seal(self) -> segment.SegmentInfo | None:
        """Move the journal's events into a segment; None when there were none."""
        with self._lock:
            return self._seal(self._synchronise())

    def settled(self) -> Head:
        """Return the head, all of it durable: what may be signed or told to others as this log's."""
        with self._lock:
            return self._synchronise().head

    def _decide(
        self,
        prepared: Sequence[Prepared],
        seen: Mapping[str, int],
    ) -> tuple[Indexed, list[Receipt | None], list[tuple[int, Prepared]]]:
        """Come up to date, then split into receipts of what the log has and what is fresh. Nothing is written to
        the log yet, so an index that turns out to be broken is made again and asked again."""
        for attempt in (1, 2):
            indexed = self._synchronise()
            try:
                self._refuse_moved(seen)
                return indexed, *self._known(prepared)
            except sqlite3.Error as error:
                self._drop_heads()
                (self.folder / HEADS_NAME).unlink(missing_ok=True)
                if attempt == 2:
                    raise self._unindexed(error) from error
        raise AssertionError("unreachable")

    def _unindexed(self, error: sqlite3.Error) -> Unavailable:
        return Unavailable(
            f"{self.folder / HEADS_NAME}: {error}; nothing was recorded",
            code="index_failed",
            hint="free some space or repair the disk, then run it again",
        )

    def _refuse_moved(self, seen: Mapping[str, int]) -> None:
        assert self._heads is not None
        for stream, position in seen.items():
            _, last = self._heads.stream(stream)
            if last > position and self._moved(stream, after=position):
                raise Conflict(
                    f"stream {stream} has an event at position {last}, you decided on position {position}; "
                    "nothing was written",
                    code="stream_moved",
                    hint=f"perfledger events list --stream {stream}",
                    stream=stream,
                    seen=position,
                    last=last,
                )

    def _moved(self, stream: str, *, after: int) -> bool:
        """Whether a stream has events after a position on which a decision could rest: ones this version can read."""
        return any(event.why_unreadable() is None for event in self.read(stream=stream, after=after))

    def _known(self, prepared: Sequence[Prepared]) -> tuple[list[Receipt | None], list[tuple[int, Prepared]]]:
        """Split into receipts of what the log has already, and what is fresh (with its index)."""
        assert self._heads is not None
        receipts: list[Receipt | None] = [None] * len(prepared)
        fresh: list[tuple[int, Prepared]] = []
        keys: set[str] = set()
        for index, item in enumerate(prepared):
            known = self._same_event(item) if item.new.event_id else None
            if known is None and item.new.key is not None:
                known = self._heads.by_key(item.new.key)
                if known is None and item.new.key in keys:
                    receipts[index] = TWIN
                    continue
                keys.add(item.new.key)
            if known is None:
                fresh.append((index, item))
            else:
                when = format_time(known.recorded_us)
                receipts[index] = Receipt(known.position, known.event_id, when, duplicate=True)
        return receipts, fresh

    def _same_event(self, item: Prepared) -> Known | None:
        assert self._heads is not None and item.new.event_id is not None
        position = self._heads.position_of(item.new.event_id)
        if position is None:
            return None
        event = self.at(position)
        if (event.stream, event.type, bytes(event.payload)) != (item.new.stream, item.type, item.payload):
            raise Conflict(
                f"event id {item.new.event_id} is position {position} already, with other content; nothing was written",
                code="event_id_reused",
                hint=f"perfledger events show {item.new.event_id}",
                position=position,
            )
        return Known(position, event.event_id, parse_time(event.recorded_at))

    def _chain(
        self, fresh: Sequence[tuple[int, Prepared]], head: Head, author: Author, correlation_id: str | None
    ) -> tuple[list[Event], list[bytes], Head]:
        """Give positions, versions, times and hashes to new events. Returns them, their lines and the head after."""
        assert self._heads is not None
        position, previous, now = head.position, head.hash, max(head.recorded_us, author.after_us)
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
            event = Event(
                actor=author.actor,
                causation_id=new.causation_id,
                correlation_id=new.correlation_id or correlation_id,
                event_id=new.event_id or new_event_id(now, random[10 * index : 10 * index + 10]),
                git_sha=new.git_sha,
                hash="",
                host=author.host,
                key=new.key,
                origin=self.origin,
                payload=msgspec.Raw(item.payload),
                position=position,
                prev_hash=previous,
                recorded_at=format_time(now),
                schema_version=item.schema_version,
                stream=new.stream,
                type=item.type,
                version=version + 1,
            )
            lines.append(chain.link(event))
            events.append(event)
            previous = event.hash
        return events, lines, Head(position, previous, now)

    def _write(self, events: list[Event], lines: list[bytes], indexed: Indexed, head: Head) -> Indexed:
        """Make chained events durable: as a journal line, or as a segment when there are many."""
        assert events[0].position == indexed.head.position + 1, (events[0].position, indexed.head)
        if len(events) >= SEGMENT_BATCH_EVENTS:
            tail = journal.read(self.journal_path, check=False).events
            self._link_segment([*tail, *events])
            empty = Indexed(head, indexed.journal_inode)  # nothing to cut, two syncs less
            self._index(events, self._cut_journal([], head=head) if indexed.journal_size else empty, replaced=True)
        else:
            line = chain.join_batch(lines) + b"\n"
            inode = self._journal.write(line, indexed.journal_size)
            self._index(
                events,
                Indexed(
                    head=head,
                    journal_inode=inode,
                    journal_size=indexed.journal_size + len(line),
                    journal_first=indexed.journal_first or events[0].position,
                ),
            )
        return self._state

    def _index(self, events: Sequence[Event], state: Indexed, *, replaced: bool = False) -> None:
        """Tell the derived index of durable events. One that cannot be written is dropped, which is not an error."""
        self._state = state
        self._mark.write(state)
        if self._heads is None:
            return
        try:
            self._heads.add(rows_of(events), state)
            if replaced:
                self._heads.flush()
        except sqlite3.Error:
            self._drop_heads()

    def _drop_heads(self) -> None:
        if self._heads is not None:
            with contextlib.suppress(sqlite3.Error):
                self._heads.close()
        self._heads = None

    # ---------------------------------------------------------------- sealing

    def _seal(self, indexed: Indexed) -> segment.SegmentInfo | None:
        tail = journal.read(
            self.journal_path, check=False
        ).events  # a seal neither hides nor repairs damage: `verify` finds it
        if not tail:
            return None
        assert tail[-1].position == indexed.head.position, (tail[-1].position, indexed.head)
        info = self._link_segment(tail)
        self._index([], self._cut_journal([], head=indexed.head), replaced=True)
        return info

    def _link_segment(self, events: Sequence[Event]) -> segment.SegmentInfo:
        path = self.folder / segment.file_name(events[0].position)
        if not disk.put_if_absent(path, segment.encode(events)):
            found = segment.info(path)
            if (found.origin, found.last, found.head_hash) != (self.origin, events[-1].position, events[-1].hash):
                raise Damaged(
                    f"{path} exists and does not end with position {events[-1].position} of this journal",
                    code="segment_slot_taken",
                    hint="perfledger verify",
                    file=str(path),
                )
        return segment.info(path)

    def _cut_journal(self, later: Sequence[Event], *, head: Head) -> Indexed:
        """Replace the journal by one that holds only `later` events: segments hold the rest, durably."""
        data = b"".join(chain.to_json(e) + b"\n" for e in later)
        return Indexed(head, self._journal.replace(data), len(data), later[0].position if later else 0)

    # ---------------------------------------------------------------- opening

    def _synchronise(self) -> Indexed:
        """Bring the index up to the log, under the lock: take in what other writers appended, finish a seal a
        crash left half done, set torn bytes aside. Raises `Damaged` when the log lost acknowledged events."""
        if self._lock.changed:
            self._mark.close()  # it may have been deleted, which is allowed
        mark = self._mark.read()
        place = self._journal.look(replaced=self._lock.changed)
        if self._heads is None:
            self._heads = Heads.open(self.folder)
        found = None
        if self._heads is not None:
            try:
                found = self._follow(self._heads, place, mark)
            except sqlite3.Error:
                self._drop_heads()
        if found is None:
            try:
                found = self._reindex(mark)
            except sqlite3.Error as error:
                self._drop_heads()
                raise self._unindexed(error) from error
        if mark is not None and found.head.position < mark.head.position:
            raise indexing.log_cut(self.origin, mark.head.position)
        self._state = found
        return found

    def _follow(self, heads: Heads, place: tuple[int, int], mark: Indexed | None) -> Indexed | None:
        """Bring an index up to the journal. None when it was made for another journal or another folder."""
        inode, size = place
        known = heads.known
        other = inode != known.journal_inode or size < known.journal_size
        if other or (self._lock.changed and self._half_sealed(known)):
            if not heads.is_current():
                self._drop_heads()
                return None
            known = heads.refresh()  # another writer may have sealed
            if inode != known.journal_inode or size < known.journal_size or self._half_sealed(known):
                return None
        if self._looked_through and self._journal.ends_at(known.journal_size):
            return known
        return self._take_in(heads, known, mark)

    def _half_sealed(self, indexed: Indexed) -> bool:
        """Whether a segment exists that the index does not know: of the journal's events, or of a batch after them."""
        firsts = {indexed.head.position + 1, indexed.journal_first or indexed.head.position + 1}
        return any(os.access(f"{self._prefix}{segment.file_name(first)}", os.F_OK) for first in firsts)

    def _take_in(self, heads: Heads, known: Indexed, mark: Indexed | None) -> Indexed:
        """Index the lines another writer appended after the ones the index knows."""
        more = journal.read(self.journal_path, start=known.journal_size)
        self._journal.set_aside(more)
        self._looked_through = True
        if not more.events:
            return known
        wrong = chain.first_break(more.events, position=known.head.position, prev_hash=known.head.hash)
        if wrong:
            raise indexing.broken(self.origin, wrong, known.head.position + 1)
        state = Indexed(head_after(more.events), more.inode, more.size, known.journal_first or more.events[0].position)
        if mark is None or state.head.position > mark.head.position:
            disk.fsync_file(self.journal_path)  # its writer died before it was told "ok"
            self._mark.write(state)
        heads.add(rows_of(more.events), state)
        return state

    def _reindex(self, mark: Indexed | None) -> Indexed:
        """Make the index again from the whole log; finish a half-done seal and sync what a dead writer left."""
        tail = journal.read(self.journal_path)
        self._journal.set_aside(tail)
        self._looked_through = True
        disk.fsync_file(self.journal_path)
        disk.fsync_directory(self.folder)
        paths = self.segment_paths()
        sealed = segment.info(paths[-1]).last if paths else 0
        if tail.events and tail.events[0].position <= sealed:
            self._cut_journal([e for e in tail.events if e.position > sealed], head=Head())
            tail = journal.read(self.journal_path)
        end = tail.events[-1].position if tail.events else sealed
        if mark is not None and end < mark.head.position:
            raise indexing.log_cut(self.origin, mark.head.position)  # the index stays as it is: it goes on saying so
        self._drop_heads()
        heads = Heads.create(self.folder)
        state = Indexed(journal_inode=tail.inode, journal_size=tail.size)
        for path in paths:
            state = Indexed(indexing.index_segment(heads, path, state, mark, self.origin), tail.inode, tail.size)
        if tail.events:
            wrong = chain.first_break(tail.events, position=state.head.position, prev_hash=state.head.hash)
            if wrong:
                raise indexing.broken(self.origin, wrong, state.head.position + 1)
            state = Indexed(head_after(tail.events), tail.inode, tail.size, tail.events[0].position)
            heads.add(rows_of(tail.events), state)
        heads.journal_replaced(state)
        self._heads = heads
        self._mark.write(state)
        return state
