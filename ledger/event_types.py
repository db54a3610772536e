"""The registry of event types, and the upcasting of old payloads.

An event type is a frozen `EventPayload` class in `ledger/events/`, registered by the `event_type` decorator.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec


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


def known_type(name: str) -> EventType | None:
    """Return the registered type of a name, None when this version does not know it."""
    if name not in _REGISTRY:
        _load_catalogue_once()
    return _REGISTRY.get(name)


def registered() -> list[EventType]:
    """Return the types that are registered so far; those of catalogue modules not imported yet are missing."""
    return list(_REGISTRY.values())


@functools.cache
def _load_catalogue_once() -> None:
    load_catalogue()


def type_of(payload: EventPayload) -> EventType:
    """Return the registered type of a payload instance."""
    name = type(payload).__name__
    assert name in _REGISTRY, f"{name} is not registered with @event_type"
    return _REGISTRY[name]


def upcast(name: str, schema_version: int, payload: dict[str, Any]) -> dict[str, Any]:
    """Bring a payload of an older schema version to the current one; newer ones are left as they are."""
    known = _REGISTRY.get(name)
    if known is None:
        return payload
    for version in range(schema_version, known.schema_version):
        payload = known.upcasters[version](payload)
    return payload
