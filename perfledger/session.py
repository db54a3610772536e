"""What `perfledger.open()` gives: one ledger, asked from Python in the fenced SQL that `perfledger sql` runs."""

from __future__ import annotations

import datetime
import decimal
import functools
import io
import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from ledger.errors import BadInput, Conflict

if TYPE_CHECKING:
    import pyarrow as pa

    from ledger.ledger import Ledger

Value: TypeAlias = (
    str | int | float | bool | decimal.Decimal | datetime.date | datetime.time | datetime.datetime | datetime.timedelta
)


class Answer:
    """The rows that a query gave, kept in memory as Parquet. `columns` are their names, each once."""

    def __init__(self, columns: list[str], parquet: bytes) -> None:
        self.columns = columns
        self._parquet = parquet

    def __len__(self) -> int:
        return int(self.arrow().num_rows)

    @functools.cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The rows as dicts of Python values: timestamps are aware datetimes in UTC, exact decimals `Decimal`."""
        found: list[dict[str, Any]] = self.arrow().to_pylist()
        return found

    def arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        return self._table

    @functools.cached_property
    def _table(self) -> pa.Table:
        import pyarrow.parquet as pq

        return pq.read_table(io.BytesIO(self._parquet))


class OpenLedger:
    """A ledger open for a program. `path` is its folder; leaving the `with` block closes it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger: Ledger | None = ledger
        self.path: Path = ledger.path

    @classmethod
    def at(cls, path: str | os.PathLike[str] | None, *, actor: str | None) -> OpenLedger:
        """Open the ledger in `path`, or the nearest one upward. Raises `BadInput`."""
        from ledger.ledger import Ledger

        return cls(Ledger.open(path, actor=actor))

    def sql(self, query: str, **parameters: Value) -> Answer:
        """Ask one query, `$name` in it standing for a parameter. Raises what `perfledger sql` ends with.

        It runs in a process of its own that reaches the views and nothing else, at most 30 seconds and 1 GiB.
        """
        from projections.console.query import Question, ask

        if self._ledger is None:
            raise Conflict(
                f"{self.path} was closed when its `with` block ended",
                code="ledger_closed",
                hint="ask inside the block, or call perfledger.open() again",
            )
        given = {name: _text(name, value) for name, value in parameters.items()}
        sink = io.BytesIO()
        summary = ask(self._ledger.path, Question(query, given, "parquet"), sink)
        return Answer(summary.columns, sink.getvalue())

    def close(self) -> None:
        """End the use of it. Answers that were given stay."""
        self._ledger = None

    def __enter__(self) -> OpenLedger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


def _text(name: str, value: Value) -> str:
    """Return a value as the engine reads it. Raises `BadInput` for a type without an exact text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.timedelta):
        return f"{value // datetime.timedelta(microseconds=1)} microseconds"
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, str | int | float | decimal.Decimal):
        return str(value)
    raise BadInput(
        f"the parameter {name} is {type(value).__name__}, which has no text that SQL reads",
        code="sql_parameter_type",
        hint="give text, a number, a truth value, a date, a time or a timedelta; NULL is written in the query",
        field=name,
    )
