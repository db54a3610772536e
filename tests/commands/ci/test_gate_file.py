"""A pull request described in a file: which spellings are one, what order counts, what is refused by file and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from commands.ci.work import gate_file
from ledger.errors import BadInput
from projections.ci.gate import ChangeSeen, PullSeen, ReviewSeen
from projections.ci.statuses import Report

HEAD = "a" * 40
BASE: dict[str, Any] = {"title": "[fix] x", "head_sha": HEAD}


def seen(tmp_path: Path, text: str | dict[str, Any]) -> list[Any]:
    """What a file says, in the order in which the gate takes it."""
    path = tmp_path / "pull.yaml"
    path.write_text(text if isinstance(text, str) else json.dumps({**BASE, **text}), encoding="utf-8")
    return [known.input for known in gate_file.read(str(path))]


def of(kind: type, found: list[Any]) -> list[Any]:
    """The inputs of one kind."""
    return [each for each in found if isinstance(each, kind)]


def test_yaml_and_json_describe_the_same_pull_request(tmp_path: Path) -> None:
    value = {**BASE, "labels": ["ready"], "statuses": [{"context": "pre-commit", "state": "success"}]}
    as_yaml = f"title: '[fix] x'\nhead_sha: {HEAD}\nlabels: [ready]\nstatuses: {{pre-commit: success}}\n"
    assert seen(tmp_path, value) == seen(tmp_path, as_yaml)


@pytest.mark.parametrize(
    ("given", "mergeable"),
    [
        ({}, None),
        ({"conflict": None}, None),
        ({"conflict": True}, False),
        ({"conflict": False}, True),
        ({"mergeable": True}, True),
        ({"mergeable": True, "conflict": True}, False),
        ({"mergeable": False, "conflict": False}, True),
    ],
)
def test_conflict_is_the_opposite_of_mergeable_and_wins_where_it_is_known(
    tmp_path: Path, given: dict[str, Any], mergeable: bool | None
) -> None:
    (pull,) = of(PullSeen, seen(tmp_path, given))
    assert pull.mergeable is mergeable


@pytest.mark.parametrize(
    "labels", [["ready", "x"], [{"name": "ready"}, {"name": "x"}], [{"name": "ready", "color": "f00"}, "x"]]
)
def test_labels_are_names_or_the_objects_that_carry_them(tmp_path: Path, labels: list[Any]) -> None:
    assert of(PullSeen, seen(tmp_path, {"labels": labels}))[0].labels == ["ready", "x"]


@pytest.mark.parametrize(
    "given",
    [
        {"changed_files": ["b", "a", "b"]},
        {"files": ["a", "b"]},
        {"files": [{"filename": "b"}, {"path": "a"}]},
        {"changed_files": [{"filename": "a"}, "b"]},
    ],
)
def test_changed_files_are_names_or_objects_each_once_in_order(tmp_path: Path, given: dict[str, Any]) -> None:
    (change,) = of(ChangeSeen, seen(tmp_path, given))
    assert (change.sha, change.files) == (HEAD, ["a", "b"])


def test_unknown_files_are_not_the_same_as_none(tmp_path: Path) -> None:
    assert of(ChangeSeen, seen(tmp_path, {"changed_files": None})) == []
    assert of(ChangeSeen, seen(tmp_path, {"changed_files": []}))[0].files == []


@pytest.mark.parametrize(
    ("given", "reviewers"),
    [
        ({"approvals": 2}, ["approval 1", "approval 2"]),
        ({"approvals": ["ada", {"login": "bob"}]}, ["ada", "bob"]),
        ({"approvals": ["ada"], "reviews": [{"reviewer": "eve", "state": "APPROVED"}]}, ["eve", "ada"]),
        ({"reviews": [{"user": {"login": "ada"}, "state": "APPROVED"}]}, ["ada"]),
        ({"reviews": [{"author": "ada", "state": "Approved"}]}, ["ada"]),
    ],
)
def test_an_approval_is_a_number_a_name_or_a_review(
    tmp_path: Path, given: dict[str, Any], reviewers: list[str]
) -> None:
    found = of(ReviewSeen, seen(tmp_path, given))
    assert [review.reviewer for review in found] == reviewers
    assert {review.state for review in found} == {"approved"}


@pytest.mark.parametrize("name", ["at", "updated_at", "created_at", "submitted_at"])
def test_inputs_come_in_the_order_of_their_times_whatever_the_field_is_called(tmp_path: Path, name: str) -> None:
    rows = [
        {"context": "c", "state": "failure", name: "2026-06-01T12:00:00+02:00"},
        {"context": "c", "state": "success", name: "2026-06-01T09:00:00Z"},
    ]
    found = of(Report, seen(tmp_path, {"statuses": rows}))
    assert [(report.state, report.at) for report in found] == [
        ("success", "2026-06-01T09:00:00.000000Z"),
        ("failure", "2026-06-01T10:00:00.000000Z"),
    ]


def test_of_two_reports_with_one_time_and_id_the_later_line_counts(tmp_path: Path) -> None:
    rows = [{"context": "c", "state": state} for state in ("failure", "success")]
    found = of(Report, seen(tmp_path, {"statuses": rows}))
    assert max(found, key=lambda report: report.order()).state == "success"
    rows[0]["id"] = 1  # type: ignore[assignment]
    found = of(Report, seen(tmp_path, {"statuses": rows}))
    assert max(found, key=lambda report: report.order()).state == "failure"


def test_a_status_is_of_the_head_unless_it_names_a_commit(tmp_path: Path) -> None:
    rows = [{"context": "c", "state": "passed"}, {"context": "c", "state": "fail", "sha": "B" * 40}]
    found = of(Report, seen(tmp_path, {"checks": rows}))
    assert [(report.sha, report.state) for report in found] == [(HEAD, "success"), ("b" * 40, "failure")]


def test_a_bare_time_of_yaml_is_a_time(tmp_path: Path) -> None:
    text = f"title: x\nhead_sha: {HEAD}\nstatuses:\n- {{context: c, state: success, at: 2026-06-01T09:00:00Z}}\n"
    assert of(Report, seen(tmp_path, text))[0].at == "2026-06-01T09:00:00.000000Z"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"head_sha": "zz"}, "head_sha"),
        ({"statuses": [{"context": "c", "state": "success"}, {"context": "c", "state": "odd"}]}, "statuses[1].state"),
        ({"statuses": [{"context": "c", "state": "success", "at": "noon"}]}, "statuses[0].at"),
        ({"statuses": [{"context": "c", "state": "success", "sha": "HEAD"}]}, "statuses[0].sha"),
        ({"reviews": [{"reviewer": "ada", "state": "approved", "at": "noon"}]}, "reviews[0].at"),
        ({"draft": "yes"}, "$.draft"),
        ({"statuses": [{"context": "c"}]}, "$.statuses[0]"),
        ({"labels": [1]}, "$.labels[0]"),
        ({"approvals": 1.5}, "$.approvals"),
    ],
)
def test_a_wrong_value_is_refused_in_a_sentence_with_file_and_field(
    tmp_path: Path, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(BadInput) as refused:
        seen(tmp_path, given)
    assert refused.value.message.startswith(f"{tmp_path / 'pull.yaml'}: ")
    assert field in refused.value.message
    assert "\n" not in refused.value.message


def test_a_file_that_is_not_utf_8_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "pull.yaml"
    path.write_bytes(b"title: \xff\n")
    with pytest.raises(BadInput, match="not UTF-8"):
        gate_file.read(str(path))
