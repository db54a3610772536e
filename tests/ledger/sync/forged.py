"""Logs that another machine could push: right in every hash, and wrong in one rule of `verify` each.

Every log has three segments: positions 1 to 4, 5 to 8 and 9 to 12. All hashes are made anew behind a change, so that
only the rule itself tells.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ledger.event import GENESIS_HASH, Event
from ledger.identifiers import TIME_MAX_US, format_time, parse_time
from ledger.ledger import Ledger
from ledger.log import chain, segment
from ledger.sync.checkpoint import Checkpoint
from tests.ledger.samples import result

LENGTH, SEALED = 12, 4
Events = list[Event]
Files = dict[str, bytes]
Forgery = Callable[[Events], Files]
FORGERIES: dict[str, tuple[str, Forgery]] = {}  # by name, which is the origin's: the rule it breaks


@cache
def genuine(folder: Path) -> tuple[Event, ...]:
    """The events of a ledger of twelve, which the forgeries are made from."""
    ledger = Ledger.create(folder, origin="genuine", actor="peer@example.org")
    ledger.append([result(n, target="ab"[n % 2] + "@GPU") for n in range(LENGTH - 1)])
    return tuple(ledger.read())


def linked(events: Sequence[Event], origin: str, changes: dict[int, dict[str, Any]] | None = None) -> Events:
    """Events as `origin` would have them, some changed, every hash made right again."""
    made: Events = []
    for event in events:
        altered = {"origin": origin} | (changes or {}).get(event.position, {})
        copy = msgspec.structs.replace(
            event, **{"prev_hash": made[-1].hash if made else GENESIS_HASH, "hash": "", **altered}
        )
        if not copy.hash:
            chain.link(copy)
        made.append(copy)
    return made


def encoded(
    events: Sequence[Event],
    about: dict[str, Any] | None = None,
    shape: Callable[[pa.Table], pa.Table] = lambda table: table,
) -> bytes:
    """A segment's bytes, whole by the digest it holds; `about` replaces what it says of itself, `shape` its columns."""
    first, last = events[0], events[-1]
    said = {
        "version": 1,
        "origin": first.origin,
        "first": first.position,
        "last": last.position,
        "prev_hash": first.prev_hash,
        "head_hash": last.hash,
        **(about or {}),
    }
    rows = sorted(events, key=lambda e: (e.stream, e.version))
    columns: dict[str, Any] = {
        "recorded_at": [parse_time(e.recorded_at) for e in rows],
        "payload": [bytes(e.payload).decode() for e in rows],
        "prev_hash": [bytes.fromhex(e.prev_hash) for e in rows],
        "hash": [bytes.fromhex(e.hash) for e in rows],
    }
    table = pa.table(
        [pa.array(columns.get(f.name) or [getattr(e, f.name) for e in rows], f.type) for f in segment.schema()],
        schema=segment.schema(),
    )
    text = json.dumps(said | {"file_sha256": "0" * 64}, separators=(",", ":"))
    return sealed(written(shape(table), text))


def written(table: pa.Table, about: str) -> bytes:
    """A table as Parquet, with metadata as a segment has it."""
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink, table.schema, compression="zstd", store_schema=False, use_dictionary=["origin", "stream", "type"]
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"perfledger": about})
    return sink.getvalue()


def sealed(data: bytes) -> bytes:
    """Bytes with the digest they hold made right."""
    mark = b'"file_sha256":"'
    if mark not in data:
        return data
    at = data.rindex(mark) + len(mark)
    return data[:at] + sha256(data[:at] + b"0" * 64 + data[at + 64 :]).hexdigest().encode() + data[at + 64 :]


def cut(events: Sequence[Event], about: dict[int, dict[str, Any]] | None = None) -> Files:
    """The three segments of twelve events; `about` is what segments say of themselves instead, by first position."""
    parts = [events[start : start + SEALED] for start in range(0, len(events), SEALED)]
    return {
        segment.file_name(SEALED * index + 1): encoded(part, (about or {}).get(SEALED * index + 1))
        for index, part in enumerate(parts)
    }


def checkpoint(origin: str, events: Sequence[Event]) -> bytes:
    """The checkpoint that belongs to a log."""
    head = events[-1]
    return msgspec.json.encode(Checkpoint(format=1, hash=head.hash, origin=origin, position=head.position))


def forgery(rule: str) -> Callable[[Forgery], Forgery]:
    """Register a way to break a rule under its function's name."""

    def register(function: Forgery) -> Forgery:
        FORGERIES[function.__name__.replace("_", "-")] = (rule, function)
        return function

    return register


def one_changed(rule: str, name: str, position: int, **changes: Any) -> None:
    """Register a forgery in which one event differs."""
    FORGERIES[name] = (rule, lambda events: cut(linked(events, name, {position: changes})))


def said(rule: str, name: str, **changes: Any) -> None:
    """Register a forgery whose second segment says something else of itself."""
    FORGERIES[name] = (rule, lambda events: cut(linked(events, name), {5: changes}))


