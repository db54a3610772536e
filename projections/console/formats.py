"""A stream of Arrow batches as JSON, CSV, Parquet or the rows of a table, in bounded memory.

Each writer is given `send(bytes)`, gets every batch once, and says at the end how many rows there were.
"""

from __future__ import annotations

import io
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ledger.outside import shown
from projections.console.values import INEXACT, cell_texts, is_numeric, json_texts

if TYPE_CHECKING:
    import pyarrow as pa

Send = Callable[[bytes], None]

TABLE_ROWS_MAX = 1_000
CELL_CHARACTERS_MAX = 2_000


class Writer(ABC):
    """One result being written. `names` are its columns, each once."""

    lossless = True  # whether the engine hands over types that Arrow does not have as they are
    refused: tuple[str, ...] = INEXACT

    def __init__(self, schema: pa.Schema, send: Send) -> None:
        self.schema = schema
        self.names = distinct_names(schema.names)
        self.send = send
        self.rows = 0

    @abstractmethod
    def write(self, batch: pa.RecordBatch) -> bool:
        """Write one batch; return False when no more are wanted."""

    @abstractmethod
    def close(self) -> None:
        """Write the end of the output."""

    def summary(self) -> dict[str, Any]:
        """What the parent tells people: columns, and rows written."""
        return {"columns": self.names, "rows": self.rows}


class JsonWriter(Writer):
    """One document: an array with one object per row, a row per line."""

    def write(self, batch: pa.RecordBatch) -> bool:
        """See `Writer`."""
        keys = [json.dumps(name, ensure_ascii=False) + ": " for name in self.names]
        columns = [json_texts(column, name) for column, name in zip(batch.columns, self.names, strict=True)]
        lines = []
        for row in zip(*columns, strict=True):
            pairs = [key + (text if text is not None else "null") for key, text in zip(keys, row, strict=True)]
            lines.append("  {" + ", ".join(pairs) + "}")
        if lines:
            start = "[\n" if not self.rows else ",\n"
            self.send((start + ",\n".join(lines)).encode())
            self.rows += len(lines)
        return True

    def close(self) -> None:
        """See `Writer`."""
        self.send(b"\n]\n" if self.rows else b"[]\n")


class CsvWriter(Writer):
    """RFC 4180 with a header line; UTF-8, `\\n`; NULL is an empty field, an empty text is `""`.

    It is for people and their spreadsheets: a text that one would compute as a formula has `'` before it. JSON and
    Parquet hold the exact text.
    """

    def __init__(self, schema: pa.Schema, send: Send) -> None:
        super().__init__(schema, send)
        self._text = [_is_text(field.type) for field in schema]
        self._send_lines([[_quoted(shown.csv(name)) for name in self.names]])

    def write(self, batch: pa.RecordBatch) -> bool:
        """See `Writer`."""
        columns = [cell_texts(column, name) for column, name in zip(batch.columns, self.names, strict=True)]
        columns = [
            [cell and shown.csv(cell) for cell in column] if text else column
            for column, text in zip(columns, self._text, strict=True)
        ]
        rows = [[_quoted(cell) for cell in row] for row in zip(*columns, strict=True)]
        self._send_lines(rows)
        self.rows += len(rows)
        return True

    def close(self) -> None:
        """See `Writer`."""

    def _send_lines(self, rows: list[list[str]]) -> None:
        if rows:
            self.send("".join(",".join(row) + "\n" for row in rows).encode())


class ParquetWriter(Writer):
    """A Parquet file (zstd, format 2.6). HUGEINT becomes DECIMAL(38, 0), enums become text."""

    lossless = False
    refused = (*INEXACT, "UHUGEINT", "INTERVAL")

    def __init__(self, schema: pa.Schema, send: Send) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        super().__init__(schema, send)
        fields = [pa.field(name, _storable(field.type)) for name, field in zip(self.names, schema, strict=True)]
        self.target = pa.schema(fields)
        self.sink = _Sink(send)
        self.writer = pq.ParquetWriter(self.sink, self.target, compression="zstd", version="2.6", store_schema=False)

    def write(self, batch: pa.RecordBatch) -> bool:
        """See `Writer`."""
        import pyarrow as pa

        columns = [column.cast(field.type) for column, field in zip(batch.columns, self.target, strict=True)]
        self.writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self.target))
        self.rows += batch.num_rows
        return True

    def close(self) -> None:
        """See `Writer`."""
        self.writer.close()


class TableWriter(Writer):
    """The first rows as cells for a table: one JSON document for the parent, safe for a terminal."""

    def __init__(self, schema: pa.Schema, send: Send) -> None:
        super().__init__(schema, send)
        self.right = [name for name, field in zip(self.names, schema, strict=True) if is_numeric(field.type)]
        self.cells: list[list[str | None]] = []
        self.more = False

    def write(self, batch: pa.RecordBatch) -> bool:
        """See `Writer`."""
        wanted = batch.slice(0, TABLE_ROWS_MAX - self.rows)
        columns = [cell_texts(column, name) for column, name in zip(wanted.columns, self.names, strict=True)]
        self.cells += [[_shown(cell) for cell in row] for row in zip(*columns, strict=True)]
        self.rows += wanted.num_rows
        self.more = wanted.num_rows < batch.num_rows
        return not self.more

    def close(self) -> None:
        """See `Writer`."""
        document = {"columns": [_shown(name) for name in self.names], "right": self.right, "rows": self.cells}
        self.send(json.dumps(document, ensure_ascii=False).encode())

    def summary(self) -> dict[str, Any]:
        """See `Writer`; `more` says that rows were left out."""
        return {**super().summary(), "more": self.more}


WRITERS: dict[str, type[Writer]] = {
    "json": JsonWriter,
    "csv": CsvWriter,
    "parquet": ParquetWriter,
    "table": TableWriter,
}


def distinct_names(names: list[str]) -> list[str]:
    """Return the column names with repeated ones numbered: a, a_1, a_2; an object has each key once."""
    taken: set[str] = set()
    result = []
    for name in names:
        candidate, number = name, 0
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate)
        result.append(candidate)
    return result


class _Sink(io.RawIOBase):
    """A write-only file over `send`, for a library that wants a file."""

    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any, /) -> int:
        raw = bytes(data)
        self._send(raw)
        self._at += len(raw)
        return len(raw)


def _storable(kind: Any) -> Any:
    """The type a Parquet file stores for an Arrow type."""
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: Any) -> bool:
    """Whether a cell of this type may begin as somebody likes: not a number, and not a list, which has a bracket."""
    import pyarrow as pa

    types = pa.types
    return any(
        (types.is_string(kind), types.is_large_string(kind), types.is_string_view(kind), types.is_dictionary(kind))
    )


def _quoted(cell: str | None) -> str:
    if cell is None:
        return ""
    if cell == "" or any(mark in cell for mark in ',"\r\n') or cell != cell.strip():
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _shown(cell: str | None) -> str | None:
    if cell is None:
        return None
    if len(cell) > CELL_CHARACTERS_MAX:
        cell = cell[:CELL_CHARACTERS_MAX] + "…"
    return shown.terminal(cell)
