"""Which repeats are set aside, and the events that say so."""

from __future__ import annotations

import msgspec

from ledger.event import NewEvent
from ledger.events.calibrations import RepeatPurged
from projections.calibration.session import Session, Unit


class Purge(msgspec.Struct, frozen=True):
    """One repeat of one unit to set aside, and why."""

    unit: Unit
    repeat: int
    reason: str


def purge_events(session: Session, purges: list[Purge]) -> list[NewEvent]:
    """The events of purges, one for each unit and repeat."""
    return [
        NewEvent(
            stream=session.stream,
            payload=RepeatPurged(
                session=session.id,
                unit=p.unit.name,
                repeat=p.repeat,
                stages=list(p.unit.keys),
                reason=p.reason,
            ),
        )
        for p in purges
    ]
