"""Statistics of repeated measurements: spread, outliers, intervals, and whether a move is noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import combinations

import msgspec

Z_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
TUKEY_FENCE = 1.5
EXACT_LIMIT = 20_000  # permutations up to which the rank test is exact


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """How repeats of one metric scatter. Values are in the unit they were given in.

    std is the sample standard deviation (n - 1), 0 for one value. cv is std over the absolute mean,
    None for a mean of zero. outliers lie more than 1.5 interquartile ranges outside the quartiles
    (linear interpolation), which needs four values.
    """

    n: int
    median: float
    minimum: float
    maximum: float
    range: float
    std: float
    cv: float | None
    outliers: tuple[float, ...]


def spread(values: Sequence[float]) -> Spread:
    """Summarise finite values; there must be at least one."""
    assert values and all(math.isfinite(v) for v in values), values
    low, high = min(values), max(values)
    mean = math.fsum(values) / len(values)
    std = statistics.stdev(values) if len(values) > 1 else 0.0
    return Spread(
        n=len(values),
        median=statistics.median(values),
        minimum=low,
        maximum=high,
        range=high - low,
        std=std,
        cv=std / abs(mean) if mean else None,
        outliers=iqr_outliers(values),
    )


def iqr_outliers(values: Sequence[float]) -> tuple[float, ...]:
    """Return the values outside Tukey's fences, ascending; nothing from fewer than four values."""
    if len(values) < 4:
        return ()
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    reach = TUKEY_FENCE * (third - first)
    return tuple(sorted(v for v in values if v < first - reach or v > third + reach))


def wilson_interval(successes: int, trials: int, *, z: float = Z_95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion, as fractions (Wilson, JASA 22, 1927)."""
    assert 0 <= successes <= trials and trials > 0, (successes, trials)
    p = successes / trials
    z2n = z * z / trials
    centre = (p + z2n / 2) / (1 + z2n)
    half = z / (1 + z2n) * math.sqrt(p * (1 - p) / trials + z2n / (4 * trials))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return low, high


def accuracy_interval(accuracies: Sequence[float], samples: int) -> tuple[float, float] | None:
    """Wilson 95 % interval of the median accuracy over `samples` questions.

    The repeats ask the same questions, so they are not pooled: that would narrow the interval by a
    certainty that the data does not support. None when the values are no proportions or nothing was asked.
    """
    if not accuracies or samples <= 0 or not all(0 <= a <= 1 for a in accuracies):
        return None
    middle = statistics.median_low(accuracies)
    return wilson_interval(round(middle * samples), samples)


def rank_p_value(before: Sequence[float], after: Sequence[float]) -> float:
    """Two-sided p-value that two samples come from one distribution (Mann and Whitney, 1947).

    Exact over all permutations while there are few (five against five: 252), ties at their mean
    rank; beyond that the normal approximation with tie correction. 1.0 when a sample is empty.
    """
    n, m = len(before), len(after)
    if not n or not m:
        return 1.0
    ranks = _ranks([*before, *after])
    expected = n * (n + m + 1) / 2
    seen = abs(math.fsum(ranks[:n]) - expected)
    if math.comb(n + m, n) <= EXACT_LIMIT:
        as_far = total = 0
        for chosen in combinations(ranks, n):
            total += 1
            as_far += abs(math.fsum(chosen) - expected) >= seen - 1e-9
        return as_far / total
    mean = (n + m + 1) / 2
    variance = n * m / ((n + m) * (n + m - 1)) * math.fsum((r - mean) ** 2 for r in ranks)
    if variance <= 0:
        return 1.0
    return math.erfc(max(0.0, seen - 0.5) / math.sqrt(2 * variance))


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for index in range(start, end + 1):
            ranks[order[index]] = (start + end) / 2 + 1
        start = end + 1
    return ranks
