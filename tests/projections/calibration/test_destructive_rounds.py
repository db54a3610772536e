"""Destructive rounds: robust z above 3.5 and a 20 % gap and more than the display shows; replaced, capped."""

from __future__ import annotations

import math
from typing import Any

import pytest

from commands.calibrate.measuring.loop import decision_events
from ledger.ledger import Ledger
from projections.calibration.destructive_rounds import Judgement, destructive_values, is_degenerate, judge_unit
from projections.calibration.session import Session, units_of
from tests.projections.calibration.story import OTHER, Story, metric, share, stage

STEADY = [10.0, 10.1, 9.9, 10.05]


def condemned(values: list[float | None], **more: Any) -> set[int]:
    found = destructive_values("s", metric(**more), dict(enumerate(values, 1)))
    return set(found)


def test_a_value_far_from_the_rest_is_destructive_with_its_numbers() -> None:
    found = destructive_values("s", metric(digits=3), dict(enumerate([*STEADY, 3.0], 1)))
    assert set(found) == {5}
    why = found[5]
    assert why.value == 3.0 and why.median_of_rest == pytest.approx(10.025)
    # median 10, absolute deviations 0, .1, .1, .05, 7: MAD 0.1; 7 / (1.4826 x 0.1) = 47.2
    assert why.robust_z == pytest.approx(7 / 0.14826)
    assert why.gap == pytest.approx(6.9) and why.gap_fraction == pytest.approx(6.9 / 10.025)


def test_both_sides_count_a_value_too_good_is_no_measurement_either() -> None:
    assert condemned([*STEADY, 30.0]) == {5}


def test_a_large_z_without_a_gap_of_a_fifth_is_not_destructive() -> None:
    assert condemned([10.0, 10.0, 10.0, 10.01, 11.9]) == set()
    # 20 % of the median of the rest exactly is enough
    assert condemned([10.0, 10.0, 10.0, 10.0, 12.0]) == {5}


def test_a_gap_without_a_large_z_is_not_destructive() -> None:
    assert condemned([10.0, 14.0, 18.0, 22.0, 26.0]) == set()


def test_a_move_the_display_does_not_show_is_not_destructive() -> None:
    """A count that is 1 once and 0 otherwise differs by exactly one displayed step."""
    assert condemned([0.0, 0.0, 0.0, 0.0, 1.0], digits=0) == set()
    assert condemned([0.0, 0.0, 0.0, 0.0, 2.0], digits=0) == {5}
    # a scale of 100 with two digits shows steps of 0.0001 raw
    assert condemned([0.0001, 0.0001, 0.0001, 0.0001, 0.0002], scale=100, digits=2) == set()


def test_values_that_are_not_finite_always_are() -> None:
    assert condemned([1.0, 1.0, None]) == {3}
    assert condemned([1.0, 1.0, 1.0, 1.0, math.inf, math.nan]) == {5, 6}


def test_fewer_than_five_observations_are_not_judged() -> None:
    assert condemned([10.0, 10.0, 10.0, 1.0]) == set()


@pytest.mark.parametrize(
    ("values", "degenerate"),
    [
        ([10.0, 10.1, 20.2, 20.3, 20.4], True),  # split 10.1 is half of the median 20.2
        ([10.0, 10.1, 14.0, 14.1, 14.2], False),  # split 3.9 is below half of 14
        ([10.0, 20.0, 20.1, 20.2, 20.3], False),  # a population of one is an outlier, not a population
        ([1.0, 1.0, 2.0, 2.0, 2.0], False),  # one displayed step of a count
        ([1.0, 1.0, 2.0, 2.0], False),
    ],
)
def test_two_populations_of_two_and_more_half_a_median_apart_are_degenerate(
    values: list[float], degenerate: bool
) -> None:
    assert is_degenerate(values, resolution=1.0 if max(values) < 5 else 0.001) is degenerate


