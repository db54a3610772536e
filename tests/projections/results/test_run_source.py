"""Where a run came from. Facts: performance CI of hao-ai-lab/FastVideo, August 2026."""

from __future__ import annotations

import pytest

from projections.results.run_source import detect_run_source, pull_request, upload_policy


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"PERF_RUN_SOURCE": "local", "BUILDKITE_PULL_REQUEST": "12"}, "local"),
        ({"PERF_RUN_SOURCE": "nightly", "BUILDKITE_PULL_REQUEST": "12"}, "pr"),
        ({"BUILDKITE_PULL_REQUEST": "12", "BUILDKITE_BRANCH": "main", "TEST_SCOPE": "full"}, "pr"),
        ({"BUILDKITE_PULL_REQUEST": "false", "BUILDKITE_BRANCH": "main", "TEST_SCOPE": "full"}, "scheduled_main"),
        (
            {
                "BUILDKITE_PULL_REQUEST": "None",
                "BUILDKITE_BRANCH": "main",
                "TEST_SCOPE": "direct",
                "BUILDKITE_COMMIT": "c",
            },
            "unknown",
        ),
        ({"BUILDKITE_COMMIT": "c"}, "unknown"),
        ({"BUILDKITE_COMMIT": ""}, "local"),
        ({}, "local"),
    ],
)
def test_the_explicit_word_then_pull_request_then_full_main_then_no_commit(env: dict[str, str], expected: str) -> None:
    assert detect_run_source(env) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12", "12"),
        (12, "12"),
        ("false", ""),
        ("0", ""),
        ("None", ""),
        ("none", ""),
        ("", ""),
        (None, ""),
        (False, "False"),
    ],
)
def test_the_words_for_no_pull_request_are_no_number(value: object, expected: str) -> None:
    assert pull_request(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("pass", "pass"), ("always", "always"), ("never", "never"), ("Always", "never"), ("", "never"), (None, "never")],
)
def test_an_upload_policy_that_is_no_word_is_never(value: str | None, expected: str) -> None:
    assert upload_policy(value) == expected
