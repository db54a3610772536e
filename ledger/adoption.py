"""Adopt another origin's sealed segments: they must hold to every rule of `verify` before they count.

The segments are put in place first and announced by an `EventsPulled` event of our own after that; events
of another origin count from that event on. A crash in between leaves segments that the next pull announces.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger import disk
from ledger.errors import BadInput, Conflict, Damaged
from ledger.event import NewEvent
from ledger.events.origins import EventsPulled
from ledger.log import lock, segment
from ledger.log.parquet_pages import TooMuch
from ledger.verification.border import Border
from ledger.verification.rules import Finding

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from ledger.remotes.hub_access import HubAddress


def adopt(
    ledger: Ledger, origin: str, staged: Iterable[Path], *, remote: str, address: HubAddress | None = None
) -> EventsPulled | None:
    """Verify staged segments of another origin, put them into the log and announce them.

    staged: segment files in position order, each verified before the next is asked for; those we hold already are
    passed over. They lie on the ledger's file system. address: of the Hub that the remote is at.

    Returns what was announced, None when there was nothing new. Raises `Conflict` (`forked_origin`) when the origin
    has two histories, `Damaged` (`origin_refused`, with the `rule`) when one breaks a rule; nothing is taken in then.
    """
    if origin == ledger.origin:
        raise BadInput(f"{origin} is this ledger's own origin", code="own_origin", hint="perfledger sync push")
    folder = ledger.path / "log" / origin
    disk.make_directory(folder)
    with lock.exclusive(folder / "lock"):
        held = ledger.log_of(origin).segment_paths()
        border = Border(folder, origin, held)
        fresh: list[Path] = []
        for path in staged:
            if fresh or not _is_held(path, origin, border.head.position, held):
                _take(border, path, origin, ours=not fresh)
                fresh.append(path)
        if fresh and (finding := border.last()) is not None:
            raise refusal(finding)
        for path in fresh:
            disk.put_file_if_absent(folder / path.name, path)
        if fresh:
            border.keep()
    source = {"remote": remote, **(asdict(address) if address else {})}
    return _announce(ledger, origin, last=border.head.position, head_hash=border.head.hash, source=source)


def refusal(finding: Finding) -> Damaged:
    """Return the error of an origin that breaks a rule; nothing of it is taken in."""
    return Damaged(
        f"{finding.origin} is refused: {finding.file}: {finding.message}",
        code="origin_refused",
        hint="`perfledger verify` on the machine that writes it names all that is wrong",
        rule=finding.rule,
        origin=finding.origin,
        position=finding.position,
        file=finding.file,
    )


def _is_held(path: Path, origin: str, position: int, held: Sequence[Path]) -> bool:
    """Whether a staged segment holds only positions that we have. Raises `Conflict` when it says they are others."""
    info = _about(path, origin, position)
    if info.last > position:
        return False
    _refuse_fork(info, held)
    return True


def _take(border: Border, path: Path, origin: str, *, ours: bool) -> None:
    """Verify a segment that must follow what is held and taken so far.

    ours: what it must follow is held, so that one that follows something else is of another history.
    """
    before = border.head
    info = _about(path, origin, before.position)
    if ours and info.first <= before.position:
        raise _fork(origin, info.first)
    if info.first != before.position + 1:
        message = f"begins at {info.first}, after position {before.position}"
        raise refusal(Finding("position-gap", origin, f"log/{origin}/{path.name}", before.position + 1, message))
    finding = border.take(path)
    if finding is None:
        return
    if ours and before.position and (finding.rule, finding.position) == ("chain-broken", info.first):
        raise _fork(origin, info.first)
    raise refusal(finding)


def _about(path: Path, origin: str, position: int) -> segment.SegmentInfo:
    """Return what a staged segment says of itself. Raises `Damaged` when it is not a segment of this origin."""
    file = f"log/{origin}/{path.name}"
    try:
        segment.refuse_bomb(path)
        info = segment.info(path)
    except TooMuch as error:
        raise refusal(Finding("segment-unreadable", origin, file, position + 1, str(error))) from None
    except Damaged as error:
        raise refusal(Finding("segment-unreadable", origin, file, position + 1, error.message)) from None
    if info.origin != origin:
        message = f"it belongs to {info.origin}"
        raise refusal(Finding("foreign-origin", origin, file, position + 1, message))
    return info


def _refuse_fork(info: segment.SegmentInfo, held: Sequence[Path]) -> None:
    """The same positions must be the same events, however they are cut into segments."""
    ours = segment.info([path for path in held if (segment.first_of(path.name) or 0) <= info.last][-1])
    if ours.last == info.last:
        same = ours.head_hash == info.head_hash
    else:
        event = segment.read(ours.path, position=info.last)
        same = bool(event) and event[0].hash == info.head_hash
    if not same:
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
            for e in ledger.read_counted(origin=ledger.origin, types=["EventsPulled"])
            if e.body()["from_origin"] == origin
        ),
        default=0,
    )
    if last <= announced:
        return None
    pulled = EventsPulled(from_origin=origin, first=announced + 1, last=last, head_hash=head_hash, **source)
    newest = ledger.log_of(origin).at(last).recorded_at
    event = NewEvent(stream=f"origin/{origin}", key=f"pulled/{origin}/{last}/{head_hash}", payload=pulled)
    ledger.append([event], not_before=newest)
    return pulled
