"""The same history under another policy: go through it in order, judge each result again, compare.

What a verdict changes for later ones is followed too: a result the other policy would have passed enters
its windows, one it would have failed does not. Results are taken in the baseline's order, per target.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from projections.results.metric_policy import MetricPolicy
from projections.results.record_shape import METRICS, Record
from projections.results.verdict import (
    CALIBRATION_NEEDED,
    INFRA_ERROR,
    PASS,
    RECIPE_MISMATCH,
    Baseline,
    Subject,
    WindowRecord,
    judge,
)


@dataclass(frozen=True)
class PastResult:
    """One result of the history.

    was: the status it got then. counted: whether the baseline counts it. seeded: whether people put it
    there on purpose. instant, recorded_at: ISO 8601 UTC.
    """

    event_id: str
    target: str
    instant: str | None
    recorded_at: str
    record: Record
    static_limits: Mapping[str, float]
    run_source: str
    has_source_claim: bool
    was: str
    counted: bool
    seeded: bool


@dataclass(frozen=True)
class Outcome:
    """One result judged again."""

    past: PastResult
    status: str
    reason: str
    failing_metrics: list[str]

    @property
    def flipped(self) -> bool:
        """Whether the status is another one."""
        return self.status != self.past.was

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        return {
            "event_id": self.past.event_id,
            "target": self.past.target,
            "instant": self.past.instant,
            "was": self.past.was,
            "would_be": self.status,
            "reason": self.reason,
            "failing_metrics": self.failing_metrics,
        }


def judge_again(results: Iterable[PastResult], policy: MetricPolicy) -> Iterator[Outcome]:
    """Judge each result of a history under a policy. `results` come target by target, oldest first."""
    window: deque[WindowRecord] = deque(maxlen=policy.window)
    target: str | None = None
    for past in results:
        if past.target != target:
            target = past.target
            window.clear()
        subject = Subject(past.record, past.run_source, past.static_limits, past.has_source_claim)
        usable = () if subject.identity is None and policy.rules.legacy_comparison == "none" else tuple(window)
        verdict = judge(subject, Baseline(window=usable), policy)
        if _decided_elsewhere(past, verdict.status):
            yield Outcome(past, past.was, verdict.reason, [])
        else:
            yield Outcome(past, verdict.status, verdict.reason, verdict.failing_metrics)
        if _enters(past, verdict.status, policy) and subject.measured:
            window.append(WindowRecord(past.event_id, past.event_id, {m: past.record.get(m) for m in METRICS}))


def _decided_elsewhere(past: PastResult, status: str) -> bool:
    """Whether no policy decides this status: people seeded it, another recipe holds its cohort, or its run broke."""
    if past.seeded or past.was == INFRA_ERROR:
        return True
    return status == CALIBRATION_NEEDED and (past.counted or past.was == RECIPE_MISMATCH)


def _enters(past: PastResult, status: str, policy: MetricPolicy) -> bool:
    """Whether a result is in later windows of the simulated history.

    A seed is: people decided it, whatever the policy. A first result of a cohort is when it was in
    reality. Otherwise it must pass, and either it was in reality or only a failure kept it out.
    """
    if past.seeded or status == CALIBRATION_NEEDED:
        return past.counted
    trusted = past.run_source in policy.rules.eligible_run_sources or not past.has_source_claim
    return status == PASS and (past.counted or (past.was != PASS and trusted))
