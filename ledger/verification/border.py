"""The border: every rule of `verify` that another origin's log can break, held against what a pull brings.

A walk goes on where the segments that are held end: it needs every event id and every stream's last version so far.
They are kept beside the log in `walk`, a derived file. It is made again from the segments when it is missing,
damaged, or says something else than they do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from ledger import disk
from ledger.errors import Damaged
from ledger.identifiers import format_time
from ledger.log import segment
from ledger.log.heads import Head
from ledger.verification.rules import Finding, Report, Walk
from ledger.verification.segments import collector_off, id_used_twice, verify_segment

NAME = "walk"
FORMAT = 1
ID_BYTES = 16


class _Kept(msgspec.Struct):
    """The first line of `walk`; 16 bytes for each event follow it. `digest` is of those bytes and of `streams`."""

    format: int
    position: int
    hash: str
    recorded_us: int
    streams: dict[str, int]
    digest: str


class Border:
    """The walk over one origin of another ledger: behind it what is held, before it what is to be taken in."""

    def __init__(self, folder: Path, origin: str, held: Sequence[Path]) -> None:
        self._folder = folder
        self._held = held
        self._walk = Walk(origin, fields={})
        self._taken: list[Path] = []
        _go_on(self._walk, folder, held)

    @property
    def head(self) -> Head:
        """Where what is held and taken so far ends."""
        return self._walk.head

    def take(self, path: Path) -> Finding | None:
        """Verify the next segment, which lies aside under its own name. Returns the first broken rule."""
        report = Report()
        with collector_off():
            verify_segment(path, f"log/{self._walk.origin}/{path.name}", self._walk, report)
        self._taken.append(path)
        return report.findings[0] if report.findings else None

    def last(self) -> Finding | None:
        """Return what can only be said of all events together: an id that was used twice, also by a held event."""
        twice = self._walk.ids.twice()
        return id_used_twice(twice, self._walk.origin, [*self._held, *self._taken]) if twice else None

    def keep(self) -> None:
        """Note how far the walk has come, once its segments are in the log."""
        walk = self._walk
        ids = walk.ids.packed()
        digest = _digest(ids, walk.versions)
        head = walk.head
        first = msgspec.json.encode(_Kept(FORMAT, head.position, head.hash, head.recorded_us, walk.versions, digest))
        with contextlib.suppress(OSError):  # derived
            disk.overwrite(self._folder / NAME, first + b"\n" + ids)


def _digest(ids: bytes, streams: dict[str, int]) -> str:
    return sha256(ids + msgspec.json.encode(streams)).hexdigest()


def _go_on(walk: Walk, folder: Path, held: Sequence[Path]) -> None:
    """Bring a new walk to the end of the held segments. They were verified when they came."""
    _recall(walk, folder, held)
    for path in held:
        if (segment.first_of(path.name) or 0) <= walk.head.position:
            continue
        found = segment.columns(path, ("stream", "version", "event_id", "recorded_at", "hash", "position"))
        if not found["position"] or found["position"][0] != walk.head.position + 1:
            raise Damaged(
                f"the log of {walk.origin} misses the events from position {walk.head.position + 1} on, and has "
                "later ones; nothing was taken in",
                code="gap",
                hint="perfledger verify",
                position=walk.head.position + 1,
            )
        walk.versions.update(zip(found["stream"], found["version"], strict=True))
        walk.ids.add(found["event_id"])
        walk.head = Head(found["position"][-1], found["hash"][-1].hex(), found["recorded_at"][-1])
        walk.last_time = format_time(walk.head.recorded_us)


def _recall(walk: Walk, folder: Path, held: Sequence[Path]) -> None:
    """Take up what an earlier pull kept, if the held segments end a segment just there with the same hash."""
    try:
        first, _, ids = (folder / NAME).read_bytes().partition(b"\n")
        kept = msgspec.json.decode(first, type=_Kept)
        if kept.format != FORMAT or len(ids) != ID_BYTES * kept.position or kept.digest != _digest(ids, kept.streams):
            return
        ends = [path for path in held if (segment.first_of(path.name) or 0) <= kept.position][-1:]
        info = segment.info(ends[0]) if ends else None
        if info is None or (info.last, info.head_hash) != (kept.position, kept.hash):
            return
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, Damaged):
        return
    walk.head = Head(kept.position, kept.hash, kept.recorded_us)
    walk.last_time = format_time(kept.recorded_us)
    walk.versions.update(kept.streams)
    walk.ids.add_packed(ids)
