"""The quick half of verification: a whole segment at once, column by column, with the answer yes or "look closely".

It recomputes every hash from the columns. A segment it does not accept is walked event by event, which names what is
wrong; nothing is ever accepted here that the walk would refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ledger import segment
from ledger.event import upcast
from ledger.heads import Head

if TYPE_CHECKING:
    import pyarrow as pa

    from ledger.verify import Walk

_text = msgspec.json.encode
_decode = msgspec.json.decode
_canonical = msgspec.json.Encoder(order="sorted").encode


class Ids:
    """All event ids of an origin, 16 bytes each, to find one that is used twice."""

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._named: set[str] = set()

    def add(self, event_ids: Sequence[str]) -> None:
        """Take in the ids of a segment."""
        self._packed.append(b"".join(map(_sixteen, event_ids)))

    def add_one(self, event_id: str) -> bool:
        """Take in a single id. Returns False when it was taken in as a single one before."""
        if event_id in self._named:
            return False
        self._named.add(event_id)
        self._packed.append(_sixteen(event_id))
        return True

    def twice(self) -> str | None:
        """Return an id that was taken in twice without `add_one` noticing, or None."""
        import pyarrow as pa
        import pyarrow.compute as pc

        everything = b"".join(self._packed)
        if not everything:
            return None
        kind = pa.binary(16)
        array = pa.Array.from_buffers(kind, len(everything) // 16, [None, pa.py_buffer(everything)])
        if len(pc.unique(array)) == len(array):
            return None
        counts = pc.value_counts(array)
        many = counts.filter(pc.greater(counts.field("counts"), 1))
        text = many[0]["values"].as_py().hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _sixteen(event_id: str) -> bytes:
    try:
        packed = bytes.fromhex(event_id.replace("-", ""))
    except ValueError:
        packed = b""
    return packed if len(packed) == 16 else sha256(event_id.encode()).digest()[:16]


def check(path: Path, info: segment.SegmentInfo, walk: Walk) -> int | None:
    """Check a segment that must follow `walk`, and carry the walk on. Returns its number of events.

    None means that something needs a closer look; the walk is as it was then.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, page_checksum_verification=True, partitioning=None).sort_by("position")
    except (pa.ArrowException, OSError):
        return None
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    count = table.num_rows
    if not count or table.schema.names != segment.schema().names or not _follows(columns, info, walk, count):
        return None
    hashes = columns["hash"].to_pylist()
    if not _hashes_hold(columns, hashes, walk.head):
        return None
    versions = _versions(columns, walk.versions)
    bodies = _bodies(columns, walk)
    if versions is None or bodies is None:
        return None
    times = columns["recorded_at"]
    walk.head = Head(info.last, hashes[-1].hex(), times[-1].value)
    walk.last_time = _times(times.slice(count - 1))[0].as_py()
    walk.versions.update(versions)
    walk.ids.add(columns["event_id"].to_pylist())
    walk.hashes.update({p: hashes[p - info.first].hex() for p in walk.wanted if info.first <= p <= info.last})
    for kind, position, body in bodies:
        walk.note(kind, position, body)
    return int(count)


def _follows(columns: dict[str, Any], info: segment.SegmentInfo, walk: Walk, count: int) -> bool:
    """Whether positions, times, origin and the file's own words are what must follow the walk's head."""
    import pyarrow as pa
    import pyarrow.compute as pc

    positions, times = columns["position"], columns["recorded_at"].cast(pa.int64())
    first = walk.head.position + 1
    said = (info.origin, info.first, info.last, info.prev_hash, info.head_hash, segment.first_of(info.path.name))
    held = (walk.origin, first, first + count - 1, walk.head.hash, columns["hash"][-1].as_py().hex(), first)
    return bool(
        said == held
        and positions.to_pylist() == list(range(first, first + count))
        and pc.all(pc.equal(columns["origin"], walk.origin)).as_py()
        and times[0].as_py() > walk.head.recorded_us
        and (count == 1 or pc.all(pc.less(times.slice(0, count - 1), times.slice(1))).as_py())
    )


def _hashes_hold(columns: dict[str, Any], hashes: list[bytes], head: Head) -> bool:
    """Whether every event holds the hash of the one before, and its own is the SHA-256 of its canonical JSON."""
    previous = columns["prev_hash"].to_pylist()
    if previous != [bytes.fromhex(head.hash), *hashes[:-1]]:
        return False
    return all(sha256(data).digest() == digest
               for data, digest in zip(_canonical_json(columns, previous).to_pylist(), hashes, strict=True))


def _canonical_json(columns: dict[str, Any], previous: list[bytes]) -> pa.Array:
    """Return the canonical JSON of every event without its `hash`, put together column by column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def number(name: str) -> pa.Array:
        return columns[name].cast(pa.string()).cast(pa.binary())

    def quoted(array: pa.Array) -> pa.Array:
        return pc.binary_join_element_wise(b'"', array.cast(pa.binary()), b'"', b"")

    hexes = pa.array([p.hex() for p in previous])
    parts = [
        b'{"actor":', _json(columns["actor"]), b',"causation_id":', _json(columns["causation_id"]),
        b',"correlation_id":', _json(columns["correlation_id"]), b',"event_id":', _json(columns["event_id"]),
        b',"git_sha":', _json(columns["git_sha"]), b',"host":', _json(columns["host"]), b',"key":',
        _json(columns["key"]), b',"origin":', _json(columns["origin"]), b',"payload":',
        columns["payload"].cast(pa.binary()), b',"position":', number("position"), b',"prev_hash":', quoted(hexes),
        b',"recorded_at":', quoted(_times(columns["recorded_at"])), b',"schema_version":', number("schema_version"),
        b',"stream":', _json(columns["stream"]), b',"type":', _json(columns["type"]), b',"version":',
        number("version"), b"}",
    ]
    return pc.binary_join_element_wise(*parts, b"")


def _json(column: pa.Array) -> pa.Array:
    """Return a text column as JSON strings: each distinct value is encoded once."""
    import pyarrow as pa

    encoded = column.dictionary_encode(null_encoding="encode")
    values = pa.array([_text(value) for value in encoded.dictionary.to_pylist()], type=pa.binary())
    return values.take(encoded.indices)


def _times(column: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    return pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")


def _versions(columns: dict[str, Any], known: dict[str, int]) -> dict[str, int] | None:
    """Return the last version of every stream of the segment, or None when one does not count on."""
    versions: dict[str, int] = {}
    for stream, version in zip(columns["stream"].to_pylist(), columns["version"].to_pylist(), strict=True):
        last = versions.get(stream)
        if version != (known.get(stream, 0) if last is None else last) + 1:
            return None
        versions[stream] = version
    return versions


def _bodies(columns: dict[str, Any], walk: Walk) -> list[tuple[str, int, dict[str, Any]]] | None:
    """Return (type, position, payload) of events whose payload says something of other things. None when a payload
    is not canonical JSON."""
    import pyarrow as pa

    from ledger.verify import PULLED

    found = []
    for raw, kind, version, position in zip(
            columns["payload"].cast(pa.binary()).to_pylist(), columns["type"].to_pylist(),
            columns["schema_version"].to_pylist(), columns["position"].to_pylist(), strict=True):
        try:
            body = _decode(raw)
        except msgspec.MsgspecError:
            return None
        if _canonical(body) != raw:
            return None
        if kind in walk.fields or kind == PULLED:
            found.append((kind, position, upcast(kind, version, body)))
    return found
