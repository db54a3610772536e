"""What a Parquet file takes to open, from its footer and page headers: before a reader makes anything of it.

A reader believes what a file says. Five kilobytes can hold one long value and ten thousand references to it, or a
page that says it is gigabytes. So the few structures that sizes come from are read here (Thrift's compact protocol,
parquet-format 2.9), nothing is decompressed, and only what our own writers make is let through: zstd or nothing as
compression, plain values, dictionaries only in columns that a reader keeps as dictionaries.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger.limits import PARQUET, ParquetBounds

if TYPE_CHECKING:
    import pyarrow as pa

PLAIN, RLE, PLAIN_DICTIONARY, RLE_DICTIONARY = 0, 3, 2, 8
UNCOMPRESSED, ZSTD = 0, 6
DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2 = 0, 2, 3
MAGIC = b"PAR1"
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 12
_DEPTH_MAX = 16


class TooMuch(ValueError):
    """The file would take more to open than it may, or is not as our writers make one."""


class _Reader:
    """A cursor over Thrift's compact protocol. Lengths are checked against what is there before anything is made."""

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data, self.at, self.end = data, at, len(data) if end is None else end

    def byte(self) -> int:
        if self.at >= self.end:
            raise TooMuch("its structure is cut short")
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise TooMuch("a number in its structure does not end")

    def integer(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def skip_bytes(self, count: int) -> None:
        if count > self.end - self.at:
            raise TooMuch("its structure is cut short")
        self.at += count

    def list_of(self) -> tuple[int, int]:
        """Return (how many, of which kind) of a list whose items follow."""
        byte = self.byte()
        count = byte >> 4
        if count == 15:
            count = self.varint()
        if count > self.end - self.at:  # an item has at least a byte
            raise TooMuch("its structure is cut short")
        return count, byte & 0x0F

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield (id, kind) of a structure's fields; whoever iterates reads or skips each value."""
        number = 0
        while (byte := self.byte()) != _STOP:
            delta = byte >> 4
            number = number + delta if delta else self.integer()
            yield number, byte & 0x0F

    def skip(self, kind: int, depth: int = 0) -> None:
        """Pass over a value."""
        if depth > _DEPTH_MAX:
            raise TooMuch("its structure is nested too deeply")
        if kind in (_TRUE, _FALSE):
            return
        if kind == _BYTE:
            self.byte()
        elif kind in (4, 5, 6):
            self.varint()
        elif kind == _DOUBLE:
            self.skip_bytes(8)
        elif kind == _BINARY:
            self.skip_bytes(self.varint())
        elif kind in (_LIST, _SET):
            count, of = self.list_of()
            for _ in range(count):
                if of in (_TRUE, _FALSE):
                    self.byte()
                else:
                    self.skip(of, depth + 1)
        elif kind == _STRUCT:
            for _, inner in self.fields():
                self.skip(inner, depth + 1)
        else:
            raise TooMuch(f"its structure has a value of kind {kind}")

    def pick(self, *wanted: int) -> dict[int, Any]:
        """Return the integer fields of a structure by id, and pass over the others."""
        found: dict[int, Any] = {}
        for number, kind in self.fields():
            if number in wanted and kind in (4, 5, 6):
                found[number] = self.integer()
            else:
                self.skip(kind)
        return found


def check(path: Path, shape: pa.Schema, dictionaries: Collection[str], bounds: ParquetBounds = PARQUET) -> None:
    """Refuse a file that takes more to read than `bounds`. Raises `TooMuch` with what it would take.

    shape: the columns it must have. dictionaries: those whose values may stand in a dictionary. The file must be small
    enough to be held in memory.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    allowed = [place for place, name in enumerate(shape.names) if name in dictionaries]
    check_pages(path.read_bytes(), bounds, dictionaries=allowed)
    texts = [name for name in dictionaries if not pa.types.is_integer(shape.field(name).type)]
    try:
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            found = file.metadata.schema.to_arrow_schema()
            if [(f.name, f.type) for f in found] != [(f.name, f.type) for f in shape]:
                raise TooMuch(f"its columns are {', '.join(str(f) for f in found)[:200]}")
            total = 0
            for batch in file.iter_batches(columns=texts):
                total += sum(map(_text_bytes, batch.columns))
                if total > bounds.text_bytes:
                    raise TooMuch(f"it takes more than {bounds.text_bytes // 2**20} MiB to read")
    except (pa.ArrowException, OSError, KeyError, TypeError) as error:
        raise TooMuch(f"it is not readable: {str(error).splitlines()[0][:200]}") from None


def _text_bytes(column: pa.Array) -> int:
    """Return the bytes of a column's values when each row has its own."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not isinstance(column, pa.DictionaryArray):
        return int(column.nbytes)
    return int(pc.sum(pc.binary_length(column.dictionary).take(column.indices)).as_py() or 0)


def check_pages(data: bytes, bounds: ParquetBounds, *, dictionaries: Collection[int]) -> None:
    """Refuse a file by its footer and page headers alone; nothing is decompressed. Raises `TooMuch`.

    dictionaries: the columns, by their place, whose values may be in a dictionary.
    """
    size = int.from_bytes(data[-8:-4], "little") if len(data) >= 12 else 0
    if len(data) < 12 or data[-4:] != MAGIC or data[:4] != MAGIC or size > len(data) - 12:
        raise TooMuch("it is not a Parquet file")
    if size > bounds.footer_bytes:
        raise TooMuch(f"its footer has {size:,} bytes, at most {bounds.footer_bytes:,} are read")
    decoded = rows = 0
    for group_rows, columns in _groups(_Reader(data, len(data) - 8 - size, len(data) - 8), bounds):
        rows += group_rows
        if rows > bounds.rows:
            raise TooMuch(f"it has more than {bounds.rows:,} rows")
        in_group = sum(
            _pages(data, column, group_rows, bounds, dictionary=place in dictionaries)
            for place, column in enumerate(columns)
        )
        decoded += in_group
        if in_group > bounds.group_bytes or decoded > bounds.decoded_bytes:
            raise TooMuch(f"it takes more than {min(bounds.group_bytes, bounds.decoded_bytes) // 2**20} MiB to read")


def _groups(footer: _Reader, bounds: ParquetBounds) -> Iterator[tuple[int, list[dict[int, Any]]]]:
    """Yield (rows, columns) of each row group; nothing is kept of what is not needed."""
    for number, kind in footer.fields():
        if number in (2, 4) and kind == _LIST:
            count, _ = footer.list_of()
            most = bounds.columns + 1 if number == 2 else bounds.groups  # the schema has a root
            if count > most:
                raise TooMuch(
                    f"it has {count:,} {'columns' if number == 2 else 'row groups'}, at most {most:,} are read"
                )
            for _ in range(count):
                if number == 2:
                    footer.skip(_STRUCT)
                else:
                    yield _group(footer, bounds)
        else:
            footer.skip(kind)


def _group(footer: _Reader, bounds: ParquetBounds) -> tuple[int, list[dict[int, Any]]]:
    columns: list[dict[int, Any]] = []
    rows = -1
    for number, kind in footer.fields():
        if number == 1 and kind == _LIST:
            count, _ = footer.list_of()
            if count > bounds.columns:
                raise TooMuch(f"a row group has {count:,} columns, at most {bounds.columns:,} are read")
            for _ in range(count):
                columns.append(_column(footer))
        elif number == 3 and kind in (4, 5, 6):
            rows = footer.integer()
        else:
            footer.skip(kind)
    if not 0 <= rows <= bounds.rows:
        raise TooMuch(f"a row group says it has {rows:,} rows")
    return rows, columns


def _column(footer: _Reader) -> dict[int, Any]:
    """Return codec (4), values (5), compressed bytes (7), first data page (9) and dictionary page (11) of a chunk."""
    found: dict[int, Any] = {}
    for number, kind in footer.fields():
        if number == 1 and kind == _BINARY:
            raise TooMuch("a column is in another file")
        if number == 3 and kind == _STRUCT:
            found = footer.pick(4, 5, 7, 9, 11)
        else:
            footer.skip(kind)
    return found


def _pages(data: bytes, column: dict[int, Any], rows: int, bounds: ParquetBounds, *, dictionary: bool) -> int:
    """Return the bytes a reader holds of a column chunk, page by page."""
    if column.get(4) not in (UNCOMPRESSED, ZSTD):
        raise TooMuch(f"a column is compressed by method {column.get(4)}, which no writer of ours uses")
    begin = min(column.get(9, -1), column.get(11, column.get(9, -1)))
    end = begin + column.get(7, -1)
    if not 4 <= begin <= end <= len(data) - 8 or column.get(5) != rows:
        raise TooMuch("a column is not where its footer says")
    total = values = 0
    reader = _Reader(data, begin, end)
    while reader.at < end:
        kind, size, compressed, found = _page(reader)
        reader.skip_bytes(compressed)
        if kind == DICTIONARY_PAGE:
            if not dictionary or size > bounds.dictionary_bytes:
                raise TooMuch("a column has a dictionary that no writer of ours makes")
        else:
            values += found
        if values > rows:
            raise TooMuch("a column has more values than rows")
        total += size
        if total > bounds.group_bytes:
            raise TooMuch(f"a column takes more than {bounds.group_bytes // 2**20} MiB to read")
    return total


def _page(reader: _Reader) -> tuple[int, int, int, int]:
    """Return (kind, bytes when decompressed, bytes in the file, values) of a page; the cursor is behind its header."""
    kind = size = compressed = values = -1
    encoding = -1
    for number, of in reader.fields():
        if number in (1, 2, 3) and of in (4, 5, 6):
            value = reader.integer()
            kind, size, compressed = (
                value if number == 1 else kind,
                value if number == 2 else size,
                value if number == 3 else compressed,
            )
        elif number in (5, 7) and of == _STRUCT:
            head = reader.pick(1, 2)
            values, encoding = head.get(1, -1), head.get(2, -1)
        elif number == 8 and of == _STRUCT:
            head = reader.pick(1, 4)
            values, encoding = head.get(1, -1), head.get(4, -1)
        else:
            reader.skip(of)
    if kind not in (DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2) or min(size, compressed, values) < 0:
        raise TooMuch("a page is not one that a writer of ours makes")
    if encoding not in (PLAIN, RLE, PLAIN_DICTIONARY, RLE_DICTIONARY):
        raise TooMuch(f"a page has the encoding {encoding}, which no writer of ours uses")
    return kind, size, compressed, values
