"""Arrow columns as text: JSON that any parser reads back exactly, and cells for people and CSV.

Numbers stay numbers, also those beyond 64 bits and decimals; NaN and the infinities are null, since JSON cannot
express them; a TIMESTAMPTZ is ISO 8601 UTC with six decimals and `Z`, as events write it; intervals are
ISO 8601 durations; bytes are lower-case hex; lists, structs, maps and JSON columns are JSON.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable, Collection, Sequence
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any

import msgspec

from ledger.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

Texts = list[str | None]
QUOTED = re.compile(r"""(["'])(?:(?!\1).|\1\1)*\1""")  # names of fields, values of enums
# Types that Arrow does not have: without care their raw bytes would be output as the value.
INEXACT = ("BIGNUM", "BIT", "GEOMETRY", "TIME WITH TIME ZONE", "UNION", "VARIANT")
EPOCH_ENDS = {2**63 - 1: "infinity", -(2**63 - 1): "-infinity", 2**31 - 1: "infinity", -(2**31 - 1): "-infinity"}


def check_types(names: Sequence[str], types: Sequence[str], *, refused: Collection[str]) -> None:
    """Raise `BadInput` (`sql_unsupported_type`) for a column whose SQL type is, or holds, one of `refused`."""
    word = re.compile(rf"\b({'|'.join(refused)})\b")
    for name, kind in zip(names, types, strict=True):
        found = word.search(QUOTED.sub("", kind))
        if found:
            raise unsupported(name, found[1])


def json_texts(column: pa.Array, name: str) -> Texts:
    """Return each value of a column as JSON text, None where it is null.

    Raises `BadInput` (`sql_unsupported_type`) naming the column when its type has no exact text here.
    """
    return _json(column, name)


def cell_texts(column: pa.Array, name: str) -> Texts:
    """Return each value as the text of a cell: JSON, except that text itself stands without quotes."""
    texts, quoted = _scalars(column, name)
    if quoted is None:
        return _json(column, name)
    return texts


def is_numeric(kind: pa.DataType) -> bool:
    """Whether a column of this type is aligned right."""
    import pyarrow as pa

    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or _opaque(kind) in _BIG
    )


def _json(column: pa.Array, name: str) -> Texts:
    texts, quoted = _scalars(column, name)
    if quoted is None:
        return _nested(column, name)
    if quoted:
        return [encode_basestring(text) if text is not None else None for text in texts]
    return texts


def _scalars(column: pa.Array, name: str) -> tuple[Texts, bool | None]:
    """The values as text, and whether JSON puts them in quotes; (_, None) for a nested type."""
    import pyarrow as pa

    kind, is_ = column.type, pa.types
    if is_.is_string(kind) or is_.is_large_string(kind):
        return column.to_pylist(), True
    if is_.is_dictionary(kind):
        return _scalars(column.dictionary_decode(), name)
    if is_.is_boolean(kind):
        return _each(column, lambda value: "true" if value else "false"), False
    if is_.is_integer(kind):
        return _each(column, str), False
    if is_.is_floating(kind):
        return _floats(column), False
    if is_.is_decimal(kind):
        return _each(column, lambda value: format(value, "f")), False
    if is_.is_null(kind):
        return [None] * len(column), False
    if is_.is_temporal(kind):
        return _times(column), True
    if is_.is_binary(kind) or is_.is_large_binary(kind):
        return _each(column, bytes.hex), True
    if isinstance(kind, pa.BaseExtensionType):
        return _extension(column, name)
    return [], None


def _extension(column: Any, name: str) -> tuple[Texts, bool]:
    label = _opaque(column.type)
    if label in _BIG:
        signed = label == "hugeint"
        return _each(column.storage, lambda raw: str(int.from_bytes(raw, "little", signed=signed))), False
    if label == "bool8":
        return _each(column.storage, lambda value: "true" if value else "false"), False
    if label == "arrow.json":
        return _each(column.storage, _strict_json), False
    if label == "arrow.uuid":
        return _each(column.storage, lambda raw: str(uuid.UUID(bytes=raw))), True
    raise unsupported(name, label)


_BIG = frozenset({"hugeint", "uhugeint"})


def _opaque(kind: Any) -> str:
    """The name of an extension type: DuckDB's own for a type that Arrow does not have."""
    name = str(getattr(kind, "type_name", None) or getattr(kind, "extension_name", ""))
    return "bool8" if name == "arrow.bool8" else name


