"""Buildkite's jobs and builds become reports: an unknown word is a failure, and a wait step is no test."""

from __future__ import annotations

import json
from typing import Any

import pytest

from commands.service import buildkite
from ledger.events.checks import CheckReported
from tests.e2e import webhook_payloads as payloads


def report(document: dict[str, Any]) -> CheckReported | None:
    """The one report a payload makes, None when it makes none."""
    facts = buildkite.read(document["event"], json.dumps(document).encode()).facts
    if not facts:
        return None
    (fact,) = facts
    assert isinstance(fact.payload, CheckReported) and fact.stream == f"check/{fact.payload.sha}"
    return fact.payload


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("passed", "success"),
        *(
            (word, "pending")
            for word in ("running", "scheduled", "assigned", "accepted", "waiting", "blocked", "limited")
        ),
        ("canceled", "cancelled"),
        ("canceling", "cancelled"),
        ("skipped", "skipped"),
        ("not_run", "skipped"),
        *(
            (word, "failure")
            for word in ("failed", "timed_out", "broken", "expired", "failing", "Passed", "", "brand_new")
        ),
    ],
)
def test_only_passed_is_a_success_and_a_word_nobody_knows_is_a_failure(word: str, state: str) -> None:
    for document in (payloads.buildkite_job(state=word), payloads.buildkite_build(state=word)):
        found = report(document)
        assert found is not None and (found.state, found.conclusion) == (state, word)


def test_a_job_that_may_fail_softly_is_still_reported_as_it_went() -> None:
    document = payloads.buildkite_job(state="failed")
    document["job"]["soft_failed"] = True
    found = report(document)
    assert found is not None and found.state == "failure"


@pytest.mark.parametrize("kind", ["waiter", "manual", "wait", "block", "input"])
def test_a_step_that_runs_nothing_is_no_test(kind: str) -> None:
    assert report(payloads.buildkite_job(kind=kind)) is None


@pytest.mark.parametrize("kind", ["script", "trigger"])
def test_a_step_that_runs_something_reports_the_context_that_github_shows(kind: str) -> None:
    found = report(payloads.buildkite_job(kind=kind))
    assert found is not None
    assert found.context == f"buildkite/{payloads.PIPELINE['slug']}/microscope-vae-tests"
    assert found.source == "buildkite:job"


@pytest.mark.parametrize("name", [None, ""])
def test_a_step_without_a_label_has_no_context(name: str | None) -> None:
    document = payloads.buildkite_job()
    document["job"]["name"] = name
    assert report(document) is None


@pytest.mark.parametrize(
    ("missing", "hour"),
    [
        ((), "2026-06-01T10:08:00.000000Z"),
        (("finished_at",), "2026-06-01T10:01:00.000000Z"),
        (("finished_at", "started_at"), "2026-06-01T10:00:00.000000Z"),
        (("finished_at", "started_at", "created_at"), None),
    ],
)
def test_a_report_counts_from_the_latest_moment_the_payload_knows(missing: tuple[str, ...], hour: str | None) -> None:
    document = payloads.buildkite_job()
    for name in missing:
        document["job"][name] = None
    found = report(document)
    assert found is not None and found.reported_at == hour


@pytest.mark.parametrize(("number", "kept"), [(1, 1), (0, 0), (2**63 - 1, 2**63 - 1), (2**63, 0), (-1, 0)])
def test_a_build_number_orders_reports_as_far_as_the_log_can_hold_it(number: int, kept: int) -> None:
    document = payloads.buildkite_build()
    document["build"] = {**document["build"], "number": number}
    found = report(document)
    assert found is not None and found.remote_id == kept


@pytest.mark.parametrize("commit", ["HEAD", "", "main", "abc", "g" * 40])
def test_a_build_whose_commit_is_not_known_yet_says_nothing(commit: str) -> None:
    document = payloads.buildkite_job()
    document["build"] = {**document["build"], "commit": commit}
    assert report(document) is None


@pytest.mark.parametrize("event", ["ping", "agent.connected", "pipeline.created"])
def test_events_of_other_kinds_say_nothing(event: str) -> None:
    assert report({**payloads.buildkite_job(), "event": event}) is None


def test_a_label_of_any_length_is_a_context_that_can_be_kept() -> None:
    found = report(payloads.buildkite_job(label="x" * 5_000))
    assert found is not None and len(found.context) == 255


def test_an_exit_code_is_told_where_there_is_one() -> None:
    good, bad = report(payloads.buildkite_job()), report(payloads.buildkite_job(state="failed"))
    assert good is not None and "exit" not in good.description
    assert bad is not None and bad.description.endswith(", exit 1")
