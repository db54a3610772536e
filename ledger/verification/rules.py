"""The rules of a ledger, and what a walk over one origin carries from event to event."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from ledger import canonical
from ledger.errors import BadInput
from ledger.event import Event, upcast
from ledger.log import chain
from ledger.log.heads import Head, head_after

RULES = {
    "segment-unreadable": "every segment is a readable Parquet file with whole pages",
    "segment-bytes": "a segment's bytes have the SHA-256 the segment holds, also where no reader looks",
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


PULLED = "EventsPulled"


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


class Said(NamedTuple):
    """What an event's payload says of other things: evidence it cites, another origin's head."""

    position: int
    digests: list[str]
    pull: dict[str, Any] | None


class Ids:
    """All event ids of an origin, 16 bytes each, to find one that is used twice."""

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._named: set[str] = set()

    def add(self, event_ids: Sequence[str]) -> None:
        """Take in the ids of a segment."""
        self._packed.append(_packed(event_ids))

    def add_packed(self, packed: bytes) -> None:
        """Take in ids as `packed` returns them."""
        self._packed.append(packed)

    def packed(self) -> bytes:
        """Return 16 bytes for each id, in the order they were taken in."""
        return b"".join(self._packed)

    def add_one(self, event_id: str) -> bool:
        """Take in a single id. Returns False when it was taken in as a single one before."""
        if event_id in self._named:
            return False
        self._named.add(event_id)
        self._packed.append(_packed([event_id]))
        return True

    def twice(self) -> str | None:
        """Return an id that was taken in twice without `add_one` noticing, or None."""
        import pyarrow as pa
        import pyarrow.compute as pc

        everything = b"".join(self._packed)
        if not everything:
            return None
        kind = pa.binary(16)
        array = pa.Array.from_buffers(kind, len(everything) // 16, [None, pa.py_buffer(everything)])
        if len(pc.unique(array)) == len(array):
            return None
        counts = pc.value_counts(array)
        many = counts.filter(pc.greater(counts.field("counts"), 1))
        text = many[0]["values"].as_py().hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _packed(event_ids: Sequence[str]) -> bytes:
    """Return 16 bytes for each id: the UUID's own, or the start of a digest where it is no UUID."""
    try:
        packed = bytes.fromhex("".join(event_ids).replace("-", ""))
        if len(packed) == 16 * len(event_ids) and {len(e) for e in event_ids} == {36}:
            return packed
    except ValueError:
        pass
    return b"".join(
        _packed([e]) if len(e) == 36 and len(event_ids) > 1 else sha256(e.encode()).digest()[:16] for e in event_ids
    )


@dataclass
class Walk:
    """What the walk over one origin carries from event to event.

    `wanted` are positions whose hash something else vouches for; `hashes` is what was found there. `pulls` are the
    payloads of EventsPulled, `cited` maps evidence digests to the first position that cites them.
    """

    origin: str
    fields: Mapping[str, list[tuple[str, ...]]]
    wanted: frozenset[int] = frozenset()
    head: Head = field(default_factory=Head)
    last_time: str = ""
    versions: dict[str, int] = field(default_factory=dict)
    ids: Ids = field(default_factory=Ids)
    hashes: dict[int, str] = field(default_factory=dict)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    cited: dict[str, int] = field(default_factory=dict)

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
        if not self.ids.add_one(event.event_id):
            return "event-id-twice", f"event id {event.event_id} was used before"
        raw = bytes(event.payload)
        try:
            if canonical.encode(canonical.decode(raw)) != raw:
                return "payload-not-canonical", "its payload is not canonical JSON"
        except (msgspec.MsgspecError, BadInput):
            return "payload-not-canonical", "its payload is not JSON"
        except RecursionError:
            return "payload-not-canonical", "its payload is nested too deeply to be read"
        return None

    def take(self, event: Event) -> None:
        """Go on to the next event, whatever was wrong with this one."""
        self.head = head_after([event])
        self.last_time = event.recorded_at
        self.versions[event.stream] = event.version
        if event.position in self.wanted:
            self.hashes[event.position] = event.hash
        with contextlib.suppress(msgspec.MsgspecError, RecursionError):  # named by its own rule already
            said = self.said(event.type, event.schema_version, event.position, bytes(event.payload))
            if said is not None:
                self.note(said)

    def said(self, kind: str, schema_version: int, position: int, body: Any) -> Said | None:
        """Return what a payload (as bytes or decoded) says of other things; None when that is nothing.

        A payload of another shape than its type has says nothing: projections pass over it, and say so.
        """
        if kind not in self.fields and kind != PULLED:
            return None
        if isinstance(body, bytes):
            body = canonical.decode(body)
        try:
            body = upcast(kind, schema_version, body)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        digests = list(_digests(body, self.fields.get(kind, [])))
        pull = body if kind == PULLED and _is_pull(body) else None
        return Said(position, digests, pull) if digests or pull else None

    def note(self, said: Said) -> None:
        """Remember what an event said of other things."""
        if said.pull is not None:
            self.pulls.append(said.pull)
        for digest in said.digests:
            self.cited.setdefault(digest, said.position)


def _is_pull(body: Any) -> bool:
    types = {"from_origin": str, "last": int, "head_hash": str}
    return isinstance(body, dict) and all(isinstance(body.get(name), kind) for name, kind in types.items())


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
