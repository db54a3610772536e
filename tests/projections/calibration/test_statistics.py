"""Spread, outliers, intervals and the rank test, against values computed elsewhere."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.calibration.statistics import accuracy_interval, iqr_outliers, rank_p_value, spread, wilson_interval


def test_the_spread_of_five_published_throughputs() -> None:
    found = spread([1.762, 1.862, 1.789, 1.854, 1.759])
    assert (found.n, found.median, found.minimum, found.maximum) == (5, 1.789, 1.759, 1.862)
    assert found.range == pytest.approx(0.103)
    # mean 1.8052; squared deviations 186624 + 322624 + 26244 + 238144 + 213444 = 987080 e-8, over n - 1
    assert found.std == pytest.approx((0.0098708 / 4) ** 0.5)
    assert found.cv == pytest.approx((0.0098708 / 4) ** 0.5 / 1.8052)


def test_one_value_has_no_deviation_and_a_mean_of_zero_no_cv() -> None:
    assert spread([3.0]).std == 0.0
    assert spread([-1.0, 1.0]).cv is None


def test_outliers_lie_outside_tukeys_fences() -> None:
    # quartiles 2 and 4, fences -1 and 7
    assert iqr_outliers([1.0, 2.0, 3.0, 4.0, 100.0]) == (100.0,)
    assert iqr_outliers([1.0, 2.0, 3.0, 4.0, 7.0]) == ()
    assert iqr_outliers([1.0, 50.0, 100.0]) == ()


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Wilson 1927, as in Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_equal_the_published_table(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_wilson_interval_holds_its_proportion_and_stays_a_proportion(pair: tuple[int, int]) -> None:
    k, n = pair
    low, high = wilson_interval(k, n)
    assert 0 <= low <= k / n <= high <= 1


def test_accuracies_are_not_pooled_over_repeats_of_the_same_questions() -> None:
    assert accuracy_interval([0.64, 0.66, 0.66], 50) == wilson_interval(33, 50)
    assert accuracy_interval([], 50) is None
    assert accuracy_interval([1.5], 50) is None


def test_the_rank_test_of_five_against_five_is_exact() -> None:
    # fully separated: 2 of the 252 ways to choose five of ten are as far out
    assert rank_p_value([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(2 / 252)
    assert rank_p_value([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) == 1.0
    assert rank_p_value([], [1.0]) == 1.0


def test_large_samples_use_the_normal_approximation_and_agree_with_the_exact_one() -> None:
    ours = rank_p_value(list(range(0, 24, 2)), [x + 7.0 for x in range(0, 24, 2)])
    # exact two-sided p of these samples, U = 29.5 with ties at mean rank
    assert 0.01 < ours < 0.05
    assert rank_p_value([1.0] * 12, [1.0] * 12) == 1.0


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=5), st.lists(st.floats(-5, 5), min_size=2, max_size=5))
def test_a_p_value_is_symmetric_and_a_probability(a: list[float], b: list[float]) -> None:
    p = rank_p_value(a, b)
    assert 0 < p <= 1 and math.isclose(p, rank_p_value(b, a), abs_tol=1e-9)
