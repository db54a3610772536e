"""A relation that Python computes answers like a view, at the moment of its session, and costs nothing unasked."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ledger.errors import BadInput
from ledger.ledger import Ledger
from projections.ci import history
from projections.ci.gate import judge
from projections.console.query import Question, ask
from projections.state import catalogue, computed
from projections.state.state import State
from tests.commands.ci.conftest import random_life
from tests.commands.ci.test_gate_agreement import adopt
from tests.conftest import Result, clean_env
from tests.projections.ci.conftest import shipped

GATE = "SELECT number, condition, met, event_id FROM merge_gate ORDER BY number, place"


@pytest.fixture
def moments(ledger: Ledger) -> list[str]:
    """Event ids of a ledger with the life of two pull requests, in the order they were recorded."""
    policy = shipped("fastvideo-page")
    return [ledger.append([event])[0].event_id for event in [adopt(policy), *random_life(policy, 3)]]


def asked(ledger: Ledger, query: str, *, as_of: str | None = None, as_recorded: str | None = None) -> Any:
    sink = io.BytesIO()
    ask(ledger.path, Question(query, as_of=as_of, as_recorded=as_recorded), sink)
    return json.loads(sink.getvalue())


def test_a_computed_relation_is_that_of_the_moment(ledger: Ledger, moments: list[str]) -> None:
    told = []
    for moment in (moments[30], moments[60], None):
        with State.open(ledger, as_of=moment) as state:
            (verdict, rows) = (judge(shipped("fastvideo-page"), history.of_pull(state, "o/r", 1)), state.rows(GATE))
        assert {r["condition"]: r["met"] for r in rows if r["number"] == 1} == {c.id: c.met for c in verdict.conditions}
        told.append(rows)
        assert asked(ledger, GATE, **({"as_of": moment} if moment else {})) == rows
    assert told[0] != told[-1]


def test_as_recorded_holds_for_a_computed_relation(ledger: Ledger, moments: list[str]) -> None:
    then = ledger.event(moments[40]).recorded_at
    assert asked(ledger, GATE, as_recorded=then) == asked(ledger, GATE, as_of=moments[40]) != asked(ledger, GATE)


def test_the_newest_event_of_a_condition_is_one_the_moment_knows(ledger: Ledger, moments: list[str]) -> None:
    named = {row["event_id"] for row in asked(ledger, GATE, as_of=moments[40])} - {None}
    assert named
    assert named <= set(moments[:41])


def test_before_a_policy_is_adopted_the_gate_has_no_rows(ledger: Ledger, moments: list[str]) -> None:
    assert asked(ledger, GATE, as_of=f"1@{ledger.origin}") == []


@pytest.mark.parametrize("name", sorted(computed.RELATIONS))
def test_a_computed_relation_has_its_declared_columns_also_when_it_is_empty(ledger: Ledger, name: str) -> None:
    with State.open(ledger) as state:
        state.prepare(name)
        described = state.connection.execute(f"DESCRIBE {name}").fetchall()
    relation = computed.RELATIONS[name]
    assert [row[0] for row in described] == list(relation.columns)
    assert catalogue.about()[name]


@pytest.mark.parametrize("name", sorted(computed.RELATIONS))
def test_a_moment_of_its_own_is_refused_and_the_way_that_is_named_works(
    ledger: Ledger, cli: Callable[..., Result], name: str
) -> None:
    query = f"SELECT count(*) AS n FROM {name}(as_of := TIMESTAMPTZ '2026-01-01')"
    with pytest.raises(BadInput) as caught:
        asked(ledger, query)
    assert caught.value.code == "sql_computed_relation"
    moment = f"1@{ledger.origin}"
    words = (caught.value.hint or "").removeprefix("perfledger ").replace("WHEN", moment).replace("'", "")
    assert words == f"sql --as-of {moment} FROM {name}"
    done = cli("sql", "--as-of", moment, f"FROM {name}", "--json", "--ledger", str(ledger.path), code=0)
    assert done.json == []


def test_a_query_that_mentions_none_neither_imports_nor_computes(ledger: Ledger, moments: list[str]) -> None:
    room = computed.__name__.removesuffix(".state.computed")  # perfledger.projections, against the installed wheel
    modules = sorted(f"{room}.{relation.where.split(':')[0]}" for relation in computed.RELATIONS.values())
    code = (
        "import sys; from ledger.ledger import Ledger; from projections.state.state import State\n"
        f"with State.open(Ledger.open({str(ledger.path)!r})) as state:\n"
        "    state.rows('SELECT count(*) FROM results')\n"
        f"    print(sorted(set({modules!r}) & set(sys.modules)))\n"
        "    state.rows('SELECT count(*) FROM merge_gate')\n"
        f"    print('{room}.ci.relation' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean_env(), check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "True"]
