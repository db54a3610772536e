"""The only module that uses duckdb directly."""

from __future__ import annotations

import datetime as dt
import decimal
import itertools
import json
import math
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

# How the engine words a disk or a memory that failed; it has one class for these and for files it cannot read.
OUTSIDE = ("Could not write", "No space left", "File too large", "Disk quota", "truncate")
_PLAIN = re.compile(r"[A-Za-z0-9_./ ,=+@~:-]*")
_folders: dict[tuple[str, int, int], int] = {}
FILLED_AT_ONCE = 10_000  # rows of a table made from Python


class EngineFailed(Exception):
    """The engine refused a statement that perfledger wrote. The first line of the message says why."""


class EngineOutside(EngineFailed):
    """The disk or the memory failed, not what was read."""


@contextmanager
def _ours() -> Iterator[None]:
    """Turn what the engine raises into `EngineFailed`, `EngineOutside` or KeyboardInterrupt."""
    import duckdb

    try:
        yield
    except duckdb.InterruptException as error:
        raise KeyboardInterrupt from error
    except duckdb.Error as error:
        outside = isinstance(error, duckdb.OutOfMemoryException) or (
            isinstance(error, duckdb.IOException) and any(sign in str(error) for sign in OUTSIDE)
        )
        raise (EngineOutside if outside else EngineFailed)(str(error)) from error
    except RuntimeError as error:
        # Ctrl-C while it computes: the engine takes the signal itself, and has no class of its own for it
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise


class Connection:
    """A connection to the engine, whose errors are ours.

    `raw` is the engine's own connection: only for the process of the console, where a person's query needs the
    engine's own words for what is wrong.
    """

    def __init__(self, raw: duckdb.DuckDBPyConnection) -> None:
        self.raw = raw

    def execute(self, sql: str, parameters: Any = None) -> Connection:
        """Run one statement. Its rows are fetched from what is returned, until the next statement."""
        with _ours():
            self.raw.execute(sql, parameters)
        return self

    @property
    def names(self) -> list[str]:
        """The names of the columns of the last statement."""
        return [column[0] for column in self.raw.description or []]

    def fetchone(self) -> Any:
        """Return the next row of the last statement as a tuple, None after the last row."""
        with _ours():
            return self.raw.fetchone()

    def fetchmany(self, size: int) -> list[Any]:
        """Return the next rows of the last statement, at most `size`."""
        with _ours():
            return self.raw.fetchmany(size)

    def fetchall(self) -> list[Any]:
        """Return all rows of the last statement that are left."""
        with _ours():
            return self.raw.fetchall()

    def register(self, name: str, relation: object) -> None:
        """Let statements read an Arrow table or data set as `name`."""
        with _ours():
            self.raw.register(name, relation)

    def close(self) -> None:
        """Close the connection."""
        self.raw.close()


def version() -> str:
    """Return the version of the engine."""
    import duckdb

    return str(duckdb.__version__)


def connect(path: Path | None = None, **settings: Any) -> Connection:
    """Open a database file, or one in memory, with times in UTC and no implicit reach to Python variables.

    Raises `EngineOutside` for a file that the engine would look for at another place.
    """
    import duckdb

    if path is not None and not holds_databases(path):
        raise EngineOutside(f"the engine writes no database below {path.parent}: its name has a ?, a \\ or no UTF-8")
    config: dict[str, Any] = {
        "python_enable_replacements": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        **{k: str(v) for k, v in settings.items()},
    }
    with _ours():
        connection = Connection(duckdb.connect(str(path) if path else ":memory:", config=config))
    connection.execute("SET TimeZone='UTC'")
    return connection


def holds_databases(path: Path) -> bool:
    """Whether the engine takes the name of a database file for what it is, with links followed."""
    name = str(path.parent.resolve())
    return "?" not in name and "\\" not in name and _is_unicode(name)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def place(path: Path) -> str:
    """Return the path of a file to read that the engine takes for what it is.

    It reads `?`, `*` and `[` as patterns, `\\` as `/`, and takes no name that is not UTF-8. A folder with such a name
    is opened, and goes by the number of its descriptor, which stays open for the process.
    """
    if _PLAIN.fullmatch(str(path)):
        return str(path)
    folder = path.parent
    seen = folder.stat()
    key = (str(folder), seen.st_dev, seen.st_ino)
    if key not in _folders:
        _folders[key] = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{_folders[key]}/{path.name}"


def attach(connection: Connection, path: Path, name: str) -> bool:
    """Attach a database file read-only. Return False when there is none, or it is not a database."""
    if not holds_databases(path):
        return False
    try:
        connection.execute(f"ATTACH '{quote(str(path))}' AS {name} (READ_ONLY)")
    except EngineFailed:
        return False
    return True


def fill(connection: Connection, name: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Make a table of the session from rows of JSON values. columns: name to the engine's type.

    Rows are taken a part at a time, so that a generator of many may itself ask the connection between two parts.
    """
    shape = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
    connection.execute(f"CREATE TEMP TABLE {name} ({shape})")
    left = iter(rows)
    while part := [{column: row[column] for column in columns} for row in itertools.islice(left, FILLED_AT_ONCE)]:
        connection.execute(
            f"INSERT INTO {name} SELECT unnest(line) FROM (SELECT unnest(from_json($rows, $shape)) AS line)",
            {"rows": json.dumps(part), "shape": json.dumps([dict(columns)])},
        )


def quote(text: str) -> str:
    """Return text for use between single quotes in SQL."""
    return text.replace("'", "''")


def rows(connection: Connection, sql: str, parameters: Any = None) -> list[dict[str, Any]]:
    """Run a query and return its rows as dicts of JSON-ready values. All rows are fetched: late errors come here."""
    names = connection.execute(sql, parameters).names
    return [dict(zip(names, map(plain, row), strict=True)) for row in connection.fetchall()]


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
