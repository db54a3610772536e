"""Results as text: exact numbers, no NaN, ISO 8601 times, and files other programs read."""

from __future__ import annotations

import csv
import io
import json
import math
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import BadInput
from projections.console.engine import Query, lock
from projections.console.formats import CELL_CHARACTERS_MAX, TABLE_ROWS_MAX, WRITERS, distinct_names


def ask(form: str, query: str, **parameters: str) -> tuple[bytes, dict[str, Any]]:
    """The bytes of a result and its summary, from a locked connection in this process."""
    connection = duckdb.connect()
    lock(connection, memory_mb=512, lossless=WRITERS[form].lossless)
    sent: list[bytes] = []
    writer = Query(connection, {}, memory_mb=512).answer(query, parameters, form, sent.append, lambda: None)
    return b"".join(sent), writer.summary()


def value(expression: str) -> Any:
    """What a JSON reader makes of one value; numbers as Decimal or int, so that no digit is lost."""
    data, _ = ask("json", f"SELECT {expression} AS x")
    (row,) = json.loads(data, parse_float=Decimal, parse_constant=pytest.fail)
    return row["x"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("NULL", None),
        ("true", True),
        ("9223372036854775807", 2**63 - 1),
        ("18446744073709551615::UBIGINT", 2**64 - 1),
        ("170141183460469231731687303715884105727::HUGEINT", 2**127 - 1),
        ("-1::HUGEINT", -1),
        ("340282366920938463463374607431768211455::UHUGEINT", 2**128 - 1),
        ("sum(9223372036854775807) OVER ()", 2**63 - 1),
        ("1.50::DECIMAL(18, 2)", Decimal("1.50")),
        ("0.1::REAL", Decimal("0.1")),
        ("0.1::DOUBLE", Decimal("0.1")),
        ("1e300", Decimal("1e300")),
        ("'NaN'::DOUBLE", None),
        ("'-inf'::DOUBLE", None),
        ("'inf'::REAL", None),
        ("['NaN'::DOUBLE, 1.0::DOUBLE]", [None, 1]),
        ("TIMESTAMPTZ '2026-01-02 03:04:05.000006+02'", "2026-01-02T01:04:05.000006Z"),
        ("TIMESTAMP '2026-01-02 03:04:05'", "2026-01-02T03:04:05.000000"),
        ("'infinity'::TIMESTAMPTZ", "infinity"),
        ("'-infinity'::DATE", "-infinity"),
        ("TIMESTAMPTZ '1969-12-31 23:59:59.5+00'", "1969-12-31T23:59:59.500000Z"),
        ("TIMESTAMP_NS '2026-01-02 03:04:05.123456789'", "2026-01-02T03:04:05.123456789"),
        ("DATE '0099-02-03'", "0099-02-03"),
        ("TIME '12:00:00.5'", "12:00:00.500000"),
        ("INTERVAL '1 month 2 days 3.5 seconds'", "P1M2DT3.5S"),
        ("INTERVAL 0 DAY", "PT0S"),
        ("INTERVAL '-1.25 seconds'", "PT-1.25S"),
        ("'a\"\\\n→'", 'a"\\\n→'),
        ("chr(1)", "\x01"),
        ("'x'::BLOB", "78"),
        ("'x'::ENUM('x', 'y')", "x"),
        ("UUID '7f8c1f3e-0000-7000-8000-000000000000'", "7f8c1f3e-0000-7000-8000-000000000000"),
        ("'{\"a\": [1, 12345678901234567890]}'::JSON", {"a": [1, 12345678901234567890]}),
        ("'NaN'::JSON", "NaN"),
        ("[1, NULL]", [1, None]),
        ("[]::INT[]", []),
        ("NULL::INT[]", None),
        ("[1, 2]::INT[2]", [1, 2]),
        ("{'a': 1, 'b': {'c': [NULL, 'x']}}", {"a": 1, "b": {"c": [None, "x"]}}),
        ("MAP {'k': 1.5}", {"k": Decimal("1.5")}),
        ("MAP {1: NULL}", {"1": None}),
        ("[{'x': '{\"a\":1}'::JSON, 't': DATE '2026-01-01'}]", [{"x": {"a": 1}, "t": "2026-01-01"}]),
    ],
)
def test_json_holds_every_value_exactly(expression: str, expected: Any) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "'101'::BIT",
        "1::UNION(n INT, s VARCHAR)",
        "TIMETZ '12:00:00+02'",
        "'123'::BIGNUM",
        "'{}'::JSON::VARIANT",
        "['101'::BIT]",
        "{'a': {'b': '1'::BIGNUM}}",
    ],
)
def test_a_type_without_an_exact_form_is_refused_by_name(expression: str) -> None:
    for form in WRITERS:
        with pytest.raises(BadInput, match='column "odd" has the type') as caught:
            ask(form, f"SELECT 1 AS fine, {expression} AS odd")
        assert caught.value.code == "sql_unsupported_type"


def test_a_field_or_a_word_named_like_a_type_is_no_reason_to_refuse() -> None:
    assert value("{'UNION': 1, 'BIT': 'VARIANT'}") == {"UNION": 1, "BIT": "VARIANT"}
    assert value("'BIT'::ENUM('BIT', 'BIGNUM')") == "BIT"


