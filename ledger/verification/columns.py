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

from ledger import canonical
from ledger.errors import BadInput, Damaged
from ledger.identifiers import TIME_MAX_US, TIME_MIN_US, format_time
from ledger.log import segment
from ledger.log.heads import Head

if TYPE_CHECKING:
    import pyarrow as pa

    from ledger.verification.rules import Said, Walk

_LINKS = ("position", "event_id", "stream", "version", "recorded_at", "prev_hash", "hash")
_text = msgspec.json.encode
_decode = msgspec.json.decode
_canonical = msgspec.json.Encoder(order="sorted").encode


def check(path: Path, info: segment.SegmentInfo, walk: Walk) -> int | None:
    """Check a segment that must follow `walk`, and carry the walk on. Returns its number of events.

    None means that something needs a closer look; the walk is as it was then. The file's own digest is right already.
    Payloads are read and let go a row group at a time: what is kept of an event is what links it to others.
    """
    import pyarrow as pa

    try:
        return _check(path, info, walk)
    except (BadInput, Damaged, pa.ArrowException, ValueError, TypeError, OverflowError, RecursionError):
        return None  # whatever made a reader stumble, the walk says what it is


def _check(path: Path, info: segment.SegmentInfo, walk: Walk) -> int | None:
    import pyarrow as pa

    kept: dict[str, list[pa.Array]] = {name: [] for name in _LINKS}
    said: list[Said] = []
    for batch in segment.batches(path):
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        found = _said(columns, walk) if _of_origin(columns, walk.origin) and _hashes_hold(columns) else None
        if found is None:
            return None
        said += found
        for name, chunks in kept.items():
            chunks.append(_plain(columns[name]))
    links = {name: pa.concat_arrays(chunks) for name, chunks in kept.items() if chunks}
    rows = _in_order(links["position"].to_pylist(), walk.head.position + 1) if links else None
    if rows is None:
        return None
    hashes = _sorted(links["hash"], rows)
    times = _sorted(links["recorded_at"].cast(pa.int64()), rows)
    versions = _versions(links, rows, walk.versions)
    if versions is None or not _follows(info, walk, hashes, _sorted(links["prev_hash"], rows), times):
        return None
    walk.head = Head(info.last, info.head_hash, times[-1])
    walk.last_time = format_time(times[-1])
    walk.versions.update(versions)
    walk.ids.add(links["event_id"].to_pylist())
    walk.hashes.update({p: hashes[p - info.first].hex() for p in walk.wanted if info.first <= p <= info.last})
    for one in sorted(said, key=operator.attrgetter("position")):
        walk.note(one)
    return len(rows)


def _plain(column: pa.Array) -> pa.Array:
    """Return a column's values without a dictionary."""
    import pyarrow as pa

    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def _of_origin(columns: dict[str, Any], origin: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.all(pc.equal(_plain(columns["origin"]), origin)).as_py())


def _sorted(column: pa.Array, rows: Sequence[int]) -> list[Any]:
    values = column.to_pylist()
    return [values[row] for row in rows]


def _in_order(positions: Sequence[int], first: int) -> list[int] | None:
    """Return the row of each position from `first` on, or None when they are not one each without a gap."""
    rows = [-1] * len(positions)
    for row, position in enumerate(positions):
        if not 0 <= position - first < len(rows):
            return None
        rows[position - first] = row
    return rows if min(rows) >= 0 else None


def _follows(
    info: segment.SegmentInfo, walk: Walk, hashes: Sequence[bytes], previous: Sequence[bytes], times: Sequence[int]
) -> bool:
    """Whether chain, times and the file's own words are what must follow the walk's head."""
    first, last = walk.head.position + 1, walk.head.position + len(hashes)
    said = (info.origin, info.first, info.last, info.prev_hash, info.head_hash, segment.first_of(info.path.name))
    held = (walk.origin, first, last, walk.head.hash, hashes[-1].hex(), first)
    before = walk.head.recorded_us if walk.head.position else TIME_MIN_US - 1
    return bool(
        said == held
        and [bytes.fromhex(walk.head.hash), *hashes[:-1]] == previous
        and times[-1] <= TIME_MAX_US
        and all(map(operator.lt, [before, *times], times))
    )


def _hashes_hold(columns: dict[str, Any]) -> bool:
    """Whether the hash of every event is the SHA-256 of its canonical JSON."""
    return all(
        sha256(data).digest() == digest
        for data, digest in zip(_canonical_json(columns).to_pylist(), columns["hash"].to_pylist(), strict=True)
    )


def _canonical_json(columns: dict[str, Any]) -> pa.Array:
    """Return the canonical JSON of every event without its `hash`, put together column by column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts: list[Any] = [b"{"]
    for name in sorted({*columns} - {"hash"}):
        column = columns[name]
        if name == "payload":
            values = column.cast(pa.binary())
        elif name == "prev_hash":
            values = pa.array([b'"%b"' % p.hex().encode() for p in column.to_pylist()])
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

    if not isinstance(column, pa.DictionaryArray):
        column = column.dictionary_encode()
    values, places = [_text(value) for value in column.dictionary.to_pylist()], column.indices
    if column.null_count:
        places = places.fill_null(len(values))
        values.append(b"null")
    return values[0] if len(values) == 1 else pa.array(values, type=pa.binary()).take(places)


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


def _said(columns: dict[str, Any], walk: Walk) -> list[Said] | None:
    """Return what payloads say of other things. None when a payload is not canonical JSON."""
    import pyarrow as pa

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
        if canonical.has_long_digits(raw):
            canonical.check_storable(body)
        said = walk.said(kind, version, position, body)
        if said is not None:
            found.append(said)
    return found
