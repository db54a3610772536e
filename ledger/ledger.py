"""A ledger: the folder, its own origin's log, the logs of others, and the evidence."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ledger import canonical, disk, identifiers, layout
from ledger.errors import BadInput
from ledger.event import Event, NewEvent, recorded_order
from ledger.evidence.store import EvidenceStore
from ledger.identifiers import format_time, next_time, parse_time
from ledger.log.heads import Head
from ledger.log.incoming import Receipt
from ledger.log.origin_log import Author, OriginLog
from ledger.log.reading import Place, holds_log
from ledger.log.segment import SegmentInfo, info
from ledger.readable import AHEAD_MAX_US, ORDERED_BY_NAME

PERFLEDGER_VERSION = "0.1.0"
POSITION_DIGITS_MAX = 18  # all that certainly fit in 64 bits, as segments hold them


def default_actor() -> str:
    """Return git's user.email, else user@host."""
    try:
        done = subprocess.run(["git", "config", "user.email"], capture_output=True, timeout=5, check=False)
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.decode("utf-8", "replace").strip()
    except (OSError, subprocess.TimeoutExpired):
        pass
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or f"uid{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def default_origin() -> str:
    """Return a new origin name: the host's, with a random part, because each replica needs its own."""
    host = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower()).strip("-")[:40] or "host"
    return f"{host}-{secrets.token_hex(3)}"


