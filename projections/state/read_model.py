"""The fact tables in another database, for tools that speak SQLite or PostgreSQL (Grafana, Metabase)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ledger.errors import BadInput, Unavailable
from projections.state import catalogue
from projections.state.state import State

if TYPE_CHECKING:
    import sqlite3

    import sqlalchemy as sa

    from ledger.ledger import Ledger

BATCH_ROWS = 5_000


def fill(ledger: Ledger, url: str) -> dict[str, int]:
    """Replace the fact tables at an SQLAlchemy URL by the ledger's, in one transaction; return rows per table.

    Raises `BadInput` for a URL that is none or has no driver here, `Unavailable` when the database fails.
    """
    import sqlalchemy as sa
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    from projections.facts.schema import tables

    try:
        engine = sa.create_engine(url)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError) as error:
        raise BadInput(
            f"cannot use {url.split('@')[-1]!r} as a database: {error}",
            code="bad_database_url",
            hint="sqlite:///FILE, or postgresql+psycopg://USER:PASSWORD@HOST/DB with perfledger[postgres]",
        ) from None
    if engine.dialect.name == "sqlite":
        _begin_before_tables(engine)
    counts: dict[str, int] = {}
    metadata = sa.MetaData()
    targets = [_wide(table, metadata) for table in tables()]
    try:
        with State.open(ledger) as state, engine.begin() as connection:
            for table in targets:
                table.drop(connection, checkfirst=True)
                table.create(connection)
                counts[table.name] = _copy(state, connection, table)
    except SQLAlchemyError as error:
        raise Unavailable(
            f"the database refused: {str(error).splitlines()[0]}",
            code="database_failed",
            hint="nothing was changed there; check the address and its permissions",
        ) from None
    finally:
        engine.dispose()
    return counts


def file_of(url: str) -> str | None:
    """Return the file an SQLite URL names; None for one in memory, another database, or what is no URL."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None  # `fill` says what is wrong with it
    return parsed.database if parsed.get_backend_name() == "sqlite" and parsed.database != ":memory:" else None


def _begin_before_tables(engine: sa.Engine) -> None:
    """Let a transaction of SQLite hold the making of tables too: Python's driver begins one only before rows."""
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def leave_it_to_us(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _wide(table: sa.Table, metadata: sa.MetaData) -> sa.Table:
    """Return a copy whose integers are 64 bits: a plain INTEGER holds positions only up to 2^31 in PostgreSQL."""
    import sqlalchemy as sa

    copy = table.to_metadata(metadata)
    for column in copy.columns:
        if isinstance(column.type, sa.Integer) and not isinstance(column.type, sa.BigInteger):
            column.type = sa.BigInteger()
        column.autoincrement = False
    return copy


def _copy(state: State, connection: sa.Connection, table: sa.Table) -> int:
    import sqlalchemy as sa

    times = {c.name for c in table.columns if isinstance(c.type, sa.DateTime)}
    json_columns = {c.name for c in table.columns if isinstance(c.type, sa.JSON)}
    state.prepare(table.name)
    cursor = state.connection.execute(f"SELECT * FROM {table.name} ORDER BY {catalogue.facts()[table.name].key}")
    names = cursor.names
    count = 0
    while chunk := cursor.fetchmany(BATCH_ROWS):
        rows = [_row(dict(zip(names, values, strict=True)), times, json_columns) for values in chunk]
        connection.execute(table.insert(), rows)
        count += len(rows)
    return count


def _row(row: dict[str, Any], times: set[str], json_columns: set[str]) -> dict[str, Any]:
    import datetime as dt

    from ledger import canonical

    for name in times:
        moment: datetime | None = row[name]
        row[name] = moment.astimezone(dt.UTC) if moment else None
    for name in json_columns:
        row[name] = canonical.decode(row[name]) if row[name] is not None else None
    return row
