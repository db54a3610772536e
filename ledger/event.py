"""The envelope of an event, the registry of event types, and the upcasting of old payloads.

An event type is a frozen `EventPayload` class in `ledger/events/`, registered by the `event_type`
decorator. The stored payload is canonical JSON and is never rewritten; the class is how code reads
and writes it. Types this version does not know are kept and passed over, never dropped.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from ledger import canonical
from ledger.errors import BadInput

GENESIS_HASH = "0" * 64


class EventPayload(msgspec.Struct, kw_only=True):
    """Base of every payload. Fields have types, defaults and units; the docstring says when it happens."""


class EventType(msgspec.Struct, frozen=True):
    """One registered type: its payload class, current schema version and upcasters by old version."""

    name: str
    payload: type[EventPayload]
    schema_version: int
    upcasters: dict[int, Callable[[dict[str, Any]], dict[str, Any]]]


_REGISTRY: dict[str, EventType] = {}
_Payload = TypeVar("_Payload", bound=type[EventPayload])

# One module per kind of stream. Commands import just the module they write; `load_catalogue` is for
# readers that need every type (the generated catalogue page, `events types`, replay with upcasting).
CATALOGUE_MODULES = (
    "results",
    "baselines",
    "thresholds",
    "reseeds",
    "calibrations",
    "observations",
    "checks",
    "policies",
    "origins",
    "uploads",
    "approvals",
)


def event_type(
    *,
    schema_version: int = 1,
    upcasters: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] | None = None,
) -> Callable[[_Payload], _Payload]:
    """Register a payload class under its own name.

    `upcasters[v]` turns a payload of schema version v into one of version v + 1; there must be one
    for every version before the current one.
    """

    def register(payload: _Payload) -> _Payload:
        name = payload.__name__
        steps = upcasters or {}
        assert sorted(steps) == list(range(1, schema_version)), (name, schema_version, sorted(steps))
        assert name not in _REGISTRY or _REGISTRY[name].payload.__module__ == payload.__module__, name
        _REGISTRY[name] = EventType(name, payload, schema_version, steps)
        return payload

    return register


def load_catalogue() -> dict[str, EventType]:
    """Import every catalogue module and return all registered types by name."""
    for module in CATALOGUE_MODULES:
        importlib.import_module(f"{__package__}.events.{module}")
    return dict(sorted(_REGISTRY.items()))


def type_of(payload: EventPayload) -> EventType:
    """Return the registered type of a payload instance."""
    return _REGISTRY[type(payload).__name__]


def upcast(name: str, schema_version: int, payload: dict[str, Any]) -> dict[str, Any]:
    """Bring a payload of an older schema version to the current one; newer ones are left as they are."""
    known = _REGISTRY.get(name)
    if known is None:
        return payload
    for version in range(schema_version, known.schema_version):
        payload = known.upcasters[version](payload)
    return payload


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
        """Return the payload as its class. Raises `BadInput` for a type this version does not know."""
        known = _REGISTRY.get(self.type) or load_catalogue().get(self.type)
        if known is None:
            raise BadInput(
                f"event {self.event_id} has the type {self.type}, which this version does not know",
                code="unknown_event_type",
                hint="upgrade perfledger; the event is kept as it is",
            )
        return msgspec.convert(self.body(), known.payload)

    def as_dict(self) -> dict[str, Any]:
        """Return the envelope and payload as plain JSON values."""
        row = {name: getattr(self, name) for name in self.__struct_fields__}
        row["payload"] = canonical.decode(bytes(self.payload))
        return row


def encode_payload(payload: EventPayload) -> bytes:
    """Return the canonical bytes of a payload, checked against its own types.

    Raises `BadInput` naming the type and field when a value does not fit.
    """
    name = type(payload).__name__
    assert name in _REGISTRY, f"{name} is not registered with @event_type"
    try:
        return _encoded(payload)
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
    if back != payload or canonical.has_long_digits(data):
        canonical.check_storable(payload)  # rare: what reads back as itself needs no walk through its values
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
