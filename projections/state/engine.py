"""The only module that speaks to duckdb."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger.errors import Damaged, PerfledgerError

if TYPE_CHECKING:
    import duckdb

Connection = "duckdb.DuckDBPyConnection"


def connect(path: Path | None = None, **settings: Any) -> duckdb.DuckDBPyConnection:
    """Open a database file, or one in memory, with times in UTC and no implicit reach to Python variables."""
    import duckdb

    config: dict[str, Any] = {
        "python_enable_replacements": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        **{k: str(v) for k, v in settings.items()},
    }
    connection = duckdb.connect(str(path) if path else ":memory:", config=config)
    connection.execute("SET TimeZone='UTC'")
    return connection


def attach(connection: duckdb.DuckDBPyConnection, path: Path, name: str) -> bool:
    """Attach a database file read-only. Return False when there is none, or it is not a database."""
    import duckdb

    try:
        connection.execute(f"ATTACH '{quote(str(path))}' AS {name} (READ_ONLY)")
    except duckdb.Error:
        return False
    return True


def quote(text: str) -> str:
    """Return text for use between single quotes in SQL."""
    return text.replace("'", "''")


def rows(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Any = None) -> list[dict[str, Any]]:
    """Run a query and return its rows as dicts of JSON-ready values. All rows are fetched: late errors come here."""
    cursor = connection.execute(sql, parameters)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, map(plain, row), strict=True)) for row in cursor.fetchall()]


def plain(value: Any) -> Any:
    """Return a fetched value as JSON has it: times as ISO 8601 UTC text, NaN as None, bytes as hex."""
    kind = type(value)
    if value is None or kind in (str, int, bool):
        return value
    if kind is float:
        return value if math.isfinite(value) else None
    if isinstance(value, dt.datetime):
        moment = value.astimezone(dt.UTC) if value.tzinfo else value
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (uuid.UUID, dt.timedelta)):
        return str(value)
    return str(value)


def as_damage(error: Exception, what: str) -> PerfledgerError:
    """Turn an engine error in our own SQL into the error a user can act on."""
    return Damaged(f"{what}: {str(error).splitlines()[0]}", code="projection_failed", hint="perfledger replay")
