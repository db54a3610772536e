"""Verification: read everything, recompute every hash, and name the first bad event.

Each rule has an id. A finding says the rule, the file, the position and what to do; any finding is exit 7,
notes are not. What cannot be found this way is said in docs/guarantees.md: events cut off the end that no
checkpoint has seen, and a whole history rewritten together with its checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from ledger import canonical, chain, journal, segment
from ledger.errors import Damaged
from ledger.event import Event, evidence_paths, load_catalogue
from ledger.evidence import Problem
from ledger.heads import Head, head_after

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from ledger.log import OriginLog

RULES = {
    "segment-unreadable": "every segment is a readable Parquet file with whole pages",
    "segment-name": "a segment is named by its first position and says its own bounds",
    "segment-metadata": "what a segment says of its bounds and hashes is what it holds",
    "foreign-origin": "a log folder holds events of its own origin only",
    "position-gap": "positions count 1, 2, 3, ... without gaps",
    "hash-wrong": "every event's hash is the SHA-256 of its canonical JSON",
    "chain-broken": "every event holds the hash of the one before it",
    "stream-version": "versions of a stream count 1, 2, 3, ... in its origin",
    "time-backwards": "recorded times increase strictly within an origin",
    "event-id-twice": "an event id stands for one event",
    "payload-not-canonical": "a payload is canonical JSON",
    "journal-line": "every journal line is whole, except bytes of an unfinished write at the end",
    "twice-different": "an event in the journal and in a segment is the same event",
    "log-cut": "the log reaches every position it has acknowledged, pulled or checkpointed",
    "evidence-changed": "a piece of evidence has the SHA-256 that names it",
    "evidence-missing": "evidence an event cites is there",
    "pull-mismatch": "what a pull announced is what the other origin's log holds",
}


@dataclass(frozen=True)
class Finding:
    """One broken rule. `position` is the first bad event's, `file` relative to the ledger folder."""

    rule: str
    origin: str
    file: str
    position: int | None
    message: str


@dataclass
class Report:
    """What a verification read and found. `heads` is where each origin's log ends."""

    events: int = 0
    segments: int = 0
    blobs: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    heads: dict[str, Head] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether no rule is broken."""
        return not self.findings


class _Chain:
    """What the walk over one origin carries from event to event."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.head = Head()
        self.last_time = ""
        self.versions: dict[str, int] = {}
        self.ids: set[bytes] = set()

    def broken(self, event: Event) -> tuple[str, str] | None:
        """Return (rule, what is wrong) for the next event, checking the cheap and telling rules first."""
        if event.origin != self.origin:
            return "foreign-origin", f"it belongs to origin {event.origin}"
        if event.position != self.head.position + 1:
            return "position-gap", f"position {event.position} follows {self.head.position}"
        if chain.hash_of(event) != event.hash:
            return "hash-wrong", "its content does not match its hash"
        if event.prev_hash != self.head.hash:
            return "chain-broken", f"it does not hold the hash of position {self.head.position}"
        if event.recorded_at <= self.last_time:
            return "time-backwards", f"recorded at {event.recorded_at}, after {self.last_time}"
        if event.version != self.versions.get(event.stream, 0) + 1:
            before = self.versions.get(event.stream, 0)
            return "stream-version", f"version {event.version} of {event.stream} follows {before}"
        if event.event_id.encode() in self.ids:
            return "event-id-twice", f"event id {event.event_id} was used before"
        raw = bytes(event.payload)
        try:
            if canonical.encode(canonical.decode(raw)) != raw:
                return "payload-not-canonical", "its payload is not canonical JSON"
        except msgspec.MsgspecError:
            return "payload-not-canonical", "its payload is not JSON"
        return None

    def take(self, event: Event) -> None:
        """Go on to the next event, whatever was wrong with this one."""
        self.head = head_after([event])
        self.last_time = event.recorded_at
        self.versions[event.stream] = event.version
        self.ids.add(event.event_id.encode())


def verify(ledger: Ledger, *, checkpoints: Mapping[str, Head] | None = None) -> Report:
    """Verify logs and evidence of a ledger. `checkpoints`: heads known from outside (a remote, a file kept apart)."""
    report = Report()
    cited: dict[str, tuple[str, int]] = {}
    for origin in ledger.origins():
        _verify_origin(ledger, origin, report, cited)
    _verify_pulls(ledger, report)
    for origin, head in (checkpoints or {}).items():
        _verify_checkpoint(ledger, origin, head, report)
    _verify_evidence(ledger, report, cited)
    return report


def _verify_origin(ledger: Ledger, origin: str, report: Report, cited: dict[str, tuple[str, int]]) -> None:
    log = ledger.log_of(origin)
    walk = _Chain(origin)
    fields = _evidence_fields()
    for file, events in _sources(ledger, log, walk, report):
        for event in events:
            wrong = walk.broken(event)
            if wrong:
                position = walk.head.position + 1 if wrong[0] == "position-gap" else event.position
                message = f"position {event.position}: {wrong[1]}"
                report.findings.append(Finding(wrong[0], origin, file, position, message))
                if wrong[0] in ("position-gap", "foreign-origin", "hash-wrong", "chain-broken"):
                    return  # everything after a broken link follows from it
            walk.take(event)
            report.events += 1
            if event.type in fields:
                for digest in _digests(event.body(), fields[event.type]):
                    cited.setdefault(digest, (origin, event.position))
    report.heads[origin] = walk.head
    _verify_acknowledged(log, walk, report)


