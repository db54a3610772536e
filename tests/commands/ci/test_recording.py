"""What `ci` records and what it refuses: a refusal leaves the log as it was, and an answer names its policy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger

Cli = Callable[..., Any]
SHA = "a" * 40


@pytest.fixture
def cli(in_process: Cli, ledger: Ledger) -> Cli:
    """The command in a folder with a fresh ledger."""
    return in_process


def report(cli: Cli, *arguments: str, code: int = 0) -> Any:
    """`ci report` of one context, `--json`."""
    given = ("--sha", SHA, "--context", "pre-commit", "--state", "success")
    return cli("ci", "report", *given, *arguments, "--json", code=code).json


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--sha", "HEAD"), "bad_sha"),
        (("--state", "green"), "bad_state"),
        (("--context", " "), "bad_context"),
        (("--context", "x" * 256), "bad_context"),
        (("--repository", "o"), "bad_repository"),
        (("--at", "noon"), "bad_time"),
        (("--id", "-1"), "usage"),
        (("--id", "x"), "usage"),
    ],
)
def test_a_report_that_cannot_be_true_is_refused_and_not_recorded(
    cli: Cli, ledger: Ledger, arguments: tuple[str, ...], error: str
) -> None:
    before = ledger.head().position
    assert report(cli, *arguments, code=2)["error"]["code"] == error
    assert ledger.head().position == before


@pytest.mark.parametrize(
    ("arguments", "field", "kept"),
    [
        ((), "state", "success"),
        (("--state", "Passed"), "state", "success"),
        (("--state", "Passed"), "conclusion", "Passed"),
        (("--sha", "ABCDEF0"), "sha", "abcdef0"),
        (("--context", " lint "), "context", "lint"),
        (("--at", "2026-06-01T12:00:00+02:00"), "reported_at", "2026-06-01T10:00:00.000000Z"),
        ((), "reported_at", None),
        (("--id", "7"), "remote_id", 7),
        (("--url", "https://ci.example.org/1"), "target_url", "https://ci.example.org/1"),
        (("--repository", "o/r"), "repository", "o/r"),
    ],
)
def test_a_report_is_kept_as_the_ledger_spells_it(
    cli: Cli, ledger: Ledger, arguments: tuple[str, ...], field: str, kept: Any
) -> None:
    event_id = report(cli, *arguments)["event_id"]
    (event,) = [each for each in ledger.read(types=["CheckReported"]) if each.event_id == event_id]
    assert event.body().get(field) == kept


def test_the_latest_by_time_counts_and_a_late_report_of_an_earlier_state_changes_nothing(cli: Cli) -> None:
    report(cli, "--state", "failure", "--at", "2026-06-01T11:00:00Z")
    report(cli, "--state", "success", "--at", "2026-06-01T10:00:00Z")
    contexts = cli("ci", "status", SHA, "--json", code=0).json["contexts"]
    assert [(each["context"], each["state"]) for each in contexts] == [("pre-commit", "failure")]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("lanes",), "usage"),
        (("lanes", "--changed", "a", "--base", "main"), "usage"),
        (("lanes", "--changed", "a", "--sha", "zz"), "bad_sha"),
        (("lanes", "--changed", "a", "--policy", "nobody"), "no_such_policy"),
        (("lanes", "--changed", "a", "--policy", "bad.yaml"), "bad_ci_policy"),
        (("lanes", "--changed", "a", "--sha", SHA, "--as-of", "2026-06-01"), "usage"),
        (("labels", "--title", "x", "--policy", "nobody"), "no_such_policy"),
        (("lint", "--repo", "nowhere"), "git_refused"),
        (("policy", "check", "bytes.yaml"), "bad_ci_policy"),
        (("policy", "adopt", "bad.yaml", "--reason", "r"), "bad_ci_policy"),
        (("policy", "adopt", "nobody", "--reason", "r"), "no_such_policy"),
        (("status", "HEAD"), "bad_sha"),
        (("gate", "x/y"), "bad_pull_request"),
    ],
)
def test_bad_input_ends_with_2_under_a_stable_code_and_records_nothing(
    cli: Cli, ledger: Ledger, tmp_path: Path, arguments: tuple[str, ...], error: str
) -> None:
    (tmp_path / "bad.yaml").write_text("tiers: 3\n")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\n")
    before = ledger.head().position
    told = cli("ci", *arguments, "--json", code=2).json["error"]
    assert told["code"] == error and told["message"] and told["hint"]
    assert ledger.head().position == before


def test_lanes_keep_a_change_only_when_a_commit_is_named(cli: Cli, ledger: Ledger) -> None:
    before = ledger.head().position
    answer = cli("ci", "lanes", "--changed", "docs/a.md", "--json", code=0).json
    assert "event_id" not in answer and ledger.head().position == before
    kept = cli("ci", "lanes", "--changed", "docs/a.md", "--sha", SHA.upper(), "--json", code=0).json
    (event,) = list(ledger.read(types=["ChangeObserved"]))
    assert (event.event_id, event.body()["sha"], event.body()["files"]) == (kept["event_id"], SHA, ["docs/a.md"])


def test_a_tier_narrows_the_lanes_and_not_what_is_known_of_the_change(cli: Cli) -> None:
    whole = cli("ci", "lanes", "--changed", "fastvideo-kernel/a.cu", "--json", code=0).json
    tier = whole["lanes"][0]["tier"]
    some = cli("ci", "lanes", "--changed", "fastvideo-kernel/a.cu", "--tier", tier, "--json", code=0).json
    assert {lane["tier"] for lane in some["lanes"]} == {tier}
    assert some["lanes"] == [lane for lane in whole["lanes"] if lane["tier"] == tier]
    assert some["tiers"] == whole["tiers"]
    started = {lane["test_type"] for lane in some["lanes"]}
    assert not started & set(some["not_started"])


def test_adopting_what_is_in_force_is_said_and_not_recorded_again(cli: Cli, ledger: Ledger) -> None:
    first = cli("ci", "policy", "adopt", "fastvideo-page", "--reason", "r", "--json", code=0).json
    before = ledger.head().position
    again = cli("ci", "policy", "adopt", "fastvideo-page", "--reason", "r", "--json", code=0).json
    assert (first["adopted"], again["adopted"]) == (True, False)
    assert again["event_id"] == first["event_id"] and ledger.head().position == before
    other = cli("ci", "policy", "adopt", "fastvideo-2026-08", "--reason", "r", "--json", code=0).json
    assert (other["adopted"], other["replaces"]) == (True, first["digest"])
    listed = cli("ci", "policy", "list", "--json", code=0).json["adopted"]
    assert [(row["digest"], row["current"]) for row in listed] == [(other["digest"], True), (first["digest"], False)]


@pytest.mark.parametrize(("title", "code"), [("[feat] x", 0), ("x", 1), ("[nope] x", 1), ("", 1)])
def test_labels_answer_yes_or_no_with_their_exit_code_and_without_a_ledger(
    in_process: Cli, title: str, code: int
) -> None:
    found = in_process("ci", "labels", "--title", title, "--json", code=code).json
    assert found["title"]["valid"] is (code == 0)
    assert found["policy"]["from"] == "default"
