"""Payloads of every event type that this version cannot read, made from the classes of the catalogue.

A new type is covered by itself. What is wrong is known by construction, not by asking the code under test.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from ledger.event import Event, EventType, load_catalogue
from ledger.identifiers import format_time
from ledger.ledger import Ledger
from ledger.log import chain, segment

HUGE = 10**30
DEEP = 400


@dataclass(frozen=True)
class Spoilt:
    """An event that cannot be read: its type, its schema version, its payload's bytes and why, as the view says it."""

    type: str
    schema_version: int
    payload: bytes
    reason: str
    how: str


def sample(kind: type[msgspec.Struct], named: dict[str, Any] | None = None) -> dict[str, Any]:
    """A valid payload of a class, every field given. named: values of fields by name, where they fit."""
    found = inspect.type_info(kind)
    assert isinstance(found, inspect.StructType)
    return _struct(found, named or {})


def _struct(kind: inspect.StructType, named: dict[str, Any]) -> dict[str, Any]:
    return {
        field.encode_name: named[field.encode_name]
        if isinstance(field.type, inspect.StrType) and field.encode_name in named
        else _value(field.type, named)
        for field in kind.fields
    }


def _value(kind: inspect.Type, named: dict[str, Any]) -> Any:
    kind = _bare(kind)
    match kind:
        case inspect.StructType():
            return _struct(kind, named)
        case inspect.StrType():
            return "" if kind.pattern else "text"
        case inspect.IntType():
            return 1
        case inspect.FloatType():
            return 1.5
        case inspect.BoolType():
            return True
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.UnionType():
            return _value(kind.types[0], named)
        case inspect.DictType():
            return {"latency": _value(kind.value_type, named)}
        case inspect.ListType() | inspect.VarTupleType():
            return [_value(kind.item_type, named)]
        case inspect.TupleType():
            return [_value(item, named) for item in kind.item_types]
        case inspect.AnyType():
            return "anything"
        case inspect.NoneType():
            return None
    raise AssertionError(f"no sample for {kind}")


