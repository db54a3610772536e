"""Names without brackets that the engine answers like functions: the allow-list holds for them too.

DuckDB parses `SELECT current_user` as a reference to a column, and makes a function of it when no column of that name
is there. The parse tree that the guard reads does not show the difference.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from ledger.errors import BadInput
from projections.console.functions import ALLOWED_FUNCTIONS, REFUSED_COLUMNS
from projections.console.guard import Catalogue, check_tree

VIEWS = Catalogue(frozenset({"results"}))


def refuse_or_pass(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    [[tree]] = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
    check_tree(query, tree, VIEWS)


def names_the_engine_answers(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Every function name and keyword that is an answer by itself, as `SELECT name`."""
    names = connection.execute(
        "SELECT function_name FROM duckdb_functions() UNION SELECT keyword_name FROM duckdb_keywords() ORDER BY 1"
    ).fetchall()
    for (name,) in names:
        quoted = '"' + str(name).replace('"', '""') + '"'
        try:
            connection.execute(f"SELECT {quoted}").fetchall()
        except duckdb.Error:
            continue
        yield str(name)


def test_no_name_of_the_installed_engine_is_a_way_around_the_list_of_functions() -> None:
    connection = duckdb.connect()
    answered = set(names_the_engine_answers(connection))
    assert {"current_user", "user", "current_date"} <= answered, "the search finds what is known to be there"
    assert answered - ALLOWED_FUNCTIONS <= REFUSED_COLUMNS
    for name in answered - ALLOWED_FUNCTIONS:
        with pytest.raises(BadInput, match=name):
            refuse_or_pass(connection, f'SELECT "{name}"')


@pytest.mark.parametrize("name", sorted(REFUSED_COLUMNS))
@pytest.mark.parametrize(
    "query",
    [
        "SELECT {name}",
        'SELECT "{name}"',
        "SELECT upper({name}) FROM results",
        "FROM results WHERE target = {name}",
        "FROM results ORDER BY {name}",
        "FROM results GROUP BY ALL HAVING {name} = 'x'",
        "SELECT list_transform([1], x -> {name})",
        "SELECT (SELECT {name})",
        "WITH a AS (SELECT {name} AS u) FROM a",
        "FROM results(as_of := {name})",
        "SELECT CASE WHEN {name} = 'duckdb' THEN 1 END",
    ],
)
def test_a_name_that_is_a_function_is_refused_wherever_it_stands(name: str, query: str) -> None:
    connection = duckdb.connect()
    for spelled in (name, name.upper(), name.title()):
        with pytest.raises(BadInput) as caught:
            refuse_or_pass(connection, query.format(name=spelled))
        assert caught.value.code == "sql_forbidden" and spelled in caught.value.message


def test_a_column_of_such_a_name_is_read_through_its_relation() -> None:
    refuse_or_pass(
        duckdb.connect(), 'SELECT t."user", t.current_schema FROM (VALUES (1, 2)) AS t("user", current_schema)'
    )
