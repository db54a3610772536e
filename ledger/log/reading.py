"""Reading the log of one origin. Readers take no lock and never wait for one.

The journal is read before the segments are listed: a seal in between shows its events in both places, never in
none. A listing alone is not trusted: positions must follow without a gap.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ledger.canonical import INT_MAX
from ledger.errors import BadInput, Damaged
from ledger.event import Event
from ledger.log import indexing, journal, segment
from ledger.log.heads import Head, Heads, Mark, head_after
from ledger.log.journal import Journal

READ_RETRY_COUNT_MAX = 50


def holds_log(folder: Path) -> bool:
    """Return whether a folder in `log/` holds a segment or a journal."""
    with os.scandir(folder) as entries:  # stops at the first: a log may have thousands of segments
        return any(entry.name == journal.NAME or segment.first_of(entry.name) is not None for entry in entries)


class Place(NamedTuple):
    """How far a log was read: its last position then, and how much of which journal file led there.

    journal_size: bytes of whole lines. journal_first: position of the journal's first event, 0 when it had none.
    """

    position: int = 0
    journal_inode: int = 0
    journal_size: int = 0
    journal_first: int = 0


class LogReader:
    """The log folder of one origin, `log/<origin>/`, as readers see it."""

    def __init__(self, folder: Path, origin: str) -> None:
        self.folder = folder
        self.origin = origin
        self.journal_path = folder / journal.NAME

    def acknowledged(self) -> Head | None:
        """Return the head writers last said "ok" for, or None when no mark tells."""
        mark = Mark(self.folder).read()
        return mark.head if mark else None

    def head(self) -> Head:
        """Return the last position, hash and time, without taking the lock."""
        tail = self.tail()
        if tail:
            return head_after(tail)
        paths = self.segment_paths()
        if not paths:
            return Head()
        return head_after(segment.read(paths[-1], position=segment.info(paths[-1]).last))

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
        """Yield events after a position in order, each once. Raises `Damaged` when positions are missing."""
        wanted = set(types) if types is not None else None
        tail, paths = self._snapshot()
        yield from self._read(tail.events, paths, after=after, stream=stream, wanted=wanted)

    def read_on(self, place: Place, *, stream: str) -> tuple[list[Event], Place]:
        """Return a stream's events after a place in order, and the place this reading ends at.

        What an earlier reading decoded is not decoded again, whether it lies in the journal or was sealed since.
        """
        more = self._lines_after(place) if place.position else None
        if more is not None:
            if not more.events:
                return [], place
            last, first = more.events[-1].position, place.journal_first or more.events[0].position
            found = [event for event in more.events if event.stream == stream]
            return found, Place(last, more.inode, more.size, first)
        tail, paths = self._snapshot()
        found = list(self._read(tail.events, paths, after=place.position, stream=stream, wanted=None))
        ends = [place.position, *(e.position for e in tail.events[-1:]), *(segment.info(p).last for p in paths[-1:])]
        first = tail.events[0].position if tail.events else 0
        return found, Place(max(ends), tail.inode, tail.size, first)

    def _lines_after(self, place: Place) -> Journal | None:
        """Read the journal on from a place. None when it is, or may be, another journal than it was then."""
        if self._sealed_since(place):
            return None
        try:
            more = journal.read(self.journal_path, start=place.journal_size, check=False)
        except Damaged:
            return None  # read from a byte that begins no line, or damage: a reading of the whole finds out
        # Asked again after the reading: a journal is replaced only once its events are in a segment, so without one
        # this is the journal that was read then. Its inode alone would not say so, as the next file may get it again.
        if self._sealed_since(place) or more.inode != place.journal_inode:
            return None
        if more.events and more.events[0].position != place.position + 1:
            return None
        return more

    def _sealed_since(self, place: Place) -> bool:
        """Return whether a segment exists of the events that were in the journal then, or of those right after them."""
        firsts = {place.position + 1, place.journal_first or place.position + 1}
        return any((self.folder / segment.file_name(first)).exists() for first in firsts)

    def _read(
        self, tail: list[Event], paths: list[Path], *, after: int, stream: str | None, wanted: set[str] | None
    ) -> Iterator[Event]:
        whole = stream is None and wanted is None
        firsts = [segment.first_of(p.name) or 0 for p in paths]
        for index, path in enumerate(paths):
            following = firsts[index + 1] if index + 1 < len(paths) else None
            if following is not None and following <= after + 1:
                continue
            if whole and firsts[index] > after + 1:
                raise self._gap(after + 1)
            known = after if firsts[index] <= after <= INT_MAX else None  # its first events are not wanted again
            for event in segment.read(path, stream=stream, types=wanted, after=known):
                if event.position > after:
                    after = event.position
                    yield event
        for event in tail:
            if event.position <= after:
                continue
            if stream in (None, event.stream) and (wanted is None or event.type in wanted):
                yield event

    def hashes(self, *, first: int, last: int) -> Iterator[bytes]:
        """Yield the hash (32 bytes) of each event at the positions first..last, in order, without reading payloads.

        Each event holds the hash of the one before it. Raises `Damaged` where one does not, or where one is missing.
        """
        tail, paths = self._snapshot()
        firsts = [segment.first_of(p.name) or 0 for p in paths]
        position, before = first - 1, None
        for index, path in enumerate(paths):
            following = firsts[index + 1] if index + 1 < len(paths) else None
            if position >= last or (following is not None and following <= position + 1):
                continue
            found = segment.columns(path, ["position", "prev_hash", "hash"], within=(position + 1, last))
            for at, previous, digest in zip(found["position"], found["prev_hash"], found["hash"], strict=True):
                if at != position + 1 or before not in (None, previous):
                    raise self._broken(position + 1)
                position, before = at, digest
                yield digest
        for event in tail.events:
            if position < event.position <= last:
                previous = bytes.fromhex(event.prev_hash)
                if event.position != position + 1 or before not in (None, previous):
                    raise self._broken(position + 1)
                position, before = event.position, bytes.fromhex(event.hash)
                yield before
        if position < last:
            raise self._gap(position + 1)

    def _broken(self, position: int) -> Damaged:
        what = f"position {position} is missing or does not hold the hash of the event before it"
        return indexing.broken(self.origin, what, position)

    def _snapshot(self) -> tuple[Journal, list[Path]]:
        for _ in range(READ_RETRY_COUNT_MAX):
            tail = journal.read(self.journal_path, check=False)
            paths = self.segment_paths()
            if not tail.events or tail.events[0].position == 1:
                return tail, paths
            last = segment.info(paths[-1]).last if paths else 0
            if last >= tail.events[0].position - 1:
                return tail, paths
        raise self._gap(last + 1)

    def _gap(self, position: int) -> Damaged:
        return Damaged(
            f"the log of {self.origin} misses the events from position {position} on, and has later ones",
            code="gap",
            hint="perfledger verify",
            position=position,
        )

    def at(self, position: int) -> Event:
        """Return the event at a position. Raises `BadInput` when there is none."""
        for event in self.tail():
            if event.position == position:
                return event
        holder = [p for p in self.segment_paths() if (segment.first_of(p.name) or 0) <= position]
        # a segment holds positions of 64 bits and cannot be asked for others, which a remote's checkpoint may name
        found = segment.read(holder[-1], position=position) if holder and position <= INT_MAX else []
        if not found:
            raise BadInput(f"no event at position {position} of {self.origin}", code="no_such_event")
        return found[0]

    def position_of(self, event_id: str) -> int | None:
        """Return the position of an event id: from the tail, the index when there is one, else by reading."""
        for event in self.tail():
            if event.event_id == event_id:
                return event.position
        position = self._indexed_position(event_id)
        if position is not None:
            return position
        for path in reversed(self.segment_paths()):
            found = segment.read(path, event_id=event_id)
            if found:
                return found[0].position
        return None

    def _indexed_position(self, event_id: str) -> int | None:
        try:
            heads = Heads.open(self.folder)
            if heads is None:
                return None
            try:
                return heads.position_of(event_id)
            finally:
                heads.close()
        except (sqlite3.Error, OSError):  # a derived file; the log itself answers
            return None
