"""One query on one locked connection: check it, run it, write its rows, and say in one sentence what went wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ledger.errors import BadInput, PerfledgerError, Unavailable
from projections.console import guard as console_guard
from projections.console.formats import WRITERS, Send, Writer
from projections.console.values import check_types

BATCH_ROWS = 4_096
EXISTING_RELATIONS = """
SELECT lower(table_name) FROM duckdb_tables() UNION SELECT lower(view_name) FROM duckdb_views()
UNION SELECT lower(table_name) FROM information_schema.tables
"""
# The engine's kinds of errors that are about the query's text, not about the values it meets.
LEARN = "SHOW TABLES lists the views, DESCRIBE results the columns of one"
CODES = {
    "Catalog Error": ("sql_unknown_name", LEARN),
    "Binder Error": ("sql_unknown_name", LEARN),
    "Parser Error": ("sql_syntax", LEARN),
}
# How the C++ library and Arrow say it; the engine has a kind of its own.
OUT_OF_MEMORY = re.compile(r"std::bad_alloc|bad allocation|\b(re|m)alloc of size \d+")
# What `SHOW TABLES` becomes: the engine's own answer would list what is hidden, with the paths of its files.
LIST_OF_VIEWS = """
SELECT view.name, view.about
FROM (SELECT unnest(from_json($views, '[{"name": "VARCHAR", "about": "VARCHAR"}]')) AS view)
"""
# One value of every type a result may have, to import beforehand what writing it needs.
EVERY_TYPE = """
SELECT 1::HUGEINT AS a, 1.5::DECIMAL(4, 1) AS b, 1.5::REAL AS c, 1.5::DOUBLE AS d, now() AS e,
       DATE '2026-01-01' AS f, TIME '12:00:00' AS g, uuid() AS h, 'x'::BLOB AS i,
       [{'k': MAP {'m': 1}}] AS j, '{}'::JSON AS k, 'x' AS l, true AS m