class Ledger:
    """An open ledger. `path` is the `.perfledger` folder, `origin` this replica's name, `actor` who writes."""

    def __init__(self, path: Path, origin: str, actor: str | None) -> None:
        self.path = path
        self.origin = origin
        self._actor = actor
        self.host = socket.gethostname()
        self.log = OriginLog(path / "log" / origin, origin)
        self.evidence = EvidenceStore(path / "evidence", origin)

    @property
    def actor(self) -> str:
        """Who writes, as given or found out (once, because it may ask git)."""
        if self._actor is None:
            self._actor = default_actor()
        if not canonical.is_unicode(self._actor):
            raise BadInput(f"the actor {self._actor!r} is no Unicode text", code="bad_actor", hint="--actor NAME")
        return self._actor

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, origin: str | None = None, actor: str | None = None) -> Ledger:
        """Create a ledger folder. Raises `BadInput` when there is one already."""
        from ledger.events.origins import LedgerCreated

        folder = Path(path)
        layout.check_name(folder.absolute())
        if folder.name != layout.FOLDER_NAME:
            folder = folder / layout.FOLDER_NAME
        name = layout.check_origin(origin or default_origin())
        if (folder / "ledger.toml").exists():
            raise BadInput(
                f"{folder} is a ledger already; nothing was changed", code="ledger_exists", hint="perfledger doctor"
            )
        for part in ("log", f"log/{name}", "evidence"):
            disk.make_directory(folder / part)
        ledger = cls(folder, name, actor)
        ledger.append(
            [
                NewEvent(
                    stream=f"origin/{name}",
                    key=f"created/{name}",
                    payload=LedgerCreated(ledger_format=layout.FORMAT_VERSION, perfledger_version=PERFLEDGER_VERSION),
                )
            ]
        )
        # Write ledger.toml last: its presence marks a complete ledger.
        text = f'format = {layout.FORMAT_VERSION}\norigin = "{name}"\ncreated = "{format_time(next_time(0))}"\n'
        disk.put_if_absent(folder / "ledger.toml", text.encode())
        return ledger

    @classmethod
    def open(cls, given: str | os.PathLike[str] | None = None, *, actor: str | None = None) -> Ledger:
        """Open the given ledger, or the nearest one from here upward. See `layout.find` for errors."""
        folder = layout.find(given)
        return cls(folder, layout.read_description(folder).origin, actor)

    # ---------------------------------------------------------------- writing

    def append(
        self,
        events: Sequence[NewEvent],
        *,
        seen: Mapping[str, int] | None = None,
        correlation_id: str | None = None,
        not_before: str = "",
    ) -> list[Receipt]:
        """Append events to this origin's log, all or none; durable on return. See `OriginLog.append`.

        not_before: a recorded time of another origin. These events, and all after them, are recorded later than it,
        unless it is more than a day ahead of this machine's clock, which is not followed then.
        """
        other = parse_time(not_before) if not_before else 0
        return self.log.append(
            events,
            author=Author(self.actor, self.host, other if other <= identifiers.clock() + AHEAD_MAX_US else 0),
            seen=seen,
            correlation_id=correlation_id,
        )

    def seal(self) -> None:
        """Seal the tail of the log and of the evidence, so that all of it is in immutable files."""
        self.evidence.seal()
        self.log.seal()

    # ---------------------------------------------------------------- reading

    def origins(self) -> list[str]:
        """Return all origins this ledger has, its own first; a folder without a log is not an origin."""
        found = {p.name for p in (self.path / "log").iterdir() if p.is_dir() and holds_log(p)}
        return [self.origin, *sorted(found - {self.origin})]

    def log_of(self, origin: str) -> OriginLog:
        """Return the log of an origin."""
        return self.log if origin == self.origin else OriginLog(self.path / "log" / origin, origin)

    def segments(self, origin: str | None = None) -> list[SegmentInfo]:
        """Return what the sealed segments of an origin (default: our own) say about themselves, in order."""
        return [info(path) for path in self.log_of(origin or self.origin).segment_paths()]

    def head(self, origin: str | None = None) -> Head:
        """Return where an origin's log ends."""
        return self.log_of(origin or self.origin).head()

    def read(
        self,
        *,
        origin: str | None = None,
        after: int = 0,
        stream: str | None = None,
        types: Iterable[str] | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> Iterator[Event]:
        """Yield events, origin by origin (own first), in position order.

        `since` (inclusive) and `until` (exclusive) bound `recorded_at`, any ISO 8601 time.
        """
        low = format_time(parse_time(since)) if since else ""
        high = format_time(parse_time(until)) if until else "~"
        for name in [origin] if origin else self.origins():
            for event in self.log_of(name).read(after=after, stream=stream, types=types):
                if low <= event.recorded_at < high:
                    yield event

    def read_counted(
        self, *, origin: str | None = None, stream: str | None = None, types: Iterable[str] | None = None
    ) -> Iterator[Event]:
        """Yield the events that count, as `read` does: this version can read them, and their time has come."""
        return filter(self.counts, self.read(origin=origin, stream=stream, types=types))

    def counts(self, event: Event) -> bool:
        """Whether an event counts: this version can read it, and its time has come."""
        return self._has_come(event) and event.why_unreadable() is None

    def _has_come(self, event: Event) -> bool:
        """Whether an event is not from the future: our own never are, those of others more than a day ahead of the
        machine's clock and of our own last event; but what is not ordered by time waits for none."""
        if event.schema_version >= ORDERED_BY_NAME.get(event.type, event.schema_version + 1):
            return True
        if event.origin == self.origin or event.recorded_at <= format_time(identifiers.clock() + AHEAD_MAX_US):
            return True
        return event.recorded_at <= format_time(self.head().recorded_us + AHEAD_MAX_US)

    def read_stream(self, stream: str) -> list[Event]:
        """Return one stream's events that count, over all origins, in recorded order."""
        return self.read_on(stream, {})[0]

    def read_on(self, stream: str, places: Mapping[str, Place]) -> tuple[list[Event], dict[str, Place]]:
        """Return one stream's events that count after a place in each origin's log, and where this reading ends.

        The events are in recorded order. An origin without a place is read from its beginning; what the reading
        that ended at `places` has seen is neither decoded nor returned again.
        """
        found: list[Event] = []
        reached = dict(places)
        for name in self.origins():
            more, reached[name] = self.log_of(name).read_on(places.get(name, Place()), stream=stream)
            found += [event for event in more if self.counts(event)]
        return sorted(found, key=recorded_order), reached

    def event(self, event_id: str) -> Event:
        """Return an event by its id, or by `position@origin`. Raises `BadInput` when there is none."""
        position, at, origin = event_id.partition("@")
        if at and position.isdecimal() and len(position) <= POSITION_DIGITS_MAX:
            if origin not in self.origins():
                raise BadInput(f"no origin {origin} here", code="no_such_origin", hint="perfledger sql 'FROM origins'")
            return self.log_of(origin).at(int(position))
        for name in self.origins():
            log = self.log_of(name)
            found = (
                log.position_of(event_id)
                if name == self.origin
                else next((e.position for e in log.read() if e.event_id == event_id), None)
            )
            if found is not None:
                return log.at(found)
        raise BadInput(f"no event {event_id}", code="no_such_event", hint="perfledger events list")
