"""The state: incremental equals rebuilt equals as-of, whatever was deleted in between."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.adoption import adopt
from ledger.errors import BadInput
from ledger.ledger import Ledger
from projections.state import catalogue, store
from projections.state.state import State
from tests.ledger.samples import result


def export(ledger: Ledger) -> dict[str, str]:
    with State.open(ledger) as state:
        return state.export()


def results(ledger: Ledger, *, as_of: str | None = None, as_recorded: str | None = None) -> list[int]:
    with State.open(ledger, as_of=as_of, as_recorded=as_recorded) as state:
        found = state.rows("SELECT position FROM events WHERE type = 'ResultRecorded' ORDER BY origin, position")
    return [row["position"] for row in found]


def test_a_new_ledger_has_a_state_with_every_view(ledger: Ledger) -> None:
    with State.open(ledger) as state:
        for name in catalogue.about():
            assert isinstance(state.rows(f"SELECT * FROM {name}"), list), name


def test_every_fact_sql_has_a_table_with_the_same_columns(ledger: Ledger) -> None:
    named = {path.stem for path in catalogue.FACTS.glob("fact_*.sql")}
    assert named == set(catalogue.facts())
    with State.from_log(ledger) as state:
        state.prepare(" ".join(catalogue.facts()))
        for name, table in catalogue.facts().items():
            made, declared = (
                state.connection.execute(f"SELECT * FROM {relation} LIMIT 0").names
                for relation in (f"({table.rows('newest')})", f"newest.{name}")
            )
            assert sorted(made) == sorted(declared), name
            assert table.types or name == "fact_unread", f"{name} names no event type"


def test_deleting_the_state_is_harmless(ledger: Ledger) -> None:
    ledger.append([result(n) for n in range(20)])
    ledger.seal()
    before = export(ledger)
    (ledger.path / store.BASE_NAME).unlink()
    assert export(ledger) == before


def test_a_state_file_that_is_garbage_is_built_again(ledger: Ledger) -> None:
    ledger.append([result(n) for n in range(20)])
    ledger.seal()
    before = export(ledger)
    (ledger.path / store.BASE_NAME).write_bytes(b"not a database" * 100)
    assert export(ledger) == before


@pytest.mark.parametrize(
    ("owner", "name", "other"),
    [("projections.state.catalogue", "digest", lambda: "another shape"), ("duckdb", "__version__", "99.0")],
)
def test_a_state_of_another_shape_or_engine_is_built_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, owner: str, name: str, other: object
) -> None:
    ledger.append([result(1)])
    ledger.seal()
    before = export(ledger)
    made = (ledger.path / store.BASE_NAME).stat()
    assert export(ledger) == before
    assert (ledger.path / store.BASE_NAME).stat().st_mtime_ns == made.st_mtime_ns
    monkeypatch.setattr(importlib.import_module(owner), name, other)
    assert export(ledger) == before
    assert (ledger.path / store.BASE_NAME).stat().st_mtime_ns != made.st_mtime_ns


def test_recent_facts_are_folded_into_the_base(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "RECENT_EVENTS_MAX", 5)
    for round_ in range(4):
        ledger.append([result(round_ * 10 + n) for n in range(3)])
        ledger.seal()
        live = export(ledger)
        with State.from_log(ledger) as state:
            assert state.export() == live
    assert results(ledger) == list(range(2, 14))


class Adopted:
    """Two ledgers, and the first pulling the second's segments through a folder."""

    def __init__(self, folder: Path) -> None:
        self.here = Ledger.create(folder / "here", origin="here", actor="a@x")
        self.there = Ledger.create(folder / "there", origin="there", actor="b@x")

    def pull(self) -> None:
        self.there.seal()
        adopt(self.here, "there", [i.path for i in self.there.segments()], remote="file:///there")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.sampled_from(["append", "append", "seal", "query", "pull", "theirs", "forget"]), max_size=14))
def test_incremental_equals_rebuilt_equals_as_of_prefix(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    both = Adopted(tmp_path_factory.mktemp("both"))
    seen: list[tuple[str, list[int]]] = []
    for count, step in enumerate(steps, start=1):
        if step == "append":
            both.here.append([result(count, target=f"m{count % 2}@G"), result(count + 100)])
        elif step == "theirs":
            both.there.append([result(count, target="m1@G")])
        elif step == "seal":
            both.here.seal()
        elif step == "pull":
            both.pull()
        elif step == "forget":
            for name in (store.BASE_NAME, store.RECENT_NAME):
                (both.here.path / name).unlink(missing_ok=True)
        live = export(both.here)
        head = both.here.head()
        seen.append((f"{head.position}@here", results(both.here)))
        with State.from_log(both.here) as state:
            assert state.export() == live, step
    for moment, then in seen:
        assert results(both.here, as_of=moment) == then


def test_a_pulled_event_is_known_from_the_pull_on_and_recorded_before(tmp_path: Path) -> None:
    both = Adopted(tmp_path)
    both.there.append([result(1)])
    both.here.append([result(2)])
    before = both.here.head()
    both.pull()
    assert results(both.here) == [2, 2]
    assert results(both.here, as_of=f"{before.position}@here") == [2]
    theirs = both.there.event("2@there")
    assert results(both.here, as_recorded=theirs.recorded_at) == [2]
    assert results(both.here, as_of=theirs.event_id) == [2, 2], "as of when it became known here"


@pytest.mark.parametrize("when", ["yesterday", "99@testbed", "1@nowhere", "01a203ca-d97f-76ff-bb62-cc75c8d476d3"])
def test_a_moment_that_is_none_is_bad_input(ledger: Ledger, when: str) -> None:
    with pytest.raises(BadInput):
        State.open(ledger, as_of=when)


def test_events_show_the_log_with_its_hashes(ledger: Ledger) -> None:
    ledger.append([result(1)])
    ledger.seal()
    ledger.append([result(2)])
    with State.open(ledger) as state:
        found = state.rows("SELECT position, hash, prev_hash, payload FROM events ORDER BY position")
    assert [f["hash"] for f in found] == [e.hash for e in ledger.read()]
    assert [f["prev_hash"] for f in found] == [e.prev_hash for e in ledger.read()]
    assert [f["payload"] for f in found] == [bytes(e.payload).decode() for e in ledger.read()]


def test_no_view_holds_a_moment_of_its_own() -> None:
    """as_of must come from the caller: a view with now() inside would answer the past with the present."""
    for name, body in catalogue.views().items():
        code = re.sub(r"--[^\n]*", "", body)
        assert not re.search(r"\b(now|current_timestamp|today|get_current_timestamp)\b", code, re.IGNORECASE), name
