"""Adopt another origin's sealed segments: the whole chain is verified before they count.

The segments are put in place first and announced by an `EventsPulled` event of our own after that; events
of another origin count from that event on. A crash in between leaves segments that the next pull announces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger import disk
from ledger.errors import BadInput, Conflict, Damaged
from ledger.event import GENESIS_HASH, NewEvent
from ledger.events.origins import EventsPulled
from ledger.log import chain, lock, segment

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from ledger.remotes.hub_access import HubAddress


def adopt(
    ledger: Ledger, origin: str, staged: Sequence[Path], *, remote: str, address: HubAddress | None = None
) -> EventsPulled | None:
    """Verify staged segments of another origin, put them into the log and announce them.

    staged: segment files in any order; those we hold already are passed over. address: of the Hub
    that the remote is at. Returns what was announced, None
    when there was nothing new. Raises `Conflict` (`forked_origin`) when the origin has two histories, `Damaged`
    when a segment or its chain does not verify; nothing is taken in then.
    """
    if origin == ledger.origin:
        raise BadInput(f"{origin} is this ledger's own origin", code="own_origin", hint="perfledger sync push")
    folder = ledger.path / "log" / origin
    disk.make_directory(folder)
    with lock.exclusive(folder / "lock"):
        held = [segment.info(path) for path in ledger.log_of(origin).segment_paths()]
        position, head = (held[-1].last, held[-1].head_hash) if held else (0, GENESIS_HASH)
        fresh: list[segment.SegmentInfo] = []
        for info in sorted((segment.info(path) for path in staged), key=lambda i: i.first):
            if info.origin != origin:
                raise Damaged(
                    f"{info.path.name} belongs to {info.origin}, not to {origin}",
                    code="foreign_segment",
                    hint="perfledger verify --remote",
                )
            if info.last <= position and not fresh:
                _refuse_fork(info, held)
                continue
            position, head = _verify(info, origin, position, head)
            fresh.append(info)
        for info in fresh:
            disk.put_if_absent(folder / segment.file_name(info.first), info.path.read_bytes())
    source = {"remote": remote, **(asdict(address) if address else {})}
    return _announce(ledger, origin, last=position, head_hash=head, source=source)


def _verify(info: segment.SegmentInfo, origin: str, position: int, head: str) -> tuple[int, str]:
    """Check that a segment continues the chain, event by event. Return its last position and hash."""
    if info.first <= position:
        raise _fork(origin, info.first)
    if info.first != position + 1:
        raise Damaged(
            f"{origin}: {info.path.name} begins at {info.first}, after position {position}",
            code="gap",
            hint="pull again; a segment in between is missing on the remote",
            position=position + 1,
        )
    events = segment.read(info.path)
    if events and events[0].prev_hash != head:
        raise _fork(origin, info.first)
    wrong = chain.first_break(events, position=position, prev_hash=head)
    bad = next((e.position for e in events if e.origin != origin or chain.hash_of(e) != e.hash), None)
    if not (wrong or bad) and not segment.is_whole(info.path.read_bytes()):
        wrong = "its bytes do not match the digest it holds"
    if wrong or bad is not None or not events or events[-1].hash != info.head_hash:
        raise Damaged(
            f"{origin}: {info.path.name} does not verify: {wrong or f'position {bad} is not what it was'}",
            code="chain_broken",
            hint="perfledger verify --remote",
            position=bad or position + 1,
        )
    return events[-1].position, events[-1].hash


def _refuse_fork(info: segment.SegmentInfo, held: Sequence[segment.SegmentInfo]) -> None:
    """The same positions must be the same events, however they are cut into segments."""
    for ours in held:
        if ours.last == info.last and ours.head_hash != info.head_hash:
            raise _fork(info.origin, info.first)
        if ours.first <= info.last < ours.last:
            event = segment.read(ours.path, position=info.last)
            if not event or event[0].hash != info.head_hash:
                raise _fork(info.origin, info.first)


def _fork(origin: str, position: int) -> Conflict:
    return Conflict(
        f"origin {origin} has two different histories from position {position} on; nothing was taken in",
        code="forked_origin",
        origin=origin,
        position=position,
        hint="one ledger folder was copied and both copies wrote: give one of them a new origin with "
        "`perfledger init --origin NEW` and record its later results again",
    )


def _announce(ledger: Ledger, origin: str, *, last: int, head_hash: str, source: dict[str, Any]) -> EventsPulled | None:
    announced = max(
        (
            int(e.body()["last"])
            for e in ledger.read(origin=ledger.origin, types=["EventsPulled"])
            if e.body()["from_origin"] == origin
        ),
        default=0,
    )
    if last <= announced:
        return None
    pulled = EventsPulled(from_origin=origin, first=announced + 1, last=last, head_hash=head_hash, **source)
    ledger.append([NewEvent(stream=f"origin/{origin}", key=f"pulled/{origin}/{last}/{head_hash}", payload=pulled)])
    return pulled