def unsupported(name: str, kind: str) -> BadInput:
    """Return the error for a column whose type cannot be written exactly."""
    return BadInput(
        f'column "{name}" has the type {kind.upper()}, which has no exact form here',
        code="sql_unsupported_type",
        hint="cast it in the query: CAST(... AS VARCHAR)",
        column=name,
    )


def _nested(column: Any, name: str) -> Texts:
    import pyarrow as pa

    kind, is_ = column.type, pa.types
    valid = column.is_valid().to_pylist()
    if is_.is_struct(kind):
        keys = [encode_basestring(field.name) for field in kind]
        fields = [_json(column.field(index), name) for index in range(kind.num_fields)]
        texts: Texts = []
        for index, ok in enumerate(valid):
            pairs = (f"{key}:{field[index] or 'null'}" for key, field in zip(keys, fields, strict=True))
            texts.append("{" + ",".join(pairs) + "}" if ok else None)
        return texts
    if is_.is_map(kind):
        keys_of = cell_texts(column.keys, name)
        items = [value or "null" for value in _json(column.items, name)]
        entries = [f"{encode_basestring(key or '')}:{value}" for key, value in zip(keys_of, items, strict=True)]
        return _slices(column, valid, entries, ("{", "}"))
    if is_.is_list(kind) or is_.is_large_list(kind):
        values = [value or "null" for value in _json(column.values, name)]
        return _slices(column, valid, values, ("[", "]"))
    if is_.is_fixed_size_list(kind):
        values = [value or "null" for value in _json(column.flatten(), name)]
        size, at = kind.list_size, 0
        texts = []
        for ok in valid:  # flatten() leaves out the values of null lists
            texts.append("[" + ",".join(values[at : at + size]) + "]" if ok else None)
            at += size if ok else 0
        return texts
    raise unsupported(name, str(kind))


def _slices(column: Any, valid: list[bool], values: list[str], brackets: tuple[str, str]) -> Texts:
    ends = column.offsets.to_pylist()
    opening, closing = brackets
    return [
        opening + ",".join(values[start:end]) + closing if ok else None
        for ok, start, end in zip(valid, ends[:-1], ends[1:], strict=True)
    ]


def _each(column: Any, text: Callable[[Any], str]) -> Texts:
    return [text(value) if value is not None else None for value in column.to_pylist()]


def _floats(column: Any) -> Texts:
    import pyarrow as pa

    values = column.to_pylist()
    if pa.types.is_float32(column.type):  # 0.1 as REAL is 0.1, not the double nearest to that REAL
        values = [float(text) if text is not None else None for text in column.cast(pa.string()).to_pylist()]
    return [repr(value) if value is not None and math.isfinite(value) else None for value in values]


def _times(column: Any) -> Texts:
    import pyarrow as pa

    kind, is_ = column.type, pa.types
    if is_.is_interval(kind):
        return _each(column, _duration)
    end = ""
    if is_.is_timestamp(kind):
        end = "Z" if kind.tz else ""
        column = column.cast(pa.timestamp(kind.unit))  # the same instants; naive, so no zone file is needed
    counts = column.cast(pa.int32() if is_.is_date32(kind) or is_.is_time32(kind) else pa.int64()).to_pylist()
    ends = EPOCH_ENDS if is_.is_timestamp(kind) or is_.is_date(kind) else {}
    infinite = [ends.get(count) for count in counts]
    safe = pa.array(
        [None if word else count for word, count in zip(infinite, counts, strict=True)],
        type=pa.int32() if counts and column.type.bit_width == 32 else pa.int64(),
    ).cast(column.type)
    texts = safe.cast(pa.string()).to_pylist()
    return [
        word or (text.replace(" ", "T") + end if text is not None else None)
        for word, text in zip(infinite, texts, strict=True)
    ]


def _duration(value: Any) -> str:
    """ISO 8601: P1M2DT3.5S; each part carries its own sign."""
    days = f"P{value.months}M{value.days}D" if value.months or value.days else "P"
    if not value.nanoseconds:
        return days if days != "P" else "PT0S"
    sign = "-" if value.nanoseconds < 0 else ""
    whole, rest = divmod(abs(value.nanoseconds), 10**9)
    decimals = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{days}T{sign}{whole}{decimals}S"


def _strict_json(text: str) -> str:
    """The JSON of a JSON column; as a string when it is only what DuckDB is lenient about (NaN, commas)."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.DecodeError:
        return encode_basestring(text)
    return text
