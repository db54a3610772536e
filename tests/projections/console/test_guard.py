"""What the guard lets through, what it refuses, and that it refuses what it does not know."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from ledger.errors import BadInput
from projections.console.functions import ALLOWED_FUNCTIONS, ALLOWED_TABLE_FUNCTIONS
from projections.console.guard import NODES, QUERY_BYTES_MAX, Catalogue, Checked, check_text, check_tree

NAMES = Catalogue(frozenset({"results", "thresholds"}), frozenset({"fact_result", "duckdb_databases", "sqlite_master"}))

# Functions of the engine that touch a file, a setting, a log, a sequence, a secret, memory by its address,
# the catalogue, or that run text as SQL or only wait. None may ever be allowed.
DANGEROUS = """
arrow_scan arrow_scan_dumb pandas_scan python_arrow_scan python_map_function seq_scan
read_csv read_csv_auto read_text read_blob read_json read_json_auto read_ndjson read_json_objects
read_ndjson_objects read_parquet parquet_scan parquet_metadata parquet_schema parquet_file_metadata
parquet_kv_metadata parquet_bloom_probe sniff_csv glob read_duckdb read_single_csv_file
query query_table json_execute_serialized_sql json_serialize_sql json_deserialize_sql json_serialize_plan
checkpoint force_checkpoint enable_logging disable_logging truncate_duckdb_logs write_log enable_profiling
current_setting getvariable nextval currval setval setseed sleep_ms pg_sleep getenv txid_current
duckdb_settings duckdb_secrets which_secret duckdb_databases duckdb_extensions duckdb_logs duckdb_variables
duckdb_tables duckdb_views duckdb_functions duckdb_columns duckdb_prepared_statements duckdb_temporary_files
duckdb_external_file_cache pragma_storage_info pragma_database_size pragma_table_info pragma_user_agent
register_external_resource create_external_resource test_all_types test_vector_types summary repeat_row
current_database current_schema current_query current_user session_user version pg_get_viewdef
"""


@pytest.fixture(scope="module")
def tree() -> Callable[[str], str]:
    connection = duckdb.connect()
    return lambda query: connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()[0][0]


@pytest.fixture
def check(tree: Callable[[str], str]) -> Callable[[str], Checked]:
    return lambda query: check_tree(query, tree(query), NAMES)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "FROM results",
        "TABLE results;",
        "VALUES (1, 'a'), (2, 'b')",
        "SELECT * FROM Results r WHERE r.a = $x -- a comment; with a semicolon",
        "/* COPY x TO 'y' */ SELECT 'COPY x TO y; ATTACH z'",
        "SELECT * FROM thresholds(as_of := TIMESTAMPTZ '2026-06-01', as_recorded := now())",
        "WITH a AS (SELECT 1 AS x), b AS MATERIALIZED (FROM a) SELECT * FROM b JOIN a USING (x)",
        "WITH results AS (SELECT * FROM results WHERE true) SELECT * FROM results",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT max(n) FROM t",
        "SELECT a, count(*) FILTER (WHERE b > 1) FROM results GROUP BY ROLLUP (a) HAVING count(*) > 1 ORDER BY ALL",
        "SELECT lag(a) OVER w FROM results WINDOW w AS (PARTITION BY b ORDER BY c ROWS 2 PRECEDING)",
        "SELECT * FROM results QUALIFY row_number() OVER (PARTITION BY a ORDER BY b DESC NULLS LAST) = 1",
        "SELECT (SELECT max(a) FROM thresholds), EXISTS (FROM results), a IN (SELECT 1), a = ANY([1]) FROM results",
        "SELECT * EXCLUDE (a) REPLACE (b + 1 AS b), COLUMNS('c.*') FROM results TABLESAMPLE 10%",
        "SELECT a.b.c, a['k'], a[1:2], {'k': 1}, [1, 2], MAP {'k': 1}, list_transform([1], lambda x: x) FROM results",
        "SELECT [x * 2 FOR x IN [1, 2] IF x > 1], 'abc'.upper().lower(), results.a.trim() FROM results",
        "SELECT CASE WHEN a THEN 1 END, CAST(a AS DECIMAL(9, 2)), TRY_CAST(a AS DATE), a::JSON->>'$.x' FROM results",
        "SELECT ifnull(a, 1) FROM results",
        "SELECT COALESCE(a, 1), NULLIF(a, 1), a BETWEEN 1 AND 2, a IS DISTINCT FROM b, NOT a FROM results",
        "SELECT EXTRACT(year FROM now()), now() AT TIME ZONE 'UTC', INTERVAL 1 DAY, DATE '2026-01-01', current_date",
        "SELECT a LIKE 'x%', a ILIKE 'x' ESCAPE '!', a SIMILAR TO 'x', a GLOB 'x*', a ~ 'x', a || b FROM results",
        "PIVOT results ON a IN ('x', 'y') USING sum(b) GROUP BY c",
        "UNPIVOT results ON a, b INTO NAME n VALUE v",
        "SELECT * FROM range(3) r(i), generate_series(1, i), unnest([1, 2]) u, json_each('{}')",
        "FROM results ASOF JOIN thresholds ON results.a >= thresholds.a",
        "FROM results POSITIONAL JOIN thresholds",
        "(SELECT 1) UNION ALL BY NAME (SELECT 2) EXCEPT SELECT 3 LIMIT 10% OFFSET 1",
        "DESCRIBE results",
        "DESCRIBE SELECT a FROM results",
        "SUMMARIZE results",
        "SHOW results",
    ],
)
def test_queries_over_the_views_are_let_through(check: Callable[[str], Checked], query: str) -> None:
    assert not check(query).lists_views


def test_show_tables_is_answered_with_the_views_alone(check: Callable[[str], Checked]) -> None:
    assert check("SHOW TABLES").lists_views
    for query in ("SHOW ALL TABLES", "SHOW DATABASES", "DESCRIBE", "SHOW TABLES FROM main", "SHOW SCHEMAS"):
        with pytest.raises(BadInput, match=r"not allowed|does not parse"):
            check(query)


def test_parameters_are_collected_from_everywhere(check: Callable[[str], Checked]) -> None:
    query = "WITH a AS (SELECT $one) SELECT * FROM results(as_of := $two) WHERE x IN ($three, $one) LIMIT $four"
    assert check(query).parameters == {"one", "two", "three", "four"}


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("SELECT 1; SELECT 2", "2 statements at once"),
        ("WITH x AS (COPY (SELECT 1) TO '/tmp/f') SELECT 1", "COPY inside a query"),
        ("WITH x AS (INSERT INTO results VALUES (1) RETURNING *) FROM x", "INSERT inside a query"),
        ("SELECT * FROM (WITH x AS (DELETE FROM results RETURNING *) FROM x)", "DELETE inside a query"),
        ("SELECT (WITH x AS (UPDATE results SET a = 1 RETURNING *) SELECT 1)", "UPDATE inside a query"),
        ("EXPLAIN ANALYZE COPY results TO '/tmp/f'", "EXPLAIN"),
        ("-- a comment\n/* and\nanother */ ATTACH 'f' AS x", "ATTACH"),
        ("PRAGMA database_list", "PRAGMA"),
        ("SELECT * FROM fact_result", 'the relation "fact_result"'),
        ("SELECT * FROM memory.main.results", 'the relation "memory.main.results"'),
        ("SELECT * FROM information_schema.tables", 'the relation "information_schema.tables"'),
        ("SELECT * FROM 'f.csv'", 'the relation "f.csv"'),
        ('SELECT * FROM "/etc/passwd"', 'the relation "/etc/passwd"'),
        ("DESCRIBE 'f.parquet'", 'the relation "f.parquet"'),
        (
            "WITH duckdb_databases AS (SELECT 1) SELECT * FROM duckdb_databases",
            'a WITH clause named "duckdb_databases"',
        ),
        ('WITH "f.csv" AS (SELECT 1) SELECT * FROM "f.csv"', 'a WITH clause named "f.csv"'),
        ("SELECT * FROM read_csv('f')", "the table function read_csv()"),
        ("SELECT * FROM main.range(3)", "the table function main.range()"),
        ("SELECT list_transform([1], lambda x: nextval('s'))", "the function nextval()"),
        ("SELECT sum(current_setting('x')) OVER () FROM results", "the function current_setting()"),
        ("SELECT a FROM results ORDER BY getvariable('x') LIMIT sleep_ms(9)", "the function getvariable()"),
        ("SELECT 'x'.current_setting()", "the function current_setting()"),
        ("SELECT system.main.current_setting('x')", "the function current_setting()"),
        ("PIVOT results ON a USING sum(current_setting('x'))", None),
    ],
)
def test_everything_else_is_refused_by_name(check: Callable[[str], Checked], query: str, what: str | None) -> None:
    with pytest.raises(BadInput) as caught:
        check(query)
    assert caught.value.code == "sql_forbidden"
    assert caught.value.exit_code == 2
    if what is not None:
        assert caught.value.details["forbidden"] == what
        assert "read-only" in caught.value.message


def test_a_relation_that_does_not_exist_is_unknown_with_the_nearest_name(check: Callable[[str], Checked]) -> None:
    with pytest.raises(BadInput) as caught:
        check("SELECT *\nFROM reslts")
    assert caught.value.code == "sql_unknown_name"
    assert caught.value.message == 'there is no view "reslts"; did you mean "results"?'
    assert (caught.value.details["line"], caught.value.details["column"]) == (2, 6)


@pytest.mark.parametrize(
    ("query", "line", "column"),
    [
        ("selec 1", 1, 1),
        ("SELECT 'é→', 1\nFROM results\n  WHERE WHERE", 3, 9),
        ("SELECT 'é' selec selec selec", 1, 18),
    ],
)
def test_a_syntax_error_says_where_in_characters_not_bytes(
    check: Callable[[str], Checked], query: str, line: int, column: int
) -> None:
    with pytest.raises(BadInput) as caught:
        check(query)
    assert caught.value.code == "sql_syntax"
    assert (caught.value.details["line"], caught.value.details["column"]) == (line, column)
    assert f"line {line}, column {column}: syntax error at or near" in caught.value.message


@pytest.mark.parametrize("query", ["SELECT " + "(" * 3000 + "1" + ")" * 3000, "SELECT " + "+".join(["1"] * 5000)])
def test_nesting_without_end_is_one_clear_error(check: Callable[[str], Checked], query: str) -> None:
    with pytest.raises(BadInput) as caught:
        check(query)
    assert caught.value.code == "sql_too_deep"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "sql_empty"),
        (" \n\t", "sql_empty"),
        ("SELECT 1\x00; COPY x TO 'y'", "sql_syntax"),
        ("SELECT \x1b[2J1", "sql_syntax"),
        ("SELECT '\ud800'", "sql_syntax"),
        ("x" * (QUERY_BYTES_MAX + 1), "sql_too_long"),
    ],
)
def test_text_no_query_needs_is_refused_before_it_is_parsed(query: str, code: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_text(query)
    assert caught.value.code == code


def nodes_of(tree: Any) -> list[dict[str, Any]]:
    if isinstance(tree, dict):
        return [tree, *(node for value in tree.values() for node in nodes_of(value))]
    return [node for value in tree for node in nodes_of(value)] if isinstance(tree, list) else []


def test_a_node_a_newer_engine_may_bring_is_refused_wherever_it_stands(tree: Callable[[str], str]) -> None:
    """Rename each node and each expression of a tree in turn: every time the query must be refused."""
    query = "WITH a AS (SELECT upper(x) FROM results ORDER BY 1 LIMIT 1) SELECT * FROM a, range(2), (VALUES (1)) v"
    changed = 0
    for index, node in enumerate(nodes_of(json.loads(tree(query)))):
        for key in ("type", "class"):
            if not isinstance(node.get(key), str) or (key == "type" and "class" in node):
                continue
            document = json.loads(tree(query))
            nodes_of(document)[index][key] = "SOMETHING_NEW"
            with pytest.raises(BadInput, match=r"SOMETHING_NEW|table function"):
                check_tree(query, json.dumps(document), NAMES)
            changed += 1
    assert changed > 10


def test_a_function_hidden_in_one_of_its_two_names_is_refused(tree: Callable[[str], str]) -> None:
    """The tree names a function twice; which one the engine goes by must not matter."""
    for place in ("function_name", "qualified_name"):
        document = json.loads(tree("SELECT upper('x')"))
        (node,) = [node for node in nodes_of(document) if node.get("function_name") == "upper"]
        node[place] = "getvariable" if place == "function_name" else {"path": ["getvariable"]}
        with pytest.raises(BadInput, match="getvariable"):
            check_tree("SELECT upper('x')", json.dumps(document), NAMES)


def test_every_allowed_function_exists_and_no_dangerous_one_is_allowed() -> None:
    rows = duckdb.connect().execute("SELECT lower(function_name), function_type FROM duckdb_functions()").fetchall()
    existing = {name for name, _ in rows}
    assert existing >= ALLOWED_FUNCTIONS | ALLOWED_TABLE_FUNCTIONS
    allowed = ALLOWED_FUNCTIONS | ALLOWED_TABLE_FUNCTIONS
    assert not allowed & set(DANGEROUS.split())
    # everything of the pragma and copy kind, and every table function not named above, stays out
    expressions = {name for name, kind in rows if kind in ("scalar", "aggregate", "macro")}
    only_tables = {name for name, _ in rows} - expressions - {"cume_dist", "dense_rank"}
    assert only_tables & allowed - ALLOWED_TABLE_FUNCTIONS <= {name for name, kind in rows if kind == "window"} | {
        "histogram_values"
    }
    assert not {name for name in allowed if name.startswith(("pg_", "duckdb_", "pragma_", "read_", "__internal"))}


def test_no_node_that_writes_is_known() -> None:
    assert not [name for name in NODES if any(verb in name for verb in ("COPY", "INSERT", "UPDATE", "DELETE", "MERGE"))]
