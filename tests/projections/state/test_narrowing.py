"""A query of one session alone is answered from that session's rows, and no query is answered otherwise for it."""

from __future__ import annotations

import pytest

from ledger.errors import BadInput
from ledger.ledger import Ledger
from projections.state import catalogue
from projections.state.state import State
from tests.projections.calibration.story import Story, stage

PLAIN = [
    "SELECT stage, cell FROM audit_matrix WHERE session = $s",
    "SELECT stage, cell FROM audit_matrix WHERE session = 'one'",
    "FROM audit_matrix WHERE 'one' = session",
    "SELECT count(*) FROM audit_matrix AS a WHERE a.session = 'one' AND (cell = '✓' OR cell = 'D') AND \"repeat\" > 0",
    "SELECT session, max(\"repeat\") FROM Audit_Matrix WHERE Session = 'one' GROUP BY ALL ORDER BY ALL LIMIT 1",
]
OTHERS = [
    "SELECT count(*) AS n FROM audit_matrix",
    "SELECT count(*) AS n FROM audit_matrix WHERE session <> 'one'",
    "SELECT count(*) AS n FROM audit_matrix WHERE session = 'one' OR session = 'two'",
    "SELECT count(*) AS n FROM audit_matrix WHERE NOT session = 'one'",
    "SELECT count(*) AS n FROM audit_matrix WHERE session IN ('one', 'two')",
    "SELECT count(*) AS n FROM audit_matrix WHERE stage = 'one'",
    "SELECT count(*) AS n FROM audit_matrix WHERE session = stage",
    "SELECT count(*) AS n FROM audit_matrix AS a(stage, session) WHERE a.session = 'm'",
    "SELECT stage AS session FROM audit_matrix WHERE session = 'one'",
    "SELECT (SELECT count(*) FROM audit_matrix) AS n FROM audit_matrix WHERE session = 'one'",
    "SELECT count(*) AS n FROM audit_matrix WHERE session = 'one' UNION ALL SELECT count(*) FROM audit_matrix",
    "WITH a AS (FROM audit_matrix) SELECT count(*) AS n FROM a WHERE session = 'two'",
    "SELECT count(*) AS n FROM audit_matrix JOIN (SELECT 'one' AS x) ON session <> x WHERE x = 'one'",
    "SELECT count(*) AS n FROM (FROM audit_matrix) WHERE session = 'two'",
]


@pytest.fixture
def two(ledger: Ledger) -> Ledger:
    Story(ledger, stage("s"), repeats=2, session="one").observe(1)
    Story(ledger, stage("s"), stage("t"), repeats=3, session="two").all_strict()
    return ledger


def held(state: State) -> list[str]:
    """The sessions whose rows the relation has now."""
    return [
        row[0] for row in state.connection.execute("SELECT DISTINCT session FROM audit_matrix ORDER BY 1").fetchall()
    ]


@pytest.mark.parametrize("query", PLAIN)
def test_a_query_of_one_session_computes_that_one(two: Ledger, query: str) -> None:
    given = {"s": "one"} if "$s" in query else None
    with State.open(two) as state, State.open(two) as whole:
        whole.prepare("audit_matrix")
        assert state.rows(query, given) == whole.rows(query, given) != []
        assert (held(state), held(whole)) == (["one"], ["one", "two"])


@pytest.mark.parametrize("query", OTHERS)
def test_any_other_query_sees_every_row(two: Ledger, query: str) -> None:
    with State.open(two) as state, State.open(two) as whole:
        whole.prepare("audit_matrix")
        assert state.rows(query) == whole.rows(query) != []
        assert held(state) == ["one", "two"]


def test_each_query_of_a_session_gets_its_own_rows_and_the_whole_serves_them_all(two: Ledger) -> None:
    query = "SELECT count(*) AS n FROM audit_matrix WHERE session = $s"
    with State.open(two) as state:
        assert [state.rows(query, {"s": name})[0]["n"] for name in ("one", "two", "two", "none")] == [2, 6, 6, 0]
        assert state.rows("SELECT count(*) AS n FROM audit_matrix") == [{"n": 8}]
        assert [state.rows(query, {"s": name})[0]["n"] for name in ("one", "none")] == [2, 0]
        assert held(state) == ["one", "two"]


def test_a_view_made_of_a_computed_relation_has_all_its_rows_and_takes_no_moment_of_its_own(
    two: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalogue.views(), "strict_rounds", "SELECT * FROM audit_matrix WHERE cell = '✓'")
    with State.open(two) as state:
        both = "SELECT (SELECT count(*) FROM strict_rounds) AS n FROM audit_matrix WHERE session = 'one' LIMIT 1"
        assert state.rows("SELECT count(*) AS n FROM audit_matrix WHERE session = 'one'") == [{"n": 2}]
        assert state.rows(both) == state.rows("SELECT count(*) AS n FROM strict_rounds") == [{"n": 7}]
        with pytest.raises(BadInput) as caught:
            state.rows("FROM strict_rounds(as_of := TIMESTAMPTZ '2026-01-01')")
    assert caught.value.code == "sql_computed_relation"