def columns(name: str, shape: Callable[[pa.Table], pa.Table]) -> None:
    """Register a forgery whose second segment has other columns."""

    def make(events: Events) -> Files:
        own = linked(events, name)
        return cut(own) | {segment.file_name(5): encoded(own[4:8], shape=shape)}

    FORGERIES[name] = ("segment-unreadable", make)


def recast(field: str, kind: pa.DataType, *, nullable: bool = False) -> Callable[[pa.Table], pa.Table]:
    """A change of one column's type."""

    def shape(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index(field)
        return table.set_column(at, pa.field(field, kind, nullable=nullable), table.column(field).cast(kind))

    return shape


def hollow(table: pa.Table) -> pa.Table:
    """A null where none may be."""
    at = table.schema.get_field_index("position")
    values = [None, *table.column("position").to_pylist()[1:]]
    return table.set_column(at, pa.field("position", pa.int64()), pa.array(values, pa.int64()))


def raw(text: str) -> msgspec.Raw:
    """A payload as it stands."""
    return msgspec.Raw(text.encode())


for _name, _text in {
    "white-space": '{"a": 1}',
    "keys-unsorted": '{"b":1,"a":2}',
    "key-twice": '{"a":1,"a":1}',
    "no-json": "{'a':1}",
    "nothing": "",
    "two-values": '{"a":1}{"a":1}',
    "number-spelled-otherwise": '{"a":1.50}',
    "integer-past-64-bits": '{"a":9223372036854775808}',
    "integer-of-400-digits": '{"a":' + "9" * 400 + "}",
    "number-past-doubles": '{"a":1e999}',
    "not-a-number": '{"a":NaN}',
    "lone-surrogate": '{"a":"\\ud800"}',
    "nested-deeply": "[" * 100_000 + "]" * 100_000,
}.items():
    one_changed("payload-not-canonical", _name, 6, payload=raw(_text))

one_changed("stream-version", "version-jump", 6, version=7)
one_changed("stream-version", "version-zero", 6, version=0)
one_changed("stream-version", "version-below-zero", 6, version=-1)
one_changed("stream-version", "version-at-the-limit", 6, version=2**63 - 1)
one_changed("stream-version", "stream-that-begins-at-two", 6, stream="fresh", version=2)
one_changed("chain-broken", "linked-to-another", 6, prev_hash="f" * 64)
one_changed("chain-broken", "linked-to-another-across-segments", 9, prev_hash="f" * 64)
one_changed("hash-wrong", "another-hash", 6, hash="f" * 64)
one_changed("foreign-origin", "event-of-a-stranger", 6, origin="stranger")

said("segment-unreadable", "first-is-text", first="5")
said("segment-unreadable", "first-below-zero", first=-5)
said("segment-unreadable", "first-is-zero", first=0)
said("segment-unreadable", "last-is-a-huge-integer", last=10**30)
said("segment-unreadable", "last-past-64-bits", last=2**63)
said("segment-unreadable", "first-is-a-fraction", first=5.5)
said("segment-unreadable", "first-is-a-list", first=[5])
said("segment-unreadable", "head-is-null", head_hash=None)
said("segment-unreadable", "head-is-no-hash", head_hash="deadbeef")
said("segment-unreadable", "head-is-a-number", head_hash=7)
said("segment-unreadable", "origin-is-a-number", origin=7)
said("segment-unreadable", "format-of-the-future", version=2)
said("segment-unreadable", "format-is-text", version="1")
said("segment-metadata", "another-head", head_hash="f" * 64)
said("segment-metadata", "another-hash-before", prev_hash="f" * 64)
said("segment-metadata", "another-last", last=9)
said("foreign-origin", "segment-of-a-stranger", origin="stranger")
said("position-gap", "says-it-begins-later", first=6)

columns("a-column-more", lambda table: table.append_column("more", pa.array([1] * len(table))))
columns("a-column-less", lambda table: table.drop_columns(["actor"]))
columns("columns-in-another-order", lambda table: table.select(table.column_names[::-1]))
columns("positions-as-text", recast("position", pa.string()))
columns("positions-as-doubles", recast("position", pa.float64()))
columns("times-in-milliseconds", lambda table: recast("recorded_at", pa.timestamp("ms", "UTC"))(floored(table)))
columns("times-without-a-zone", recast("recorded_at", pa.timestamp("us")))
columns("hashes-of-any-length", recast("hash", pa.binary()))
columns("a-null-position", hollow)
columns("optional-actor", recast("actor", pa.string(), nullable=True))


def floored(table: pa.Table) -> pa.Table:
    """The same with whole milliseconds, so that a cast loses nothing."""
    at = table.schema.get_field_index("recorded_at")
    whole = [1_000 * (value // 1_000) for value in table.column("recorded_at").cast(pa.int64()).to_pylist()]
    field = table.schema.field("recorded_at")
    return table.set_column(at, field, pa.array(whole, pa.int64()).cast(field.type))


@forgery("stream-version")
def version_again_of_an_earlier_segment(events: Events) -> Files:
    before = next(e for e in events[:4] if e.stream == events[8].stream)
    return cut(linked(events, "version-again-of-an-earlier-segment", {9: {"version": before.version}}))


@forgery("time-backwards")
def time_of_before(events: Events) -> Files:
    return cut(linked(events, "time-of-before", {7: {"recorded_at": events[4].recorded_at}}))


@forgery("time-backwards")
def the_same_time(events: Events) -> Files:
    return cut(linked(events, "the-same-time", {7: {"recorded_at": events[5].recorded_at}}))


@forgery("time-backwards")
def time_of_an_earlier_segment(events: Events) -> Files:
    return cut(linked(events, "time-of-an-earlier-segment", {9: {"recorded_at": events[1].recorded_at}}))


@forgery("segment-unreadable")
def time_after_the_year_9999(events: Events) -> Files:
    own = linked(events, "time-after-the-year-9999")

    def shape(table: pa.Table) -> pa.Table:
        at, field = table.schema.get_field_index("recorded_at"), table.schema.field("recorded_at")
        late = pa.array([TIME_MAX_US + 1 + n for n in range(len(table))], pa.int64()).cast(field.type)
        return table.set_column(at, field, late)

    return cut(own) | {segment.file_name(9): encoded(own[8:], shape=shape)}


@forgery("time-backwards")
def time_a_microsecond_back(events: Events) -> Files:
    early = format_time(parse_time(events[7].recorded_at) - 1)
    return cut(linked(events, "time-a-microsecond-back", {9: {"recorded_at": early}}))


@forgery("event-id-twice")
def id_twice_in_a_segment(events: Events) -> Files:
    return cut(linked(events, "id-twice-in-a-segment", {7: {"event_id": events[4].event_id}}))


@forgery("event-id-twice")
def id_twice_across_segments(events: Events) -> Files:
    return cut(linked(events, "id-twice-across-segments", {11: {"event_id": events[2].event_id}}))


@forgery("event-id-twice")
def id_that_is_no_uuid_twice(events: Events) -> Files:
    twice = {position: {"event_id": "x"} for position in (3, 11)}
    return cut(linked(events, "id-that-is-no-uuid-twice", twice))


@forgery("position-gap")
def a_segment_left_out(events: Events) -> Files:
    files = cut(linked(events, "a-segment-left-out"))
    del files[segment.file_name(5)]
    return files


@forgery("position-gap")
def an_event_left_out(events: Events) -> Files:
    own = linked([e for e in events if e.position != 6], "an-event-left-out")
    return cut(own) | {segment.file_name(5): encoded(own[4:7]), segment.file_name(9): encoded(own[7:])}


@forgery("position-gap")
def a_position_at_the_limit(events: Events) -> Files:
    own = linked(events, "a-position-at-the-limit", {12: {"position": 2**63 - 1}})
    return cut(own)


@forgery("segment-name")
def segments_renamed(events: Events) -> Files:
    files = cut(linked(events, "segments-renamed"))
    files[segment.file_name(7)] = files.pop(segment.file_name(5))
    return files


@forgery("segment-bytes")
def a_byte_no_reader_looks_at(events: Events) -> Files:
    files = cut(linked(events, "a-byte-no-reader-looks-at"))
    name = segment.file_name(5)
    assert files[name].count(b"parquet-cpp-arrow") == 1
    files[name] = files[name].replace(b"parquet-cpp-arrow", b"parquet-cpp-arrox")
    return files


@forgery("segment-unreadable")
def a_segment_cut_short(events: Events) -> Files:
    files = cut(linked(events, "a-segment-cut-short"))
    files[segment.file_name(5)] = files[segment.file_name(5)][:-100]
    return files


@forgery("segment-unreadable")
def an_empty_file(events: Events) -> Files:
    return cut(linked(events, "an-empty-file")) | {segment.file_name(5): b""}


@forgery("segment-unreadable")
def no_parquet(events: Events) -> Files:
    return cut(linked(events, "no-parquet")) | {segment.file_name(5): b"PAR1 something else PAR1"}


@forgery("segment-unreadable")
def metadata_that_is_no_json(events: Events) -> Files:
    own = linked(events, "metadata-that-is-no-json")
    table = pq.read_table(io.BytesIO(encoded(own[4:8])))
    return cut(own) | {segment.file_name(5): written(table, "no json")}


@forgery("segment-unreadable")
def metadata_that_is_a_list(events: Events) -> Files:
    own = linked(events, "metadata-that-is-a-list")
    table = pq.read_table(io.BytesIO(encoded(own[4:8])))
    return cut(own) | {segment.file_name(5): written(table, "[1,2]")}


@forgery("segment-unreadable")
def text_that_is_no_utf_8(events: Events) -> Files:
    own = linked(events, "text-that-is-no-utf-8", {6: {"actor": "\x01\x01\x01\x01"}})

    def shape(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index("actor")
        bad = [b"\xff\xfe" if value.startswith("\x01") else value.encode() for value in table["actor"].to_pylist()]
        field = table.schema.field("actor")
        return table.set_column(at, field, pa.array(bad, pa.binary()).view(pa.string()))

    return cut(own) | {segment.file_name(5): encoded(own[4:8], shape=shape)}