"""


def lock(connection: Any, *, memory_mb: int, lossless: bool) -> None:
    """Take from an open connection everything a query does not need. It cannot be given back.

    lossless: whether results keep the types Arrow does not have (HUGEINT) instead of the nearest one it has.
    """
    for statement in (
        f"SET memory_limit = '{memory_mb}MiB'",
        "SET threads = 1",  # one thread: float sums come out the same every time
        "SET temp_directory = ''",
        "SET max_temp_directory_size = '0B'",
        "SET python_enable_replacements = false",
        "SET autoinstall_known_extensions = false",
        "SET autoload_known_extensions = false",
        "SET allow_community_extensions = false",
        "SET enable_progress_bar = false",
        "SET TimeZone = 'UTC'",
        f"SET arrow_lossless_conversion = {'true' if lossless else 'false'}",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(statement).fetchall()


def names_of(connection: Any, views: Mapping[str, str]) -> console_guard.Catalogue:
    """Return what names mean: the views may be read, every other relation that exists is hidden."""
    existing = {name for (name,) in connection.execute(EXISTING_RELATIONS).fetchall()}
    return console_guard.Catalogue(frozenset(views), frozenset(existing) - frozenset(views))


def warm_up(connection: Any, form: str) -> None:
    """Use every piece of code once, because nothing can be imported behind the walls."""
    reader = connection.sql(EVERY_TYPE).to_arrow_reader(10)
    writer = WRITERS[form](reader.schema, lambda _: None)
    for batch in reader:
        writer.write(batch)
    writer.close()
    try:
        connection.sql("SELECT error('x')").to_arrow_reader(10).read_all()
    except Exception as error:  # noqa: BLE001  (any error will do: it warms the path that errors take)
        explained(error, "", 0)


class Query:
    """A query on a locked connection. `views` says in a sentence what each view is."""

    def __init__(self, connection: Any, views: Mapping[str, str], *, memory_mb: int) -> None:
        self.connection = connection
        self.views = views
        self.names = names_of(connection, views)
        self.memory_mb = memory_mb

    def answer(
        self, query: str, given: Mapping[str, str], form: str, send: Send, still_time: Callable[[], None]
    ) -> Writer:
        """Check the query and write its result with `send`; `still_time` raises when the time is over.

        Raises what `console.ask` raises.
        """
        try:
            reader = self._rows(query, given, WRITERS[form].refused)
            writer = WRITERS[form](reader.schema, send)
            for batch in reader:
                still_time()
                if not writer.write(batch):
                    break
            still_time()
            writer.close()
        except PerfledgerError:
            raise
        except MemoryError:
            raise out_of_memory(self.memory_mb) from None
        except Exception as error:  # noqa: BLE001  (whatever the engine raises becomes one sentence)
            still_time()
            raise explained(error, query, self.memory_mb) from None
        return writer

    def _rows(self, query: str, given: Mapping[str, str], refused: Collection[str]) -> Any:
        console_guard.check_text(query)
        ((tree,),) = self.connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
        checked = console_guard.check_tree(query, tree, self.names)
        _check_parameters(checked.parameters, given)
        if checked.lists_views:
            listed = [{"name": name, "about": about} for name, about in sorted(self.views.items())]
            query, given = LIST_OF_VIEWS, {"views": json.dumps(listed)}
        # a relation, not execute(): only this way do batches come as they are made, instead of all at once
        relation = self.connection.sql(query, params=dict(given) or None)
        check_types(relation.columns, [str(kind) for kind in relation.types], refused=refused)
        return relation.to_arrow_reader(BATCH_ROWS)


def _check_parameters(used: set[str], given: Mapping[str, str]) -> None:
    if any(not name.isidentifier() for name in used):
        raise BadInput(
            "parameters have names here: $since, not ? or $1",
            code="sql_parameter_missing",
            hint="--param since=2026-06-01",
        )
    missing, unused = sorted(used - given.keys()), sorted(given.keys() - used)
    if missing:
        raise BadInput(
            f"the query needs the parameter {', '.join('$' + name for name in missing)}",
            code="sql_parameter_missing",
            hint=f"--param {missing[0]}=VALUE",
            missing=missing,
        )
    if unused:
        raise BadInput(
            f"the query does not use the parameter {', '.join('$' + name for name in unused)}",
            code="sql_parameter_unused",
            hint="write $name in the query, without quotes",
            unused=unused,
        )


def out_of_memory(memory_mb: int) -> Unavailable:
    """Return the error for a query that needs more memory than it may have."""
    return Unavailable(
        f"the query needs more than the {memory_mb} MiB of memory it may use",
        code="sql_out_of_memory",
        hint="narrow it down, or allow more with --memory",
        memory_mb=memory_mb,
    )


def explained(error: Exception, query: str, memory_mb: int) -> PerfledgerError:
    """Turn what the engine raised into one sentence; through Arrow it comes as an OSError with the same text."""
    text = str(error).strip()
    kind, _, rest = text.partition(": ")
    if "Out of Memory" in kind or OUT_OF_MEMORY.search(text):
        return out_of_memory(memory_mb)
    body, _, shown = (rest or text).partition("\n\nLINE ")
    if "expression depth" in body:
        return console_guard.too_deep()
    lines = [line.strip() for line in body.splitlines() if line.strip()]
    message = lines[0] if lines else type(error).__name__
    where = _line_and_column(shown, query)
    place = f" at line {where['line']}, column {where['column']}" if where else ""
    code, hint = CODES.get(kind, ("sql_failed", "look at the values it met; TRY_CAST and TRY() pass over bad ones"))
    return BadInput(
        f"the query failed{place}: {message}",
        code=code,
        hint=" ".join(lines[1:]) or hint,
        engine=kind if rest else type(error).__name__,
        **where,
    )


def _line_and_column(shown: str, query: str) -> dict[str, int]:
    """Find the place an engine's message points at: "2:  zz + 1", and a line of carets under it."""
    excerpt, _, carets = shown.partition("\n")
    number, _, line = excerpt.partition(": ")
    at = carets.find("^") - len(f"LINE {number}: ")
    lines = query.split("\n")
    if not (number.isascii() and number.isdigit()) or at < 0 or not 0 < int(number) <= len(lines):
        return {}
    start = 0
    if line.startswith("..."):  # a long line is shown from its middle on; the shown part is found in the query
        start = max(0, lines[int(number) - 1].find(line.strip("."))) - len("...")
    return {"line": int(number), "column": start + at + 1}
