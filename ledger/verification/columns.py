"""The quick half of verification: a whole segment at once, column by column, with the answer yes or "look closely".

It recomputes every hash from the columns. A segment it does not accept is walked event by event, which names what is
wrong; nothing is ever accepted here that the walk would refuse.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ledger.event import upcast
from ledger.log import segment
from ledger.log.heads import Head

if TYPE_CHECKING:
    import pyarrow as pa

    from ledger.verification.rules import Walk

_text = msgspec.json.encode
_decode = msgspec.json.decode
_canonical = msgspec.json.Encoder(order="sorted").encode


def check(path: Path, info: segment.SegmentInfo, walk: Walk) -> int | None:
    """Check a segment that must follow `walk`, and carry the walk on. Returns its number of events.

    None means that something needs a closer look; the walk is as it was then. The file's own digest is right already.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError, ValueError):
        return None
    count = table.num_rows
    if not count or table.schema.names != segment.schema().names:
        return None
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    rows = _in_order(columns["position"].to_pylist(), walk.head.position + 1)
    if rows is None or not _follows(columns, info, walk, rows):
        return None
    hashes = columns["hash"].to_pylist()
    previous = columns["prev_hash"].to_pylist()
    in_order = [hashes[row] for row in rows]
    chained = [bytes.fromhex(walk.head.hash), *in_order[:-1]]
    if [previous[row] for row in rows] != chained or not _hashes_hold(columns, hashes, previous):
        return None
    versions = _versions(columns, rows, walk.versions)
    bodies = _bodies(columns, walk)
    if versions is None or bodies is None:
        return None
    last = columns["recorded_at"].slice(rows[-1], 1)
    walk.head = Head(info.last, in_order[-1].hex(), last[0].value)
    walk.last_time = _times(last)[0].as_py()
    walk.versions.update(versions)
    walk.ids.add(columns["event_id"].to_pylist())
    walk.hashes.update({p: in_order[p - info.first].hex() for p in walk.wanted if info.first <= p <= info.last})
    for kind, position, body in sorted(bodies, key=lambda item: item[1]):
        walk.note(kind, position, body)
    return int(count)


def _in_order(positions: Sequence[int], first: int) -> list[int] | None:
    """Return the row of each position from `first` on, or None when they are not one each without a gap."""
    rows = [-1] * len(positions)
    for row, position in enumerate(positions):
        if not 0 <= position - first < len(rows):
            return None
        rows[position - first] = row
    return rows if min(rows) >= 0 else None


def _follows(columns: dict[str, Any], info: segment.SegmentInfo, walk: Walk, rows: Sequence[int]) -> bool:
    """Whether times, origin and the file's own words are what must follow the walk's head."""
    import pyarrow as pa
    import pyarrow.compute as pc

    recorded = columns["recorded_at"].cast(pa.int64()).to_pylist()
    times = [walk.head.recorded_us, *(recorded[row] for row in rows)]
    first, last = walk.head.position + 1, walk.head.position + len(rows)
    said = (info.origin, info.first, info.last, info.prev_hash, info.head_hash, segment.first_of(info.path.name))
    held = (walk.origin, first, last, walk.head.hash, columns["hash"][rows[-1]].as_py().hex(), first)
    return bool(
        said == held
        and all(map(operator.lt, times, times[1:]))
        and pc.all(pc.equal(columns["origin"], walk.origin)).as_py()
    )


def _hashes_hold(columns: dict[str, Any], hashes: list[bytes], previous: list[bytes]) -> bool:
    """Whether the hash of every event is the SHA-256 of its canonical JSON."""
    return all(
        sha256(data).digest() == digest
        for data, digest in zip(_canonical_json(columns, previous).to_pylist(), hashes, strict=True)
    )


def _canonical_json(columns: dict[str, Any], previous: list[bytes]) -> pa.Array:
    """Return the canonical JSON of every event without its `hash`, put together column by column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts: list[Any] = [b"{"]
    for name in sorted({*columns} - {"hash"}):
        column = columns[name]
        if name == "payload":
            values = column.cast(pa.binary())
        elif name == "prev_hash":
            values = pa.array([b'"%b"' % p.hex().encode() for p in previous])
        elif name == "recorded_at":
            values = pc.binary_join_element_wise(b'"', _times(column).cast(pa.binary()), b'"', b"")
        else:
            values = _json(column)
        if isinstance(values, bytes):
            parts[-1] += b'"%b":%b,' % (name.encode(), values)
        else:
            parts[-1] += b'"%b":' % name.encode()
            parts += [values, b","]
    parts[-1] = parts[-1][:-1] + b"}"
    return pc.binary_join_element_wise(*parts, b"")


def _json(column: pa.Array) -> pa.Array | bytes:
    """Return a column as JSON values, each distinct one encoded once: an array, or the one value all rows have."""
    import pyarrow as pa

    encoded = column.dictionary_encode(null_encoding="encode")
    values = [_text(value) for value in encoded.dictionary.to_pylist()]
    return values[0] if len(values) == 1 else pa.array(values, type=pa.binary()).take(encoded.indices)


def _times(column: pa.Array) -> pa.Array:
    """Return times as the events have them: ISO 8601 with six decimals and Z."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = column.cast(pa.timestamp("us")).cast(pa.string())  # 2026-06-01 00:00:00.000000
    return pc.binary_join_element_wise(pc.utf8_replace_slice(text, 10, 11, "T"), "Z", "")


def _versions(columns: dict[str, Any], rows: Sequence[int], known: dict[str, int]) -> dict[str, int] | None:
    """Return the last version of every stream of the segment, or None when one does not count on."""
    versions: dict[str, int] = {}
    streams, counted = columns["stream"].to_pylist(), columns["version"].to_pylist()
    for row in rows:
        stream = streams[row]
        last = versions.get(stream)
        if counted[row] != (known.get(stream, 0) if last is None else last) + 1:
            return None
        versions[stream] = counted[row]
    return versions


def _bodies(columns: dict[str, Any], walk: Walk) -> list[tuple[str, int, dict[str, Any]]] | None:
    """Return (type, position, payload) of events whose payload says something of other things. None when a payload
    is not canonical JSON."""
    import pyarrow as pa

    from ledger.verification.rules import PULLED

    found = []
    for raw, kind, version, position in zip(
        columns["payload"].cast(pa.binary()).to_pylist(),
        columns["type"].to_pylist(),
        columns["schema_version"].to_pylist(),
        columns["position"].to_pylist(),
        strict=True,
    ):
        try:
            body = _decode(raw)
        except msgspec.MsgspecError:
            return None
        if _canonical(body) != raw:
            return None
        if kind in walk.fields or kind == PULLED:
            found.append((kind, position, upcast(kind, version, body)))
    return found
