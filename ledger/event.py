"""An event: its envelope, before and after it is appended, and the canonical bytes of its payload.

The stored payload is canonical JSON and is never rewritten; its class (`ledger.event_types`) is how code reads and
writes it. What this version cannot read (`ledger.readable`) is kept and passed over, never dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from ledger import canonical
from ledger.errors import BadInput
from ledger.event_types import EventPayload as EventPayload
from ledger.event_types import EventType as EventType
from ledger.event_types import event_type as event_type
from ledger.event_types import known_type as known_type
from ledger.event_types import load_catalogue as load_catalogue
from ledger.event_types import type_of as type_of
from ledger.event_types import upcast as upcast
from ledger.outside.redaction import clean_urls
from ledger.readable import UNKNOWN_TYPE, Unreadable, payload_of, why_unreadable

GENESIS_HASH = "0" * 64


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event before it is appended.

    `key` is the idempotency key: the same key appended twice to one origin is one event. `event_id`
    is given only by a retry that must not double an earlier attempt; else the log makes one.
    """

    stream: str
    payload: EventPayload
    key: str | None = None
    event_id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    git_sha: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A committed event: the envelope, with the payload still as canonical JSON.

    `position` counts 1, 2, 3, ... without gaps per origin, `version` per stream within its origin.
    `recorded_at` is ISO 8601 UTC with six decimals and `Z`, strictly increasing per origin.
    `hash` is the SHA-256 of the canonical JSON of all other fields, `prev_hash` that of position - 1.
    """

    actor: str
    causation_id: str | None
    correlation_id: str | None
    event_id: str
    git_sha: str | None
    hash: str
    host: str
    key: str | None
    origin: str
    payload: msgspec.Raw
    position: int
    prev_hash: str
    recorded_at: str
    schema_version: int
    stream: str
    type: str
    version: int

    def body(self) -> dict[str, Any]:
        """Return the payload as plain values, upcast to the newest schema this version knows."""
        raw: dict[str, Any] = canonical.decode(bytes(self.payload))
        return upcast(self.type, self.schema_version, raw)

    def typed(self) -> EventPayload:
        """Return the payload as its class. Raises `BadInput` for an event this version cannot read."""
        try:
            return payload_of(self.type, self.schema_version, bytes(self.payload))
        except Unreadable as fault:
            if fault.reason == UNKNOWN_TYPE:
                raise BadInput(
                    f"event {self.event_id} has the type {self.type}, which this version does not know",
                    code="unknown_event_type",
                    hint="upgrade perfledger; the event is kept as it is",
                ) from None
            raise BadInput(
                f"event {self.event_id} of type {self.type} cannot be read: {fault.detail}",
                code="unreadable_event",
                hint=f"upgrade perfledger, or look at it: perfledger events show {self.event_id}",
            ) from None

    def why_unreadable(self) -> Unreadable | None:
        """Return why this version cannot read the event, None when it can."""
        return why_unreadable(self.type, self.schema_version, bytes(self.payload))

    def as_dict(self) -> dict[str, Any]:
        """Return the envelope and payload as plain JSON values; a payload that no reader takes is its text."""
        row = {name: getattr(self, name) for name in self.__struct_fields__}
        raw = bytes(self.payload)
        try:
            row["payload"] = canonical.decode(raw)
            if canonical.is_exceptional(raw):
                canonical.check_limits(row["payload"])
        except (msgspec.MsgspecError, UnicodeError, RecursionError, BadInput):
            row["payload"] = raw.decode(errors="replace")
        return row


def encode_payload(payload: EventPayload) -> bytes:
    """Return the canonical bytes of a payload, checked against its own types.

    A URL loses the credentials it holds: what is appended is kept for ever, and pushed.

    Raises `BadInput` naming the type and field when a value does not fit.
    """
    name = type_of(payload).name
    try:
        return clean_urls(_encoded(payload))
    except msgspec.ValidationError as error:
        raise BadInput(f"{name}: {error}", code="bad_payload", type=name) from None
    except BadInput as error:
        raise BadInput(f"{name}: {error.message}", code=error.code, hint=error.hint, **error.details) from None


def _encoded(payload: EventPayload) -> bytes:
    data = canonical.encode_unchecked(payload)
    try:
        back = msgspec.json.decode(data, type=type(payload))
    except msgspec.ValidationError:
        canonical.check_storable(payload)  # NaN reads back as null: name it rather than the null
        raise
    if back != payload or canonical.is_exceptional(data):
        canonical.check_storable(payload)  # rare: what reads back as itself needs no walk through its values
        canonical.check_limits(canonical.decode(data))
    return data


def recorded_order(event: Event) -> tuple[str, str, int]:
    """Return what events of several origins are sorted by: when they were recorded, then origin and position."""
    return event.recorded_at, event.origin, event.position


# A field of this type cites the evidence store: `verify` demands that the piece is there, a push brings it along.
Evidence = Annotated[str, msgspec.Meta(extra={"evidence": True}, pattern="^([0-9a-f]{64})?$")]


def evidence_paths(payload: type[msgspec.Struct]) -> list[tuple[str, ...]]:
    """Return the paths of `Evidence` fields in a payload class; `*` means any key of an object."""
    found: list[tuple[str, ...]] = []
    for field, kind in get_type_hints(payload, include_extras=True).items():
        found += [(field, *rest) for rest in _evidence_in(kind)]
    return found


def _evidence_in(kind: Any) -> Iterator[tuple[str, ...]]:
    if get_origin(kind) is Annotated:
        metas = [m for m in get_args(kind)[1:] if isinstance(m, msgspec.Meta)]
        if any((m.extra or {}).get("evidence") for m in metas):
            yield ()
        return
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from evidence_paths(kind)
        return
    origin, args = get_origin(kind), get_args(kind)
    if origin is dict and len(args) == 2:
        yield from (("*", *rest) for rest in _evidence_in(args[1]))
        return
    for argument in args:
        yield from _evidence_in(argument)


def iter_fields(payload: type[EventPayload]) -> Iterator[tuple[str, str]]:
    """Yield (name, type as the class writes it) of each field of a payload class, for the catalogue page."""
    written: dict[str, str] = {}
    for kind in reversed(payload.__mro__):
        written |= {name: str(text) for name, text in getattr(kind, "__annotations__", {}).items()}
    for field in msgspec.structs.fields(payload):
        yield field.encode_name, written[field.name]
