"""The merge gate: every condition alone can block it; since when and by what; yesterday's answer is the prefix's."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.ci.gate import ChangeSeen, Input, Known, PullSeen, ReviewSeen, judge
from projections.ci.policy import Policy
from projections.ci.statuses import Report
from tests.projections.ci.conftest import shipped

PAGE = shipped("fastvideo-page")
SHA = "a" * 40
PULL = PullSeen(
    repository="o/r",
    number=1,
    title="[feat] x",
    state="open",
    head_sha=SHA,
    event_id="pull",
    at="t0",
    mergeable=True,
    author="bob",
)
REVIEW = ReviewSeen(reviewer="ada", state="approved", at="t1", event_id="review", review_id=1)
CHANGE = ChangeSeen(sha=SHA, files=["fastvideo-kernel/a.cu"], event_id="change")
NEEDED = [
    "pre-commit",
    "buildkite/ci/microscope-kernel-tests",
    "buildkite/ci/test-tube-training-tests-vsa",
    "buildkite/ci/test-tube-inference-tests-vmoba",
]


def report(context: str, state: str = "success", at: str = "t2", sha: str = SHA, nth: int = 0) -> Report:
    return Report(
        sha=sha, context=context, state=state, at=at, event_id=f"{context} {state} {at} {nth}", recorded_at=f"{nth:06d}"
    )


def ready() -> list[Input]:
    return [PULL, REVIEW, CHANGE, *(report(context) for context in NEEDED)]


def history(inputs: list[Input]) -> list[Known]:
    return [Known(input=one, learned_at=f"T{nth:04d}") for nth, one in enumerate(inputs)]


def unmet(inputs: list[Input], policy: Policy = PAGE) -> list[str]:
    verdict = judge(policy, history(inputs))
    blocking = [c.id for c in verdict.conditions if not c.met and not c.advisory]
    assert verdict.mergeable == (not blocking)
    return blocking


def changed(**fields: Any) -> PullSeen:
    return msgspec.structs.replace(PULL, at="t9", event_id="later", **fields)


def test_a_pull_request_that_fulfils_everything_may_be_merged() -> None:
    assert unmet(ready()) == []


@pytest.mark.parametrize(
    ("then", "blocked"),
    [
        (report("pre-commit", "failure", "t3"), "pre-commit"),
        (report(NEEDED[1], "failure", "t3"), "fastcheck"),
        (report(NEEDED[2], "pending", "t3"), "full-suite"),
        (ReviewSeen(reviewer="ada", state="changes_requested", at="t2", event_id="r2", review_id=2), "approval"),
        (ReviewSeen(reviewer="ada", state="dismissed", at="t1", event_id="r2", review_id=1), "approval"),
        (changed(title="Add x"), "title"),
        (changed(draft=True), "not-draft"),
        (changed(mergeable=False), "no-conflict"),
        (changed(state="closed"), "open"),
        (changed(merged=True), "open"),
        (changed(labels=["do-not-merge"]), "do-not-merge"),
    ],
)
def test_each_condition_alone_blocks_and_says_since_when_and_by_which_event(
    then: Report | ReviewSeen | PullSeen, blocked: str
) -> None:
    inputs = [*ready(), then]
    assert unmet(inputs) == [blocked]
    verdict = judge(PAGE, history(inputs))
    condition = next(c for c in verdict.conditions if c.id == blocked)
    assert (condition.since, condition.by) == (f"T{len(inputs) - 1:04d}", then.event_id)
    assert condition.why


@pytest.mark.parametrize("missing", range(7))
def test_without_any_one_input_it_may_not_be_merged(missing: int) -> None:
    inputs = ready()
    del inputs[missing]
    assert unmet(inputs) != []


def test_a_condition_that_did_not_change_keeps_its_since() -> None:
    again = [*ready(), report("pre-commit", at="t5"), changed(title="[fix] y")]
    verdict = judge(PAGE, history(again))
    found = {c.id: (c.since, c.by) for c in verdict.conditions}
    assert found["pre-commit"] == ("T0003", f"{NEEDED[0]} success t2 0")
    assert found["title"] == ("T0000", "pull")
    assert found["full-suite"][0] == "T0006"


def test_a_push_starts_all_over_because_another_commits_statuses_never_count() -> None:
    pushed = changed(head_sha="b" * 40, mergeable=None)
    assert unmet([*ready(), pushed]) == ["pre-commit", "fastcheck", "full-suite", "no-conflict"]
    elsewhere = [report(context, sha="c" * 40) for context in NEEDED]
    assert "pre-commit" in unmet([PULL, REVIEW, CHANGE, *elsewhere])


def test_a_null_mergeable_keeps_the_last_word_on_the_same_head() -> None:
    assert unmet([*ready(), changed(mergeable=None)]) == []


def test_the_authors_own_approval_and_a_mere_comment_do_not_count() -> None:
    mine = msgspec.structs.replace(REVIEW, reviewer="bob")
    assert unmet([one if one is not REVIEW else mine for one in ready()]) == ["approval"]
    said = ReviewSeen(reviewer="ada", state="commented", at="t3", event_id="r3", review_id=3)
    assert unmet([*ready(), said]) == []


def test_the_real_configuration_wants_the_label_ready_and_takes_any_context_that_matches() -> None:
    august = shipped("fastvideo-2026-08")
    inputs = [*ready(), changed(labels=["ready"])]
    assert unmet(ready(), august) == ["ready"]
    assert unmet(inputs, august) == []
    named = [report("pre-commit / run") if getattr(one, "context", "") == "pre-commit" else one for one in inputs]
    assert unmet(named, august) == []
    assert unmet(named, PAGE) == ["pre-commit"]


def test_the_observed_mode_never_takes_a_posted_green_back() -> None:
    observed = msgspec.structs.replace(PAGE, aggregates="observed")
    inputs = [*ready(), report("full-suite-passed"), report(NEEDED[2], "failure", "t3")]
    assert unmet(inputs, observed) == []
    assert unmet(inputs, PAGE) == ["full-suite"]


def test_verdicts_of_our_own_are_shown_and_block_when_the_policy_says_so() -> None:
    inputs = [*ready(), report("perfledger/baseline", "failure", "t3")]
    assert unmet(inputs) == []
    shown = next(c for c in judge(PAGE, history(inputs)).conditions if c.id == "baseline")
    assert (shown.met, shown.advisory) == (False, True)
    rules = [msgspec.structs.replace(r, advisory=False) for r in PAGE.merge.conditions]
    strict = msgspec.structs.replace(PAGE, merge=msgspec.structs.replace(PAGE.merge, conditions=rules))
    assert unmet(inputs, strict) == ["baseline"]
    assert unmet(ready(), strict) == []  # optional: nothing measured does not block


def test_what_was_never_seen_is_not_mergeable() -> None:
    verdict = judge(PAGE, [])
    assert not verdict.mergeable and verdict.pull is None
    assert {c.why for c in verdict.conditions} == {"this pull request was never seen"}


_INPUT = st.one_of(
    st.builds(
        report,
        st.sampled_from(NEEDED),
        st.sampled_from(["success", "success", "failure", "pending"]),
        st.sampled_from(["t1", "t2", "t3", "t4"]),
        st.sampled_from([SHA, SHA, "b" * 40]),
        st.integers(0, 99),
    ),
    st.builds(
        lambda t, d, m, labels, h: msgspec.structs.replace(
            PULL, at=t, draft=d, mergeable=m, labels=labels, head_sha=h, event_id=f"p{t}{d}{m}{labels}{h}"
        ),
        st.sampled_from(["t1", "t2", "t3"]),
        st.booleans(),
        st.sampled_from([True, True, False, None]),
        st.sampled_from([[], ["do-not-merge"]]),
        st.sampled_from([SHA, SHA, "b" * 40]),
    ),
    st.sampled_from([REVIEW, CHANGE]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_INPUT, max_size=25), st.randoms(use_true_random=False))
def test_order_of_arrival_changes_no_verdict_and_since_is_where_the_answer_last_changed(
    inputs: list[Input], shuffler: random.Random
) -> None:
    known = history(inputs)
    verdict = judge(PAGE, known)
    mixed = list(known)
    shuffler.shuffle(mixed)
    assert [c.met for c in judge(PAGE, mixed).conditions] == [c.met for c in verdict.conditions]
    answers = [{c.id: c.met for c in judge(PAGE, known[: n + 1]).conditions} for n in range(len(known))]
    for condition in verdict.conditions if known else []:
        last = max(
            (n for n in range(1, len(known)) if answers[n][condition.id] != answers[n - 1][condition.id]), default=0
        )
        assert condition.since == known[last].learned_at
