"""Events that were not recorded, as a session may suppose them: what would hold if they were."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ledger.event import Event, NewEvent, encode_payload, load_catalogue
from ledger.identifiers import format_time, next_time

if TYPE_CHECKING:
    from ledger.ledger import Ledger

FIRST = 2**62  # beyond every position of a log


def supposed(events: Sequence[NewEvent], ledger: Ledger) -> list[Event]:
    """Return events as if a ledger had recorded them just now, after all it has. They have no hashes."""
    versions = {kind.name: kind.schema_version for kind in load_catalogue().values()}
    now = format_time(next_time(ledger.head().recorded_us))
    return [
        Event(
            actor="",
            causation_id=None,
            correlation_id=None,
            event_id=str(uuid.UUID(int=FIRST + index)),
            git_sha=event.git_sha,
            hash="",
            host="",
            key=event.key,
            origin=ledger.origin,
            payload=msgspec.Raw(encode_payload(event.payload)),
            position=FIRST + index,
            prev_hash="",
            recorded_at=now,
            schema_version=versions[type(event.payload).__name__],
            stream=event.stream,
            type=type(event.payload).__name__,
            version=FIRST + index,
        )
        for index, event in enumerate(events)
    ]
