"""`perfledger ci gate --file`: a pull request that is described in a file is judged without a ledger."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands.ci.test_ci_commands import FILE, NEEDED, SHA
from tests.conftest import Result


@pytest.mark.parametrize(
    ("change", "unmet"),
    [
        ({}, []),
        ({"draft": True}, ["not-draft"]),
        ({"labels": [{"name": "do-not-merge"}]}, ["do-not-merge"]),
        ({"mergeable": None}, ["no-conflict"]),
        ({"conflict": True}, ["no-conflict"]),
        ({"state": "closed"}, ["open"]),
        ({"title": "x"}, ["title"]),
        ({"approvals": 0}, ["approval"]),
        ({"approvals": 0, "reviews": [{"user": {"login": "ada"}, "state": "APPROVED"}]}, []),
        ({"changed_files": None}, ["fastcheck", "full-suite"]),
        ({"statuses": dict.fromkeys(NEEDED[:-1], "success")}, ["full-suite"]),
        (
            {
                "changed_files": None,
                "statuses": {"pre-commit": "success", "fastcheck-passed": "success", "full-suite-passed": "success"},
            },
            [],
        ),
        (
            {
                "changed_files": None,
                "statuses": {"pre-commit": "success", "fastcheck-passed": "failure", "full-suite-passed": "success"},
            },
            ["fastcheck"],
        ),
        (
            {
                "changed_files": None,
                "statuses": {
                    "pre-commit": "success",
                    "fastcheck-passed": "success",
                    NEEDED[1]: "failure",
                    "full-suite-passed": "success",
                },
            },
            ["fastcheck"],
        ),
        (
            {"statuses": {"pre-commit": "success", "fastcheck-passed": "success", "full-suite-passed": "success"}},
            ["fastcheck", "full-suite"],
        ),
        ({"approvals": ["ada", "bob"]}, []),
        ({"approvals": []}, ["approval"]),
        ({"statuses": [*FILE["statuses"], {"context": "pre-commit", "state": "failure"}]}, ["pre-commit"]),
        ({"statuses": [*FILE["statuses"], {"context": "pre-commit", "state": "failure", "sha": "b" * 40}]}, []),
    ],
)
def test_a_pull_request_described_in_a_file_is_judged(
    invoke: Callable[..., Result], tmp_path: Path, change: dict[str, Any], unmet: list[str]
) -> None:
    path = tmp_path / "pull.json"
    path.write_text(json.dumps({**FILE, **change}))
    found = invoke("ci", "gate", "--file", path, "--json", code=1 if unmet else 0).json
    assert (found["unmet"], found["mergeable"]) == (unmet, not unmet)


def test_an_answer_of_githubs_api_is_taken_as_it_is(invoke: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "pull.json"
    path.write_text(
        json.dumps(
            {
                "url": "https://api.github.com/repos/o/r/pulls/7",
                "number": 7,
                "state": "open",
                "title": "[fix] x",
                "user": {"login": "bob", "id": 1},
                "draft": False,
                "mergeable": True,
                "mergeable_state": "clean",
                "changed_files": 3,
                "head": {"sha": SHA, "ref": "work"},
                "base": {"ref": "main"},
                "labels": [],
            }
        )
    )
    found = invoke("ci", "gate", "--file", path, "--json", code=1).json
    assert found["unmet"] == ["pre-commit", "fastcheck", "full-suite", "approval"]
    assert found["pull_request"]["author"] == "bob"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "missing required field `title`"),
        ('{"title": "x", "head_sha": "zz"}', "not a commit"),
        ("[1]", "Expected"),
        ('{"title": "x", "head_sha": "abcd", "statusses": []}', "unknown field `statusses`"),
        ("{", "not readable"),
        ('{"title": "x", "head_sha": "abcd", "statuses": [{"context": "c", "state": "odd"}]}', "not a state"),
    ],
)
def test_a_file_that_describes_no_pull_request_is_refused_by_field(
    invoke: Callable[..., Result], tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "pull.json"
    path.write_text(text)
    assert told in invoke("ci", "gate", "--file", path, "--json", code=2).json["error"]["message"]
