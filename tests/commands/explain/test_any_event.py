"""`explain` of any event and any name: what was recorded, what caused it, what is around it, or a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ledger.event import NewEvent
from ledger.events.checks import ChangeObserved, CheckReported
from ledger.ledger import Ledger
from tests.commands.ci.conftest import random_life
from tests.projections.ci.conftest import shipped

Cli = Callable[..., Any]
SHA = "a" * 40


@pytest.fixture
def alive(ledger: Ledger) -> Ledger:
    """A ledger with the life of two pull requests."""
    ledger.append(random_life(shipped("fastvideo-page"), 7, count=30))
    return ledger


def test_every_event_of_a_ledger_is_explained_by_its_id_and_by_its_position(in_process: Cli, alive: Ledger) -> None:
    for event in alive.read():
        by_id = in_process("explain", event.event_id, "--json", code=0).json
        assert by_id["event"] == event.as_dict()
        assert in_process("explain", f"{event.position}@{event.origin}", "--json", code=0).json == by_id
        text = in_process("explain", event.event_id, code=0).out
        assert text.startswith(f"{event.type}  {event.recorded_at}  by {event.actor}  at {event.position}@testbed")


def test_an_event_without_an_explanation_of_its_own_shows_its_stream_around_it(in_process: Cli, ledger: Ledger) -> None:
    for state in ("pending", "failure", "success"):
        ledger.append([NewEvent(stream="s", payload=CheckReported(sha=SHA, context="c", state=state))])
    ledger.append([NewEvent(stream="other", payload=ChangeObserved(sha=SHA, files=["x"]))])
    found = in_process("explain", "3@testbed", "--json", code=0).json
    assert [one["event_id"] for one in found["stream"]] == [
        event.event_id for event in ledger.read_stream("s") if event.position != 3
    ]
    assert "1 events before it and 1 after it in s" in in_process("explain", "3@testbed", code=0).out


def test_a_pull_request_is_explained_with_every_event_behind_every_condition(in_process: Cli, alive: Ledger) -> None:
    for number in (1, 2):
        found = in_process("explain", f"o/r#{number}", "--json", code=0).json
        gate = in_process("ci", "gate", f"o/r#{number}", "--json").json
        assert [found[name] for name in ("mergeable", "conditions", "unmet")] == [
            gate[name] for name in ("mergeable", "conditions", "unmet")
        ]
        text = in_process("explain", f"o/r#{number}", code=0).out
        for condition in gate["conditions"]:
            assert all(event_id in text for event_id in condition["event_ids"])


@pytest.mark.parametrize(
    "name",
    ["", "nothing", "o/r#99", "#99", "a/b/c#1", "x@y", "99@testbed", "1@nobody", "identity:00", "\udcff", "1@\udcff"],
)
def test_a_name_that_nothing_has_is_a_sentence_with_a_next_step(in_process: Cli, alive: Ledger, name: str) -> None:
    position = alive.head().position
    error = in_process("explain", name, "--json", code=2).json["error"]
    assert error["hint"] and error["message"] and "\n" not in error["message"]
    assert alive.head().position == position
