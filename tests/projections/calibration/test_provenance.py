"""Provenance: one commit, or one proven measurement-equivalent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.events.calibrations import CalibrationResumed
from ledger.ledger import Ledger
from projections.calibration.provenance import not_equivalent, performance_sensitive, provenance, same_program
from tests.projections.calibration.story import COMMIT, OTHER, Story, stage


def resumed(sha: str, *, equivalent: bool) -> CalibrationResumed:
    return CalibrationResumed(
        session="story",
        git_sha=sha,
        dirty=False,
        stages=["s"],
        equivalent=equivalent,
        resumed_at="2026-06-27T13:00:00Z",
    )


def test_all_on_the_calibration_commit_is_ok(ledger: Ledger) -> None:
    found = provenance(Story(ledger, stage()).all_strict().session)
    assert found.ok and found.reason == "" and found.calibration_git_sha == COMMIT


def test_another_commit_is_a_mismatch_with_both_short_hashes(ledger: Ledger) -> None:
    found = provenance(Story(ledger, stage()).observe(1).observe(2, sha=OTHER).session)
    assert not found.ok
    assert found.mismatches == (f"s/run2: artifact {OTHER[:8]} != calibration {COMMIT[:8]}",)
    assert found.reason == "1 run(s) recorded on a different commit"


def test_a_head_that_moved_during_the_repeat_is_a_mismatch(ledger: Ledger) -> None:
    found = provenance(Story(ledger, stage()).observe(1, git_sha_start=OTHER).session)
    assert found.mismatches == (f"s/run1: artifact {OTHER[:8]} != calibration {COMMIT[:8]}",)


def test_a_run_file_without_a_commit_is_missing_and_names_the_way_out(ledger: Ledger) -> None:
    found = provenance(Story(ledger, stage()).import_file("s", 1, git_sha="").session)
    assert found.missing == ("s/run1",)
    assert found.reason == "1 run(s) missing git_sha (pre-v0.6.0 or stale — purge and re-run on current commit)"


def test_a_corrupt_run_file_is_a_mismatch(ledger: Ledger) -> None:
    found = provenance(Story(ledger, stage()).import_file("s", 1, readable=False, metrics={}, git_sha="").session)
    assert found.mismatches == ("s/run1: corrupt json",)


def test_a_plan_without_a_commit_fails(ledger: Ledger) -> None:
    found = provenance(Story(ledger, stage(), sha="").session)
    assert (found.ok, found.reason) == (False, "plan.json has no calibration_git_sha")


def test_changed_tracked_files_are_another_measurement(ledger: Ledger) -> None:
    found = provenance(Story(ledger, stage()).observe(1, diff_sha256="d" * 64).session)
    assert found.mismatches == ("s/run1: tracked files were changed since the plan was made",)


def test_only_a_proven_equivalent_commit_is_accepted(ledger: Ledger) -> None:
    story = Story(ledger, stage()).append(resumed(OTHER, equivalent=True)).observe(1, sha=OTHER)
    assert provenance(story.session).ok
    assert provenance(story.session).equivalent_commits == (OTHER,)
    unproven = Story(ledger, stage(), session="u").append(resumed(OTHER, equivalent=False)).observe(1, sha=OTHER)
    assert not provenance(unproven.session).ok


SOURCE = b"LIMIT = 0.5  # seconds\ndef f(x):\n    return x < LIMIT\n"


@pytest.mark.parametrize(
    ("new", "same"),
    [
        (b"LIMIT = 0.75\ndef f(x):\n    return x < LIMIT\n", True),
        (b"LIMIT = 1\n\n\ndef f(x):  # comment\n    return x < LIMIT\n", True),
        (b"LIMIT = 0.5\ndef f(x):\n    return x > LIMIT\n", False),
        (b"LIMIT = '0.5'\ndef f(x):\n    return x < LIMIT\n", False),
        (b"LIMIT = True\ndef f(x):\n    return x < LIMIT\n", False),
        (b"LIMIT = None\ndef f(x):\n    return x < LIMIT\n", False),
        (b"LIMIT = 0.5\ndef f(x):\n    return x <\n", False),
        (None, False),
    ],
)
def test_a_program_is_the_same_when_only_numeric_literals_differ(new: bytes | None, same: bool) -> None:
    assert same_program("tests/a.py", SOURCE, new) is same


@given(st.floats(0, 1e6, allow_nan=False), st.floats(0, 1e6, allow_nan=False))
def test_any_two_positive_thresholds_are_one_program(a: float, b: float) -> None:
    assert same_program("a.py", f"X = {{16: {{'q': {a!r}}}}}".encode(), f"X = {{16: {{'q': {b!r}}}}}".encode())


def test_skills_do_not_measure_and_other_files_always_may() -> None:
    changed = {
        ".claude/skills/tune-ci-thresholds/SKILL.md": (b"a", b"b"),
        "tests/a.py": (b"X = 1\n", b"X = 2\n"),
        "requirements.txt": (b"a==1", b"a==2"),
        "src/new.py": (None, b"X = 1\n"),
    }
    assert not_equivalent(changed) == ["requirements.txt", "src/new.py"]


def test_performance_sensitive_files_match_globs_in_any_folder() -> None:
    paths = ["src/a.py", "docs/a.md", "csrc/deep/k.cu", "pyproject.toml"]
    assert performance_sensitive(paths, ["**/*.cu", "*.py", "*pyproject.toml"]) == [
        "csrc/deep/k.cu",
        "pyproject.toml",
        "src/a.py",
    ]