def _sources(ledger: Ledger, log: OriginLog, walk: _Chain, report: Report) -> Iterator[tuple[str, list[Event]]]:
    """Yield (file, events not seen yet) for each segment and the journal, in order."""
    for path in log.segment_paths():
        file = str(path.relative_to(ledger.path))
        try:
            info, events = segment.info(path), segment.read(path)
        except Damaged as error:
            report.findings.append(Finding("segment-unreadable", log.origin, file, walk.head.position + 1,
                                           error.message))
            return
        report.segments += 1
        named = segment.first_of(path.name)
        if not events or named != info.first:
            report.findings.append(Finding("segment-name", log.origin, file, walk.head.position + 1,
                                           f"named {named}, says it begins at {info.first}"))
            return
        held = (events[0].position, events[-1].position, events[0].prev_hash, events[-1].hash, events[0].origin)
        if held != (info.first, info.last, info.prev_hash, info.head_hash, info.origin):
            report.findings.append(Finding("segment-metadata", log.origin, file, events[0].position,
                                           "its metadata does not match its events"))
        yield file, events
    file = str(log.journal_path.relative_to(ledger.path))
    try:
        tail = journal.read(log.journal_path)
    except Damaged as error:
        report.findings.append(Finding("journal-line", log.origin, file, error.details.get("position"), error.message))
        return
    if tail.torn:
        report.notes.append(f"{file}: {len(tail.torn)} bytes of an unfinished write at the end; "
                            "the next append sets them aside")
    both = [e for e in tail.events if e.position <= walk.head.position]
    if both and both[-1].position == walk.head.position and both[-1].hash != walk.head.hash:
        report.findings.append(Finding("twice-different", log.origin, file, both[-1].position,
                                       f"position {both[-1].position} differs between the journal and a segment"))
        return
    yield file, tail.events[len(both):]


def _verify_acknowledged(log: OriginLog, walk: _Chain, report: Report) -> None:
    """The derived index never leads the log: where it does, acknowledged events are gone."""
    known = log.acknowledged()
    if known is not None and known.position > walk.head.position:
        report.findings.append(Finding("log-cut", log.origin, f"log/{log.origin}", walk.head.position + 1,
                                       f"the log ends at {walk.head.position}, position {known.position} was "
                                       "acknowledged"))
    elif known is not None and known.position == walk.head.position and known.hash != walk.head.hash:
        report.findings.append(Finding("log-cut", log.origin, f"log/{log.origin}", walk.head.position,
                                       f"position {known.position} is not the event that was acknowledged"))


def _verify_pulls(ledger: Ledger, report: Report) -> None:
    for event in ledger.read(origin=ledger.origin, types=["EventsPulled"]) if ledger.origin in report.heads else ():
        body = event.body()
        origin, last = body["from_origin"], body["last"]
        _verify_checkpoint(ledger, origin, Head(last, body["head_hash"]), report, rule="pull-mismatch")


def _verify_checkpoint(ledger: Ledger, origin: str, known: Head, report: Report, *, rule: str = "log-cut") -> None:
    head = report.heads.get(origin)
    file = f"log/{origin}"
    if head is None:
        if not any(f.origin == origin for f in report.findings):
            report.findings.append(Finding(rule, origin, file, 1, f"the log of {origin} is gone"))
        return
    if known.position > head.position:
        report.findings.append(Finding(rule, origin, file, head.position + 1,
                                       f"the log ends at {head.position}, a checkpoint saw position {known.position}"))
    elif known.position and ledger.log_of(origin).at(known.position).hash != known.hash:
        report.findings.append(Finding(rule, origin, file, known.position,
                                       f"position {known.position} is not the event a checkpoint saw"))


def _verify_evidence(ledger: Ledger, report: Report, cited: dict[str, tuple[str, int]]) -> None:
    good: set[str] = set()
    for item in ledger.evidence.check():
        if isinstance(item, Problem):
            where = cited.get(item.digest)
            report.findings.append(Finding("evidence-changed", where[0] if where else "", f"evidence/{item.place}",
                                           where[1] if where else None, f"evidence {item.digest[:12]}: {item.reason}"))
        else:
            good.add(item)
    report.blobs = len(good)
    changed = {f.message.split()[1].rstrip(":") for f in report.findings if f.rule == "evidence-changed"}
    for digest, (origin, position) in cited.items():
        if digest in good or digest[:12] in changed or origin != ledger.origin:
            continue
        report.findings.append(Finding("evidence-missing", origin, "evidence", position,
                                       f"position {position} cites evidence {digest[:12]}, which is not here"))


def _evidence_fields() -> dict[str, list[tuple[str, ...]]]:
    """Return, by event type, the paths of payload fields that cite evidence (see `ledger.event.Evidence`)."""
    return {name: paths for name, kind in load_catalogue().items() if (paths := evidence_paths(kind.payload))}


def _digests(body: Any, paths: list[tuple[str, ...]]) -> Iterator[str]:
    for path in paths:
        yield from _follow(body, path)


def _follow(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _follow(item, path)
    elif isinstance(value, dict) and path and path[0] == "*":
        for item in value.values():
            yield from _follow(item, path[1:])
    elif not path:
        if isinstance(value, str) and value:
            yield value
    elif isinstance(value, dict):
        yield from _follow(value.get(path[0]), path[1:])