def _bare(kind: inspect.Type) -> inspect.Type:
    """A type without what the catalogue notes about it; `object` is any."""
    if isinstance(kind, inspect.CustomType) and kind.cls is object:
        return inspect.AnyType()
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _options(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    kind = _bare(kind)
    return tuple(map(_bare, kind.types)) if isinstance(kind, inspect.UnionType) else (kind,)


def _wrong(kind: inspect.Type) -> Iterator[tuple[str, Any]]:
    """Values that a field of a type cannot have: of another type, null, a text for a number."""
    options = _options(kind)
    if any(isinstance(option, inspect.AnyType) for option in options):
        return
    holds = {type(option) for option in options}
    if inspect.NoneType not in holds:
        yield "null", None
    if not holds & {inspect.StrType, inspect.LiteralType}:
        yield "text", "NaN"
    if not holds & {inspect.IntType, inspect.FloatType}:
        yield "number", 7
    if inspect.FloatType not in holds and inspect.IntType in holds:
        yield "fraction", 1.5
    if inspect.BoolType not in holds:
        yield "flag", True
    if not holds & {inspect.ListType, inspect.VarTupleType, inspect.TupleType}:
        yield "array", [1]
    if not holds & {inspect.DictType, inspect.StructType}:
        yield "object", {"a": 1}
    for option in options:
        if isinstance(option, inspect.DictType):
            yield from (("wrong inside", {"latency": value}) for _, value in list(_wrong(option.value_type))[:1])
        if isinstance(option, inspect.StructType) and any(field.required for field in option.fields):
            yield "gap inside", {}
        if isinstance(option, inspect.ListType):
            yield from (("wrong inside", [value]) for _, value in list(_wrong(option.item_type))[:1])


def canonical_ones(kind: EventType, named: dict[str, Any] | None = None) -> Iterator[Spoilt]:
    """Payloads of one type that a pull takes in, for they are canonical JSON, and that cannot be read."""
    whole = sample(kind.payload, named)
    now, newer = kind.schema_version, kind.schema_version + 1
    first = next(iter(whole))

    def made(payload: Any, version: int, reason: str, how: str) -> Spoilt:
        text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return Spoilt(kind.name, version, text.encode(), reason, f"{kind.name}@{version}: {how}")

    yield made(whole, newer, "newer_schema", "as it is")
    yield made({k: v for k, v in whole.items() if k != first}, newer, "newer_schema", f"without {first}")
    yield made({**whole, "zz_new": {"a": [1]}}, newer, "newer_schema", "with a field more")
    yield made({**whole, first: [[whole[first]]]}, newer, "newer_schema", f"{first} of another type")
    for text in ([], 5, "text", None, [whole]):
        yield made(text, now, "bad_payload", f"{text!r:.20} instead of an object")
    found = inspect.type_info(kind.payload)
    assert isinstance(found, inspect.StructType)
    for field in found.fields:
        name = field.encode_name
        if field.required:
            yield made({k: v for k, v in whole.items() if k != name}, now, "bad_payload", f"without {name}")
        for how, value in _wrong(field.type):
            yield made({**whole, name: value}, now, "bad_payload", f"{name}: {how}")
    yield made({**whole, "zz_deep": _nested(DEEP)}, now, "bad_payload", "nested too deep")
    for version in range(1, now):
        yield made({"zz": 1}, version, "bad_payload", "an old one with nothing in it")
        yield made([1], version, "bad_payload", "an old one that is an array")


def _nested(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


def other_ones(kind: EventType) -> Iterator[Spoilt]:
    """Payloads of one type that are no canonical JSON, as an earlier version's pull may have taken them in."""
    whole = sample(kind.payload)
    found = inspect.type_info(kind.payload)
    assert isinstance(found, inspect.StructType)
    for field in found.fields:
        holds = {type(option) for option in _options(field.type)}
        if holds & {inspect.IntType, inspect.FloatType, inspect.AnyType, inspect.DictType}:
            large: Any = HUGE if holds & {inspect.IntType, inspect.FloatType} else {"n": HUGE}
            text = json.dumps({**whole, field.encode_name: large}, sort_keys=True)
            how = f"{kind.name}: {field.encode_name} has an integer outside 64 bits"
            yield Spoilt(kind.name, kind.schema_version, text.encode(), "bad_payload", how)
    name = next(iter(whole))
    given = {key: value for key, value in whole.items() if key != name}
    rest = json.dumps(given)[1:-1]
    for how, value in {
        "NaN": "NaN",
        "infinite": "1e400",
        "half a surrogate": '"\\ud800"',
        "half a surrogate, the other one": '"\\udc00x"',
        "cut short": '"',
        "nested without end": "[" * 50_000 + "]" * 50_000,
    }.items():
        text = f'{{"{name}":{value}{"," if rest else ""}{rest}}}'
        yield Spoilt(kind.name, kind.schema_version, text.encode(), "bad_payload", f"{kind.name}: {name} is {how}")
    yield Spoilt(kind.name, kind.schema_version, b"", "bad_payload", f"{kind.name}: nothing at all")


def unknown_ones() -> Iterator[Spoilt]:
    """Events of types that no version knows."""
    for name, version in (("DreamDreamt", 1), ("result_recorded", 3), ("", 1)):
        yield Spoilt(name, version, b'{"target":5}', "unknown_type", f"type {name!r}")


def every_type() -> list[EventType]:
    """All event types, in the order of their names."""
    return list(load_catalogue().values())


def chained(origin: str, spoilt: Iterable[tuple[str, Spoilt]], *, after: Event, step_us: int = 1) -> list[Event]:
    """Events of an origin, properly chained after one that it has. spoilt: the stream and what is in the event."""
    from ledger.identifiers import new_event_id, parse_time

    made: list[Event] = []
    versions = {after.stream: after.version}
    now = parse_time(after.recorded_at)
    for index, (stream, one) in enumerate(spoilt, 1):
        now += step_us
        versions[stream] = versions.get(stream, 0) + 1
        event = Event(
            actor="b@example.org",
            causation_id=None,
            correlation_id=None,
            event_id=new_event_id(now, index.to_bytes(10, "big")),
            git_sha=None,
            hash="",
            host="elsewhere",
            key=None,
            origin=origin,
            payload=msgspec.Raw(one.payload),
            position=after.position + index,
            prev_hash=made[-1].hash if made else after.hash,
            recorded_at=format_time(now),
            schema_version=one.schema_version,
            stream=stream,
            type=one.type,
            version=versions[stream],
        )
        chain.link(event)
        made.append(event)
    return made


def put(ledger: Ledger, events: list[Event]) -> Path:
    """Write events behind what a ledger's own log has, as a segment that its writer sealed."""
    path = ledger.path / "log" / ledger.origin / segment.file_name(events[0].position)
    path.write_bytes(segment.encode(events))
    for derived in ("heads.sqlite", "head"):
        (path.parent / derived).unlink(missing_ok=True)
    return path
