"""Whether this version can read an event: the one rule that every projection, fold and command asks.

An event is readable when its type is known, its schema version is not newer than the class, and its payload, brought
to the newest schema, is what the class says: every field there, each of its type, numbers within 64 bits, nested no
deeper than `canonical.NESTING_MAX`. A newer schema is passed over even where it only adds fields: a field may change
what the others mean, and only the class that has it knows. Fields a known schema version does not have are ignored.

What is not readable is kept, shown by `events list`, synced and verified like any other event; nothing is concluded
from it. It counts from the moment on that a version which can read it builds the state.
"""

from __future__ import annotations

import functools
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from ledger import canonical
from ledger.errors import BadInput
from ledger.event_types import EventPayload, EventType, known_type, registered, upcast

UNKNOWN_TYPE = "unknown_type"
NEWER_SCHEMA = "newer_schema"
BAD_PAYLOAD = "bad_payload"
FROM_THE_FUTURE = "from_the_future"  # readable, but its time has not come: see `Ledger.counts`

AHEAD_MAX_US = 86_400 * 1_000_000  # another machine's clock is followed, and its events count, up to a day ahead
# Types, from a schema version on, that are ordered by what they name and not by time: no clock makes them wait.
ORDERED_BY_NAME = {
    "CiPolicyAdopted": 2,
    "MetricPolicyAdopted": 2,
    "ReseedPolicyAdopted": 1,
    "ReseedPolicyEndorsed": 1,
}


class Unreadable(Exception):
    """This version cannot read an event. reason: one of the constants above; detail: what is wrong, in a phrase."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def envelope_fault(name: str, schema_version: int) -> Unreadable | None:
    """Return why no event of this type and schema version can be read, before its payload is looked at."""
    known = known_type(name)
    if known is None:
        return Unreadable(UNKNOWN_TYPE, "this version does not know the type")
    if schema_version > known.schema_version:
        return Unreadable(NEWER_SCHEMA, f"schema version {schema_version}, this version knows {known.schema_version}")
    if schema_version < 1:
        return Unreadable(BAD_PAYLOAD, f"schema version {schema_version} does not exist")
    return None


def payload_of(name: str, schema_version: int, payload: bytes) -> EventPayload:
    """Return a stored payload as its class, in the newest schema. Raises `Unreadable`."""
    fault = envelope_fault(name, schema_version)
    if fault is not None:
        raise fault
    known = known_type(name)
    assert known is not None, name
    try:
        if canonical.is_exceptional(payload):
            canonical.check_limits(canonical.decode(payload))
        if schema_version == known.schema_version:
            found: EventPayload = _decoder(known.payload).decode(payload)
            return found
        return _lifted(known, schema_version, payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, BadInput) as error:
        raise Unreadable(BAD_PAYLOAD, _first_line(error)) from None


def why_unreadable(name: str, schema_version: int, payload: bytes) -> Unreadable | None:
    """Return why an event cannot be read, None when it can."""
    try:
        payload_of(name, schema_version, payload)
    except Unreadable as fault:
        return fault
    return None


def catalogue_digest() -> str:
    """Return the digest of what decides which events are readable: the event types that this process knows.

    A state that was made by another catalogue is built again, so that events an upgrade can read count from then on.
    Ours by their sources, because importing every type costs twenty times as much as reading them; the types of a
    program that registers its own by their names.
    """
    ours = f"{__package__}.events."
    others = sorted(
        f"{one.name} {one.schema_version}" for one in registered() if not one.payload.__module__.startswith(ours)
    )
    return sha256("\n".join([_sources_digest(), *others]).encode()).hexdigest()


@functools.cache
def _sources_digest() -> str:
    here = Path(__file__).parent
    sources = [here / "event_types.py", here / "canonical.py", Path(__file__), *sorted((here / "events").glob("*.py"))]
    return sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()


def _lifted(known: EventType, schema_version: int, payload: bytes) -> EventPayload:
    raw = canonical.decode(payload)
    if not isinstance(raw, dict):
        raise Unreadable(BAD_PAYLOAD, f"Expected `object`, got `{type(raw).__name__}`")
    try:
        lifted = upcast(known.name, schema_version, raw)
    except Exception as error:  # noqa: BLE001  (an upcaster is written for payloads that are right; this may be any)
        what = f"cannot be brought from schema version {schema_version} to {known.schema_version}"
        raise Unreadable(BAD_PAYLOAD, f"{what}: {type(error).__name__} {error}"[:200]) from None
    return msgspec.convert(lifted, known.payload)


def _first_line(error: Exception) -> str:
    text = error.message if isinstance(error, BadInput) else str(error)
    return (text.splitlines() or [type(error).__name__])[0][:200]


@functools.cache
def _decoder(payload: type[EventPayload]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(payload)
