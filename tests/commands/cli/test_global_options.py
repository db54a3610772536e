"""The options of every command: what was typed counts more than the environment, wherever it was typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger

Cli = Callable[..., Any]


@pytest.fixture
def three(tmp_path: Path) -> dict[str, Path]:
    """Three ledgers, in folders named after their origins."""
    made = {name: tmp_path / name for name in ("here", "there", "elsewhere")}
    for name, folder in made.items():
        Ledger.create(folder, origin=name, actor="maker@example.org")
    return made


def origin(run: Cli, *arguments: Any, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """The origin of the ledger that a command line reads."""
    out = run(*arguments, env=env, cwd=cwd, code=0).out
    return str(json.loads(out.splitlines()[-1])["origin"])


@pytest.mark.parametrize("place", range(3))
def test_a_ledger_that_is_typed_counts_more_than_the_environment_wherever_it_is_typed(
    in_process: Cli, three: dict[str, Path], place: int
) -> None:
    words: list[Any] = ["events", "list"]
    words[place:place] = ["--ledger", three["there"]]
    env = {"PERFLEDGER_DIR": str(three["elsewhere"])}
    assert origin(in_process, *words, "--json", env=env, cwd=three["here"]) == "there"


def test_the_environment_counts_more_than_the_folder_here(in_process: Cli, three: dict[str, Path]) -> None:
    env = {"PERFLEDGER_DIR": str(three["elsewhere"])}
    assert origin(in_process, "events", "list", "--json", env=env, cwd=three["here"]) == "elsewhere"
    assert origin(in_process, "events", "list", "--json", cwd=three["here"]) == "here"


def test_of_two_that_are_typed_the_one_nearer_to_the_command_counts(in_process: Cli, three: dict[str, Path]) -> None:
    words = ("--ledger", three["here"], "events", "list", "--ledger", three["there"], "--json")
    assert origin(in_process, *words) == "there"


@pytest.mark.parametrize("place", range(3))
def test_who_acts_is_who_was_typed_wherever_that_is(in_process: Cli, ledger: Ledger, place: int) -> None:
    words = ["ci", "report", "--sha", "a" * 40, "--context", "c", "--state", "success"]
    words[place:place] = ["--actor", "typed@example.org"]
    in_process(*words, code=0)  # the environment of the tests names another
    (event,) = ledger.read(types=["CheckReported"])
    assert event.actor == "typed@example.org"


def test_a_write_goes_into_the_ledger_that_was_typed_and_no_other(in_process: Cli, three: dict[str, Path]) -> None:
    before = {name: (f / ".perfledger/log" / name / "journal.jsonl").read_bytes() for name, f in three.items()}
    words = ("--ledger", three["there"], "ci", "report", "--sha", "a" * 40, "--context", "c", "--state", "success")
    in_process(*words, env={"PERFLEDGER_DIR": str(three["elsewhere"])}, cwd=three["here"], code=0)
    after = {name: (f / ".perfledger/log" / name / "journal.jsonl").read_bytes() for name, f in three.items()}
    assert {name for name in three if before[name] != after[name]} == {"there"}


@pytest.mark.parametrize(
    ("option", "place"),
    [("--ledger", 0), ("--ledger", 1), ("--actor", 0), ("--actor", 1), ("--as-of", 1), ("--as-recorded", 1)],
)
def test_an_empty_value_is_not_the_default_and_not_the_folder_here(
    in_process: Cli, ledger: Ledger, option: str, place: int
) -> None:
    words = ["ci", "status", "a" * 40, "--json"]
    words[place * 3 : place * 3] = [option, ""]
    error = in_process(*words, code=2).json["error"]
    assert error["code"] == "usage" and error["message"] == f"{option} is empty"


def test_an_empty_variable_is_the_default(in_process: Cli, ledger: Ledger) -> None:
    in_process("events", "list", env={"PERFLEDGER_DIR": ""}, code=0)


def test_quiet_says_nothing_beside_the_result(in_process: Cli, ledger: Ledger, tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    loud = in_process("sql", "SELECT 1 AS one", "-o", target, code=0)
    assert (loud.out, loud.err) == ("", f"{target}: 1 rows\n")
    for words in (("-q", "sql"), ("sql", "-q")):
        quiet = in_process(*words, "SELECT 1 AS one", "-o", target, code=0)
        assert (quiet.out, quiet.err) == ("", "")
    refused = in_process("-q", "explain", "nothing", code=2)
    assert refused.out == "" and refused.err.startswith("perfledger: ")


@pytest.mark.parametrize("place", range(3))
def test_json_is_one_document_wherever_it_is_asked_for(in_process: Cli, ledger: Ledger, place: int) -> None:
    words = ["ci", "status", "a" * 40]
    words[place:place] = ["--json"]
    assert json.loads(in_process(*words, code=5).out)["contexts"] == []
    words = ["ci", "status", "nothing"]
    words[place:place] = ["--json"]
    assert set(json.loads(in_process(*words, code=2).out)["error"]) == {"code", "message", "hint", "details"}


@pytest.mark.parametrize("actor", ["\udcff", "a\udc80b"])
def test_an_actor_that_is_no_text_is_refused_and_nothing_is_recorded(
    in_process: Cli, ledger: Ledger, actor: str
) -> None:
    words = ("ci", "report", "--sha", "a" * 40, "--context", "c", "--state", "success", "--actor", actor, "--json")
    assert in_process(*words, code=2).json["error"]["code"] == "bad_actor"
    assert ledger.head().position == 1
