"""What counts as a difference between the stages of a file and those found now, and which files moved since."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from commands.calibrate.config.stages import Stage
from commands.calibrate.discovery.drift import drift_between, drifted_files

BASE = Stage(key="s", test="t.py", title="S", group="g", extra_env={"A": "1"}, test_file_sha256="old")


def drift(**changes: Any) -> list[str]:
    """The lines for a stage that was written as BASE and is found with changes."""
    return [each.line() for each in drift_between({"s": BASE}, {"s": msgspec.structs.replace(BASE, **changes)})]


@pytest.mark.parametrize(
    "same",
    [
        {},
        {"last_discovered_at": "2026-06-25T18:10:05Z"},
        {"variant": ""},
        {"threshold_file": ""},
        {"hf_model_ids": ()},
        {"metrics": {}},
    ],
)
def test_a_stamp_and_an_empty_value_are_no_difference(same: dict[str, Any]) -> None:
    assert drift(**same) == []


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"title": "T"}, ["  s.title: S -> T"]),
        ({"extra_env": {"A": "2"}}, ["  s.extra_env.A: 1 -> 2"]),
        ({"extra_env": {}}, ["  s.extra_env.A: 1 -> None"]),
        ({"extra_env": {"A": "1", "B": "x"}}, ["  s.extra_env.B: None -> x"]),
        ({"gpus": 2}, ["  s.gpus: None -> 2"]),
        ({"gpus": 0}, ["  s.gpus: None -> 0"]),
        ({"expected_samples": 0}, ["  s.expected_samples: None -> 0"]),
        ({"test_file_sha256": "new", "title": "T"}, ["  s.title: S -> T", "  s.test_file_sha256: old -> new"]),
    ],
)
def test_every_other_field_is_a_difference_under_its_dotted_name(changes: dict[str, Any], lines: list[str]) -> None:
    assert drift(**changes) == lines


def test_stages_that_come_and_go_are_one_line_each_in_the_files_order() -> None:
    written = {key: msgspec.structs.replace(BASE, key=key) for key in ("a", "b")}
    found = {key: msgspec.structs.replace(BASE, key=key) for key in ("c", "b")}
    assert [each.line() for each in drift_between(written, found)] == ["  a: no longer found", "  c: new"]


def sha(text: str) -> str:
    """The digest of a file's text."""
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("expected", "content", "said"),
    [
        (sha("x"), "x", []),
        ("", "x", []),
        ("", None, []),
        (sha("x"), "y", [f"s: t.py changed since discover ({sha('y')[:8]} != {sha('x')[:8]})"]),
        (sha("x"), None, ["s: t.py is missing"]),
    ],
)
def test_a_file_is_judged_by_its_recorded_digest_where_there_is_one(
    tmp_path: Path, expected: str, content: str | None, said: list[str]
) -> None:
    if content is not None:
        (tmp_path / "t.py").write_text(content)
    stage = msgspec.structs.replace(BASE, test_file_sha256=expected)
    assert [each.line() for each in drifted_files([stage], tmp_path)] == said


def test_a_folder_in_the_place_of_a_file_is_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "t.py").mkdir()
    assert [each.found for each in drifted_files([BASE], tmp_path)] == [None]


def test_the_threshold_file_is_judged_beside_the_test_file(tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text("x")
    (tmp_path / "c.py").write_text("y")
    stage = msgspec.structs.replace(
        BASE, test_file_sha256=sha("x"), threshold_file="c.py", threshold_file_sha256=sha("x")
    )
    assert [(each.file, each.found) for each in drifted_files([stage], tmp_path)] == [("c.py", sha("y"))]
    assert drifted_files([msgspec.structs.replace(stage, threshold_file_sha256=None)], tmp_path) == []
