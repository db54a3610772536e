"""Verifying one segment: the same code for what lies in the ledger and for what a pull brings."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable, Iterator
from pathlib import Path

from ledger.errors import Damaged
from ledger.event import Event
from ledger.log import segment
from ledger.verification import columns as verify_columns
from ledger.verification.rules import Finding, Report, Walk


@contextlib.contextmanager
def collector_off() -> Iterator[None]:
    """Hold Python's search for cycles: decoded JSON has none, and looking for them took a seventh of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def verify_segment(path: Path, file: str, walk: Walk, report: Report) -> bool:
    """Verify one segment, called `file` in findings, and carry the walk on.

    Returns whether the walk can go on: nothing after a broken link can be judged.
    """

    def found(rule: str, position: int, message: str) -> None:
        report.findings.append(Finding(rule, walk.origin, file, position, message))

    before = len(report.findings)
    whole = segment.is_whole(path.read_bytes())
    try:
        info = segment.info(path)
        fast = verify_columns.check(path, info, walk) if whole else None
        events = segment.read(path) if fast is None else []
    except Damaged as error:
        found("segment-unreadable", walk.head.position + 1, error.message)
        return False
    report.segments += 1
    if fast is not None:
        report.events += fast
        return True
    named = segment.first_of(path.name)
    if not events or named != info.first:
        found("segment-name", walk.head.position + 1, f"named {named}, says it begins at {info.first}")
        return False
    held = (events[0].position, events[-1].position, events[0].prev_hash, events[-1].hash, events[0].origin)
    if held != (info.first, info.last, info.prev_hash, info.head_hash, info.origin):
        found("segment-metadata", events[0].position, "its metadata does not match its events")
    if not verify_events(events, file, walk, report):
        return False
    if not whole and len(report.findings) == before:
        found("segment-bytes", info.first, f"its bytes changed; the events {info.first} to {info.last} in it did not")
    return True


def verify_events(events: Iterable[Event], file: str, walk: Walk, report: Report) -> bool:
    """Verify events one by one, and carry the walk on. Returns whether the walk can go on."""
    for event in events:
        wrong = walk.broken(event)
        if wrong:
            position = walk.head.position + 1 if wrong[0] == "position-gap" else event.position
            message = f"position {event.position}: {wrong[1]}"
            report.findings.append(Finding(wrong[0], walk.origin, file, position, message))
            if wrong[0] in ("position-gap", "foreign-origin", "hash-wrong", "chain-broken"):
                return False  # everything after a broken link follows from it
        walk.take(event)
        report.events += 1
    return True


def id_used_twice(event_id: str, origin: str, paths: Iterable[Path], tail: Iterable[Event] = ()) -> Finding:
    """Name the second use of an id that columns showed twice, among segments and the events after them."""
    positions = sorted(
        {e.position for p in paths for e in segment.read(p, event_id=event_id)}
        | {e.position for e in tail if e.event_id == event_id}
    )
    return Finding(
        "event-id-twice",
        origin,
        f"log/{origin}",
        positions[1] if len(positions) > 1 else None,
        f"event id {event_id} was used at positions {', '.join(map(str, positions))}",
    )