class Runner:
    """Follows the judgements as a run does; `values(repeat)` is what a round measures."""

    def __init__(self, ledger: Ledger, values: Any, **story: Any) -> None:
        self.story = Story(ledger, stage("a"), stage("b"), rejection=True, **story)
        self.values = values
        self.steps: list[tuple[str, tuple[int, ...]]] = []

    def run(self) -> Session:
        for _ in range(60):
            session = self.story.session
            unit = units_of(session.plan)[0]
            step = judge_unit(session, unit)
            self.steps.append((step.step, step.repeats))
            if step.step == "done":
                return session
            self._take(step, session, unit)
        raise AssertionError(self.steps)

    def _take(self, step: Judgement, session: Session, unit: Any) -> None:
        if step.step == "measure":
            repeat = step.repeats[0]
            self.story.observe(repeat, share("a", self.values(repeat)), share("b", 1.0))
        else:
            self.story.append(*decision_events(session.id, unit, step))

    @property
    def measured(self) -> list[int]:
        return [repeats[0] for step, repeats in self.steps if step == "measure"]


def test_a_quiet_unit_is_measured_n_times_and_done(ledger: Ledger) -> None:
    runner = Runner(ledger, lambda k: 10 + k / 100)
    session = runner.run()
    assert runner.measured == [1, 2, 3, 4, 5] and not session.rejected


def test_a_destructive_round_is_replaced_by_two_with_new_indices(ledger: Ledger) -> None:
    runner = Runner(ledger, lambda k: 2.0 if k == 3 else 10 + k / 100)
    session = runner.run()
    assert runner.measured == [1, 2, 3, 4, 5, 6, 7]
    assert list(session.rejected) == [("test_a_ci", 3)]
    # one metric of one stage condemns the round for the whole unit, and the evidence names it
    assert session.set_aside("b", 3) and session.rejected["test_a_ci", 3].evidence[0].stage == "a"


def test_two_destructive_rounds_are_replaced_by_four(ledger: Ledger) -> None:
    runner = Runner(ledger, lambda k: {2: 1.0, 4: 30.0}.get(k, 10 + k / 100))
    session = runner.run()
    assert runner.measured == list(range(1, 10))
    assert sorted(k for _, k in session.rejected) == [2, 4]


def test_three_destructive_rounds_discard_the_block_and_start_over_once(ledger: Ledger) -> None:
    runner = Runner(ledger, lambda k: {2: 1.0, 4: 30.0, 6: 99.0}.get(k, 10 + k / 100))
    session = runner.run()
    assert ("discard", tuple(range(1, 10))) in runner.steps
    assert runner.measured == list(range(1, 15))
    assert sorted(k for _, k in session.discarded) == list(range(1, 10))
    assert not session.flagged


def test_two_populations_discard_the_block_and_a_second_time_keep_everything_flagged(ledger: Ledger) -> None:
    runner = Runner(ledger, lambda k: 10.0 if k % 2 else 20.0)
    session = runner.run()
    assert runner.measured == list(range(1, 11))
    assert sorted(k for _, k in session.discarded) == [1, 2, 3, 4, 5]
    assert session.flagged == {"test_a_ci": "two populations in a.throughput_qps"}
    assert [r for r in range(1, 11) if not session.set_aside("a", r)] == [6, 7, 8, 9, 10]


def test_there_are_never_more_than_fifteen_rounds(ledger: Ledger) -> None:
    runner = Runner(ledger, lambda k: {4: 1.0, 8: 40.0}.get(k, 10 + k / 100), repeats=14)
    session = runner.run()
    assert max(runner.measured) == 15
    # 15 rounds with two condemned leave 13 clean of 14: every round counts, flagged
    assert session.flagged and not session.rejected


def test_without_rejection_or_below_five_repeats_nothing_is_judged(ledger: Ledger) -> None:
    wild = Story(ledger, stage("a"), session="off", rejection=False)
    few = Story(ledger, stage("a"), session="few", rejection=True, repeats=4)
    for story, repeats in ((wild, 5), (few, 4)):
        for repeat in range(1, repeats + 1):
            story.observe(repeat, share("a", 1.0 if repeat == 2 else 10.0))
        session = story.session
        assert judge_unit(session, units_of(session.plan)[0]).step == "done"


def test_partial_wrong_scope_and_stale_rounds_are_measured_again(ledger: Ledger) -> None:
    story = Story(ledger, stage("a", expected_samples=10), stage("b"), repeats=5)
    story.observe(1).observe(2, share("a", ok=9), share("b")).observe(3, share("a", total=12, ok=12), share("b"))
    story.observe(4, sha=OTHER).observe(5, share("a", status="failed"), share("b"))
    session = story.session
    assert judge_unit(session, units_of(session.plan)[0]).repeats == (2, 3, 4, 5)
