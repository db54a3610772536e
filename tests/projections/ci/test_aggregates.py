"""Latest states and aggregates of random status histories against a model that knows only the rules' words."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.ci import lanes, statuses
from projections.ci.statuses import Report, latest
from tests.projections.ci.conftest import shipped

PAGE = shipped("fastvideo-page")
HEAD, OTHER = "a" * 40, "b" * 40
CONTEXTS = [lane.context for lane in PAGE.lanes] + [
    "pre-commit",
    "direct-test-completed",
    "buildkite/ci/microscope-retired-tests",
    "buildkite/ci/golden-gate",
]
FILES = [
    "fastvideo/models/vaes/a.py",
    "fastvideo-kernel/a.cu",
    "docs/a.md",
    "pyproject.toml",
    "fastvideo/a.txt",
    "fastvideo/attention/backends/vmoba.py",
]


def report(nth: int, sha: str, context: str, state: str, second: int, number: int) -> Report:
    return Report(
        sha=sha,
        context=context,
        state=state,
        at=f"2026-06-01T00:00:{second:02d}.000000Z",
        remote_id=number,
        event_id=f"event-{nth:04d}",
        recorded_at=f"{nth:04d}",
    )


_REPORTS = st.lists(
    st.tuples(
        st.sampled_from([HEAD, HEAD, HEAD, OTHER]),
        st.sampled_from(CONTEXTS) | st.sampled_from(CONTEXTS[:2]),
        st.sampled_from(["success"] * 3 + ["pending", "failure", "error", "cancelled", "skipped", "neutral"]),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    max_size=60,
)


def model(history: list[Report], files: list[str] | None) -> dict[str, dict[str, str]]:
    """Aggregates by the words of the rules: {tier: {mode: state}}, in plain loops over the whole history."""
    found: dict[str, dict[str, str]] = {}
    for tier in ("fastcheck", "full"):
        prefixes = {
            "fastcheck": ["buildkite/ci/microscope-"],
            "full": ["buildkite/ci/test-tube-", "buildkite/ci/bar-chart-"],
        }[tier]
        newest: dict[str, Report] = {}
        for one in history:
            if one.sha != HEAD or not any(one.context.startswith(p) for p in prefixes):
                continue
            old = newest.get(one.context)
            if old is None or (one.at, one.remote_id, one.recorded_at) > (old.at, old.remote_id, old.recorded_at):
                newest[one.context] = one
        states = {context: one.state for context, one in newest.items()}
        should = set()
        for lane in PAGE.lanes if files is not None else []:
            if lane.tier == tier and any(lanes.first_match(PAGE, lane, file) for file in files or []):
                should.add(lane.context)
        bad = [s for s in states.values() if s not in ("success", "pending")]
        strict = (
            "failure"
            if bad
            else "pending"
            if files is None
            else "success"
            if all(states.get(c) == "success" for c in should | set(states))
            else "pending"
        )
        observed = (
            "failure" if bad else "success" if states and all(s == "success" for s in states.values()) else "pending"
        )
        found[tier] = {"strict": strict, "observed": observed}
    return found


@settings(max_examples=300, deadline=None)
@given(_REPORTS, st.none() | st.lists(st.sampled_from(FILES), unique=True), st.randoms(use_true_random=False))
def test_random_histories_agree_with_the_model_in_any_order(
    rows: list[tuple[str, str, str, int, int]], files: list[str] | None, shuffler: random.Random
) -> None:
    history = [report(nth, *row) for nth, row in enumerate(rows)]
    arrived = [*history, *history[::3]]  # deliveries come twice and in any order
    shuffler.shuffle(arrived)
    states = latest(one for one in arrived if one.sha == HEAD)
    starts = None if files is None else lanes.started(PAGE, files)
    found = statuses.aggregates(PAGE, states, starts)
    assert {t: {m: a.state for m, a in modes.items()} for t, modes in found.items()} == model(history, files)
    for modes in found.values():
        if modes["strict"].green and modes["strict"].members:
            assert modes["observed"].green  # the strict one is never the weaker
        assert len(modes["strict"].description) <= 140


def green(test_types: list[str]) -> list[Report]:
    return [
        report(n, HEAD, next(lane.context for lane in PAGE.lanes if lane.test_type == t), "success", 1, 0)
        for n, t in enumerate(test_types)
    ]


def totals(history: list[Report], files: list[str]) -> dict[str, dict[str, statuses.Aggregate]]:
    return statuses.aggregates(PAGE, latest(history), lanes.started(PAGE, files))


def test_one_test_started_by_name_greens_the_observed_tier_but_not_the_strict_one() -> None:
    found = totals(green(["inference_vmoba"]), ["fastvideo/attention/backends/vmoba.py"])["full"]
    assert (found["observed"].state, found["strict"].state) == ("success", "pending")
    assert len(found["strict"].missing) == 5
    assert found["observed"].description == "All 1 full tests passed"


def test_of_two_reports_of_one_second_the_larger_number_counts_then_the_later_recorded() -> None:
    def state(*rows: tuple[int, str, int]) -> str:
        return latest([report(nth, HEAD, "c", word, 1, number) for nth, word, number in rows])["c"].state

    assert state((1, "success", 9), (2, "failure", 8)) == "success"
    assert state((1, "success", 8), (2, "failure", 9)) == "failure"
    assert state((1, "success", 8), (2, "failure", 8)) == "failure"


def test_a_late_failure_takes_a_green_back() -> None:
    history = green(["vae", "unit_test"])
    assert totals(history, ["fastvideo/tests/vaes/a.txt"])["fastcheck"]["strict"].green
    late = report(9, HEAD, "buildkite/ci/microscope-vae-tests", "failure", 2, 0)
    found = totals([*history, late], ["fastvideo/tests/vaes/a.txt"])["fastcheck"]["strict"]
    assert (found.state, found.failing) == ("failure", ["buildkite/ci/microscope-vae-tests"])
    assert "VAE Tests" in found.description


def test_a_rerun_overwrites_its_own_context_only() -> None:
    history = green(["vae", "unit_test"])
    failed = report(8, HEAD, "buildkite/ci/microscope-unit-tests", "failure", 2, 0)
    again = report(9, HEAD, "buildkite/ci/microscope-unit-tests", "success", 3, 0)
    found = totals([*history, failed, again], ["fastvideo/tests/vaes/a.txt"])["fastcheck"]["strict"]
    assert found.green
    assert {m.event_id for m in found.members} == {"event-0000", "event-0009"}


def test_lanes_the_change_does_not_start_do_not_block_and_an_idle_tier_is_green() -> None:
    found = totals([], ["docs/a.md"])
    assert all(modes["strict"].green for modes in found.values())
    assert found["full"]["strict"].description == "No lane watches the changed files"
    assert found["full"]["observed"].state == "pending"


def test_a_failed_test_that_was_not_needed_is_not_hidden() -> None:
    needless = report(1, HEAD, "buildkite/ci/microscope-kernel-tests", "failure", 1, 0)
    assert totals([needless], ["docs/a.md"])["fastcheck"]["strict"].state == "failure"


@pytest.mark.parametrize("state", ["skipped", "neutral", "cancelled", "error"])
def test_only_what_the_policy_calls_passing_counts_as_success(state: str) -> None:
    history = [msgspec.structs.replace(one, state=state) for one in green(["kernel_tests"])]
    assert not totals(history, ["fastvideo-kernel/x.cu"])["fastcheck"]["strict"].green
    lenient = msgspec.structs.replace(PAGE, passing_states=["success", state])
    starts = lanes.started(lenient, ["fastvideo-kernel/x.cu"])
    assert statuses.aggregates(lenient, latest(history), starts)["fastcheck"]["strict"].green


def test_a_context_with_parts_is_as_bad_as_the_worst_of_their_latest() -> None:
    def part(nth: int, target: str, state: str) -> Report:
        return msgspec.structs.replace(report(nth, HEAD, "perfledger/baseline", state, nth, 0), part=target)

    assert latest([part(1, "x", "failure"), part(2, "y", "success")])["perfledger/baseline"].state == "failure"
    done = latest([part(1, "x", "failure"), part(2, "y", "success"), part(3, "x", "success")])["perfledger/baseline"]
    assert (done.state, done.report_count) == ("success", 3)
