"""Stopping early: the stated error rate holds where its assumption holds, and the time saved is real."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from gpu_runner.stop_early import Decision, Series, decide, gpu_seconds_saved, t_upper_tail

# Student's t, one-sided critical values of standard tables.
TABLE = [
    (6.314, 1, 0.05),
    (2.920, 2, 0.05),
    (9.925, 2, 0.005),
    (2.353, 3, 0.05),
    (4.604, 4, 0.005),
    (1.812, 10, 0.05),
    (3.169, 10, 0.005),
    (2.576, 100_000, 0.005),
]


@pytest.mark.parametrize(("t", "degrees", "tail"), TABLE)
def test_the_tail_of_students_t_is_the_tables(t: float, degrees: int, tail: float) -> None:
    assert t_upper_tail(t, degrees) == pytest.approx(tail, rel=2e-3)
    assert t_upper_tail(-t, degrees) == pytest.approx(1 - tail, rel=2e-3)


def one(values: list[float], tolerance: float, worst: str = "min", **more: bool) -> Series:
    return Series(name="m", values=values, worst=worst, tolerance=tolerance, **more)


def run_to_the_end(
    draw: Callable[[], float], planned: int, tolerance: float, worst: str, alpha: float
) -> tuple[int, bool]:
    """(repeats that ran, whether the worst value of all planned ones would have moved beyond the tolerance)."""
    values = [draw() for _ in range(planned)]
    for done in range(1, planned):
        if decide([one(values[:done], tolerance, worst)], planned, alpha=alpha).stop:
            pick = min if worst == "min" else max
            return done, abs(pick(values) - pick(values[:done])) > tolerance
    return planned, False


@pytest.mark.parametrize("alpha", [0.05, 0.2])
@pytest.mark.parametrize(("planned", "sigmas", "worst"), [(5, 1.0, "min"), (5, 4.0, "max"), (10, 2.0, "min")])
def test_the_error_rate_stays_below_what_was_stated(alpha: float, planned: int, sigmas: float, worst: str) -> None:
    chance = random.Random(planned * 1000 + int(sigmas * 10))
    runs = 1500
    ends = [run_to_the_end(lambda: chance.gauss(100.0, 1.0), planned, sigmas, worst, alpha) for _ in range(runs)]
    wrong = sum(moved for _, moved in ends) / runs
    assert wrong <= alpha, f"{wrong:.3f} of the runs were stopped although their worst value would have moved"


def test_a_steady_metric_with_room_saves_repeats_and_a_noisy_one_saves_none() -> None:
    chance = random.Random(7)
    steady = [run_to_the_end(lambda: chance.gauss(100.0, 0.05), 5, 1.0, "min", 0.05)[0] for _ in range(300)]
    noisy = [run_to_the_end(lambda: chance.gauss(100.0, 5.0), 5, 1.0, "min", 0.05)[0] for _ in range(300)]
    assert sum(steady) / 300 < 3.7 and sum(noisy) / 300 > 4.9


def test_never_before_three_repeats_and_never_after_the_last() -> None:
    assert not decide([one([1.0, 1.0001], 1.0)], 5).stop
    last = decide([one([1.0, 1.1, 1.2, 1.0, 1.1], 9.0)], 5)
    assert last == Decision(stop=False, risk=0.0, allowed=0.025, risks={}, repeats_saved=0)


def test_a_metric_that_never_varied_is_not_trusted_unless_it_is_exact() -> None:
    constant = [0.97, 0.97, 0.97]
    assert decide([one(constant, 0.01)], 5).risk == pytest.approx(2 / 5)
    assert decide([one(constant, 0.01, exact=True)], 5).stop


def test_every_metric_has_to_be_settled_and_the_open_ones_are_named() -> None:
    calm = Series(name="calm", values=[100.0, 100.1, 100.05], worst="max", tolerance=10.0)
    wild = Series(name="wild", values=[100.0, 130.0, 70.0], worst="max", tolerance=1.0)
    assert decide([calm], 5).stop and decide([calm], 5).repeats_saved == 2
    both = decide([calm, wild], 5)
    assert not both.stop and both.unsettled == ["wild"] and both.repeats_saved == 0


def test_the_side_of_the_bound_decides_which_values_count() -> None:
    """A high outlier already is the worst of a maximum; for a minimum it only widens the spread."""
    high = [100.0, 100.1, 103.0]
    low = [-value for value in high]
    assert decide([one(high, 5.0, "max")], 5).risk < decide([one(high, 5.0, "min")], 5).risk
    assert decide([one(high, 5.0, "max")], 5).risk == decide([one(low, 5.0, "min")], 5).risk


def test_saved_time_counts_every_gpu() -> None:
    assert gpu_seconds_saved([300.0, 320.0, 280.0], gpus=2, repeats_saved=2) == 1200.0
    assert gpu_seconds_saved([], gpus=2, repeats_saved=2) == 0.0
