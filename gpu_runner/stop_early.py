"""When further repeats could hardly change a worst-of-N any more: an opt-in that saves GPU time at a stated risk.

After k of N repeats each metric has a worst value. It is *settled* when the remaining N - k repeats move it by more
than a tolerance only with small probability. Values of one metric on one commit are taken as independent and normal,
so a future value follows Student's t with k - 1 degrees of freedom around the mean, with the scale s * sqrt(1 + 1/k).
The risk of a look is the sum over all metrics and remaining repeats (union bound: no independence between
metrics is assumed), and the allowed risk is divided evenly over the looks, so that looking often costs nothing.

    P(some worst-of-N would have moved by more than its tolerance, had all N been run) <= alpha

A metric that has not varied at all gives no estimate of its variance: its risk is the distribution-free (N - k) / N,
unless it is declared exact (a deterministic count). A simulation in the tests checks the rate.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

REPEATS_MIN = 3
ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One metric of one stage so far. worst: `min` or `max`; tolerance: how far its worst value may move (>= 0)."""

    name: str
    values: Sequence[float]
    worst: str
    tolerance: float
    exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """stop: the rest need not run. risk: the bound at this look; allowed: what it may be. open: metrics not settled.

    repeats_saved is what stopping now would save (0 when it does not stop).
    """

    stop: bool
    risk: float
    allowed: float
    risks: dict[str, float]
    repeats_saved: int

    @property
    def unsettled(self) -> list[str]:
        """The metrics that keep the repeats going, the riskiest first."""
        share = self.allowed / max(1, len(self.risks))
        return sorted((name for name, risk in self.risks.items() if risk > share), key=lambda n: -self.risks[n])


def decide(series: Sequence[Series], planned: int, *, alpha: float = ALPHA, repeats_min: int = REPEATS_MIN) -> Decision:
    """Decide after k repeats (the length of every series) whether the other `planned` - k may be left out."""
    assert 0 < alpha < 1 and repeats_min >= 3, (alpha, repeats_min)
    counts = {len(one.values) for one in series}
    assert len(counts) == 1, "all metrics have been measured equally often"
    done = counts.pop()
    left = planned - done
    looks = max(1, planned - repeats_min)  # at repeats_min, repeats_min + 1, ..., planned - 1
    allowed = alpha / looks
    if left <= 0 or done < repeats_min:
        return Decision(stop=False, risk=1.0 if left > 0 else 0.0, allowed=allowed, risks={}, repeats_saved=0)
    risks = {one.name: risk_of(one, left) for one in series}
    total = math.fsum(risks.values())
    stop = total <= allowed
    return Decision(stop=stop, risk=min(1.0, total), allowed=allowed, risks=risks, repeats_saved=left if stop else 0)


def risk_of(series: Series, left: int) -> float:
    """Bound on the probability that one of `left` more values is worse than the worst so far by over the tolerance."""
    assert series.worst in ("min", "max"), series.worst
    values = series.values if series.worst == "max" else [-value for value in series.values]
    count = len(values)
    spread = statistics.stdev(values)
    if spread == 0:
        return 0.0 if series.exact else left / (count + left)
    limit = max(values) + series.tolerance
    distance = (limit - statistics.fmean(values)) / (spread * math.sqrt(1 + 1 / count))
    return min(1.0, left * t_upper_tail(distance, count - 1))


def gpu_seconds_saved(durations_s: Sequence[float], gpus: int, repeats_saved: int) -> float:
    """GPU time left unspent, by the median of the repeats that ran. Seconds times GPUs."""
    return statistics.median(durations_s) * gpus * repeats_saved if durations_s else 0.0


def t_upper_tail(t: float, degrees: int) -> float:
    """P(T > t) of Student's t: half the regularized incomplete beta function for t >= 0."""
    if t < 0:
        return 1 - t_upper_tail(-t, degrees)
    return 0.5 * _incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """I_x(a, b) by its continued fraction (Lentz), exact to about 1e-12 for the small a and b used here."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 300):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + step * d)
            c = 1 + step / c
            value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return front * value