@given(
    st.lists(
        st.tuples(
            st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
            st.none() | st.integers(-(2**127) + 1, 2**127 - 1),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
        ),
        max_size=20,
    )
)
@settings(max_examples=30, deadline=None)
def test_whatever_goes_in_comes_out_of_json_and_csv(rows: list[tuple[str | None, int | None, float | None]]) -> None:
    given_rows = json.dumps(
        [
            {"i": i, "t": t, "n": None if n is None else str(n), "f": f if f is None else repr(f)}
            for i, (t, n, f) in enumerate(rows)
        ]
    )
    query = """SELECT r.t AS t, CAST(r.n AS HUGEINT) AS n, CAST(r.f AS DOUBLE) AS f
               FROM (SELECT unnest(from_json($rows, '[{"i":"INT","t":"VARCHAR","n":"VARCHAR","f":"VARCHAR"}]')) AS r)
               ORDER BY r.i"""
    data, summary = ask("json", query, rows=given_rows)
    assert [(r["t"], r["n"], r["f"]) for r in json.loads(data)] == rows
    assert summary == {"columns": ["t", "n", "f"], "rows": len(rows)}
    data, _ = ask("csv", query, rows=given_rows)
    read = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    assert [r["n"] for r in read] == ["" if n is None else str(n) for _, n, _ in rows]
    assert [r["f"] and float(r["f"]) for r in read] == ["" if f is None else f for *_, f in rows]
    exact = [t or "" for t, *_ in rows]
    assert [r["t"] if r["t"] == t else r["t"].removeprefix("'") for r, t in zip(read, exact, strict=True)] == exact
    assert not any(r["t"].startswith(tuple("=+-@\t\r")) for r in read), "what a spreadsheet would compute"


def test_json_is_one_document_of_a_row_per_line_also_when_it_is_empty_or_many_batches() -> None:
    assert ask("json", "SELECT 1 AS a WHERE false")[0] == b"[]\n"
    data, summary = ask("json", "SELECT range AS a FROM range(10000)")
    assert [row["a"] for row in json.loads(data)] == list(range(10000))
    assert data.count(b"\n") == 10002
    assert summary["rows"] == 10000


def test_a_repeated_column_name_gets_a_number() -> None:
    data, summary = ask("json", "SELECT 1 AS a, 2 AS a, 3 AS a_1")
    assert summary["columns"] == ["a", "a_1", "a_1_1"]
    assert json.loads(data) == [{"a": 1, "a_1": 2, "a_1_1": 3}]
    assert distinct_names(["x", "x_1", "x", "x"]) == ["x", "x_1", "x_2", "x_3"]


def test_csv_tells_null_from_empty_text_and_quotes_what_needs_it() -> None:
    data, _ = ask("csv", """SELECT NULL AS n, '' AS e, 'a,b' AS "c,d", 'say "x"' AS q, 'l1\nl2' AS l, ' pad ' AS p""")
    assert data == b'n,e,"c,d",q,l,p\n,"","a,b","say ""x""","l1\nl2"," pad "\n'


def test_parquet_is_read_by_pyarrow_and_by_duckdb_with_its_types(tmp_path: Any) -> None:
    data, _ = ask(
        "parquet",
        """SELECT i, sum(i) OVER () AS total, 'x'::ENUM('x') AS e, [i] AS l, now() AS t,
                                       '{"a":1}'::JSON AS j, NULL AS nothing, uuid() AS u
                                FROM range(5000) r(i)""",
    )
    path = tmp_path / "x.parquet"
    path.write_bytes(data)
    table = pq.read_table(path)
    assert table.num_rows == 5000
    assert table.column("total")[0].as_py() == Decimal(sum(range(5000)))
    assert str(table.schema.field("t").type) == "timestamp[us, tz=UTC]"
    read = duckdb.connect().execute(f"SELECT max(l[1]), min(e), min(j->>'a') FROM '{path}'").fetchall()
    assert read == [(4999, "x", "1")]
    for expression in ("INTERVAL 1 DAY", "1::UHUGEINT"):
        with pytest.raises(BadInput, match="no exact form"):
            ask("parquet", f"SELECT {expression}")


def test_a_table_shows_the_first_rows_and_can_do_nothing_to_a_terminal() -> None:
    data, summary = ask("table", f"SELECT i, 'x' AS t FROM range({TABLE_ROWS_MAX + 1}) r(i)")
    document = json.loads(data)
    assert (len(document["rows"]), summary["rows"], summary["more"]) == (TABLE_ROWS_MAX, TABLE_ROWS_MAX, True)
    assert document["right"] == ["i"]
    _, exactly = ask("table", f"SELECT i FROM range({TABLE_ROWS_MAX}) r(i)")
    assert exactly["more"] is False
    query = "SELECT chr(27) || '[2J' || chr(10) || chr(155) || chr(8238) AS t, repeat('y', 5000) AS l, NULL AS n"
    ((text, long, null),) = json.loads(ask("table", query)[0])["rows"]
    assert text == "\\x1b[2J\\n\\x9b\\u202e"
    assert len(long) == CELL_CHARACTERS_MAX + 1
    assert null is None


@pytest.mark.parametrize("form", [form for form in WRITERS if form != "parquet"])
def test_every_format_takes_a_result_without_rows(form: str) -> None:
    data, summary = ask(form, "SELECT 1 AS a, now() AS t, {'x': [1]} AS s WHERE false")
    assert summary["rows"] == 0
    assert data


def test_finite_floats_keep_their_shortest_form() -> None:
    data, _ = ask("json", "SELECT 1.0::DOUBLE AS a, 5e-324::DOUBLE AS b, -0.0::DOUBLE AS c")
    row = json.loads(data)[0]
    assert row == {"a": 1.0, "b": 5e-324, "c": -0.0}
    assert math.copysign(1, row["c"]) == -1
    assert b'"a": 1.0,' in data
