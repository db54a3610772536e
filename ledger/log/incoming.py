"""New events on their way into the log: encoded, checked and bounded before any lock is taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger.errors import BadInput
from ledger.event import NewEvent, encode_payload, type_of

APPEND_EVENTS_MAX = 100_000
APPEND_BYTES_MAX = 64 * 2**20
EVENT_BYTES_MAX = 2**20


class Receipt(NamedTuple):
    """What an append says of each event: where it is, and whether it was there already."""

    position: int
    event_id: str
    recorded_at: str
    duplicate: bool = False


class Prepared(NamedTuple):
    """A new event with its payload as canonical bytes."""

    new: NewEvent
    type: str
    schema_version: int
    payload: bytes


TWIN = Receipt(0, "", "", duplicate=True)  # for an event whose key came earlier in the same append


def prepare(new: Sequence[NewEvent]) -> list[Prepared]:
    """Encode and check payloads. Raises `BadInput` for what does not fit an event or an append."""
    if len(new) > APPEND_EVENTS_MAX:
        raise BadInput(f"{len(new):,} events in one append; at most {APPEND_EVENTS_MAX:,}", code="append_too_large")
    prepared = []
    total = 0
    for item in new:
        data = encode_payload(item.payload)
        total += len(data)
        kind = type_of(item.payload)
        if len(data) > EVENT_BYTES_MAX:
            raise BadInput(
                f"{kind.name} on {item.stream}: payload of {len(data):,} bytes; at most {EVENT_BYTES_MAX:,}",
                code="event_too_large",
                hint="put large content into evidence and cite its digest",
            )
        if item.event_id is not None and len(item.event_id) != 36:
            raise BadInput(f"event id {item.event_id!r} is not a UUID", code="bad_event_id")
        prepared.append(Prepared(item, kind.name, kind.schema_version, data))
    if total > APPEND_BYTES_MAX:
        raise BadInput(f"{total:,} payload bytes in one append; at most {APPEND_BYTES_MAX:,}", code="append_too_large")
    return prepared


def resolve_twins(receipts: Sequence[Receipt], prepared: Sequence[Prepared]) -> list[Receipt]:
    """Give events whose key came twice in one append the receipt of the first of them."""
    if not any(r is TWIN for r in receipts):
        return list(receipts)
    first = {item.new.key: r for item, r in zip(prepared, receipts, strict=True) if r is not TWIN}
    return [
        first[item.new.key]._replace(duplicate=True) if r is TWIN else r
        for item, r in zip(prepared, receipts, strict=True)
    ]
