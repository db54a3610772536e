"""Judge recorded results and append the verdicts: load what the ledger knows, decide, append.

The decision itself is pure: `projections.results.verdict`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from commands.intake.recording import Recorded, stream_of
from ledger.event import NewEvent
from ledger.events.results import ResultJudged
from projections.results.identity import gpu_of, model_of
from projections.results.metric_policy import MetricPolicy
from projections.results.record_shape import Record
from projections.results.run_source import RUN_SOURCES, SCHEDULED_MAIN, detect_run_source
from projections.results.verdict import Baseline, Subject, Verdict, judge, static_failures
from projections.results.window import ThisRun, baseline_for

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from projections.state.state import State


class Judged(msgspec.Struct, frozen=True):
    """A result with its verdict; `event_id` is the `ResultJudged` event."""

    recorded: Recorded
    subject: Subject
    baseline: Baseline
    verdict: Verdict
    event_id: str

    def normalized(self) -> Record:
        """Return the normalized record as a history stores it after the comparison."""
        return {
            **self.recorded.measured.record,
            "success": self.verdict.success,
            "run_source": self.subject.run_source,
            "baseline_eligible": self.verdict.baseline_eligible,
            "baseline_status": self.verdict.baseline_status,
            "comparison_status": self.verdict.status,
            "comparison_status_reason": self.verdict.reason,
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as `check --json` prints it."""
        verdict = self.verdict
        return {
            "model_id": model_of(self.recorded.measured.record),
            "gpu_type": gpu_of(self.recorded.measured.record),
            "target": self.recorded.target,
            "status": verdict.status,
            "reason": verdict.reason,
            "baseline_status": verdict.baseline_status,
            "baseline_n": len(verdict.window),
            "success": verdict.success,
            "baseline_eligible": verdict.baseline_eligible,
            "baseline_records": [row.label for row in verdict.window],
            "metrics": verdict.metrics,
            "failing_metrics": verdict.failing_metrics,
            "static_failures": verdict.static_failures,
            "pinned": verdict.pinned,
            "nearest": verdict.nearest,
            "run_source": self.subject.run_source,
            "path": self.recorded.measured.path,
            "result_event_id": self.recorded.event_id,
            "event_id": self.event_id,
            "normalized": self.normalized(),
        }


def subject_of(recorded: Recorded, env: Mapping[str, str]) -> Subject:
    """Return what is judged: the record, its own limits, and where its run came from."""
    measured = recorded.measured
    claimed = measured.record.get("run_source")
    return Subject(
        record=measured.record,
        run_source=claimed if claimed in RUN_SOURCES else detect_run_source(env),
        static_limits=measured.static_limits,
        has_source_claim=measured.run_source_claimed,
    )


def judge_all(
    ledger: Ledger,
    state: State,
    results: Sequence[Recorded],
    policy: MetricPolicy,
    *,
    env: Mapping[str, str],
    run_failed: bool = False,
) -> list[Judged]:
    """Judge the results of one run in order and append their verdicts in one append.

    A result judged eligible counts in the windows of those after it. `run_failed`: the test run behind
    these results ended with a failure; it is explained when one of them breaches its own fixed limits.
    """
    subjects = [subject_of(recorded, env) for recorded in results]
    unexplained = run_failed and not any(static_failures(subject) for subject in subjects)
    everything = [recorded.event_id for recorded in results]
    counting: list[str] = []
    trusted: list[str] = []
    decided: list[tuple[Baseline, Verdict]] = []
    for recorded, subject in zip(results, subjects, strict=True):
        run = ThisRun(everything, tuple(counting), tuple(trusted))
        baseline = baseline_for(state, subject, policy, event_id=recorded.event_id, run=run)
        verdict = judge(subject, baseline, policy, run_failed_unexplained=unexplained)
        decided.append((baseline, verdict))
        if verdict.baseline_eligible:
            counting.append(recorded.event_id)
        if verdict.success and (verdict.baseline_eligible or subject.run_source == SCHEDULED_MAIN):
            trusted.append(recorded.event_id)
    events = [
        _event(recorded, subject, baseline, verdict, policy, unexplained)
        for recorded, subject, (baseline, verdict) in zip(results, subjects, decided, strict=True)
    ]
    receipts = ledger.append(events) if events else []
    return [
        Judged(recorded, subject, baseline, verdict, receipt.event_id)
        for recorded, subject, (baseline, verdict), receipt in zip(results, subjects, decided, receipts, strict=True)
    ]


def _event(
    recorded: Recorded, subject: Subject, baseline: Baseline, verdict: Verdict, policy: MetricPolicy, unexplained: bool
) -> NewEvent:
    used = {**policy.as_dict(), "metrics": verdict.limits}
    payload = ResultJudged(
        target=recorded.target,
        result_event_id=recorded.event_id,
        status=verdict.status,
        reason=verdict.reason,
        baseline_status=verdict.baseline_status,
        success=verdict.success,
        baseline_eligible=verdict.baseline_eligible,
        window=policy.window,
        window_event_ids=[row.event_id for row in verdict.window],
        policy=used,
        policy_digest=policy.digest(),
        metrics=verdict.metrics,
        failing_metrics=verdict.failing_metrics,
        static_failures=verdict.static_failures,
        pinned=verdict.pinned,
        nearest=verdict.nearest,
        run_source=subject.run_source,
        run_failed_unexplained=unexplained,
        other_recipes=list(baseline.other_recipes),
    )
    return NewEvent(stream=stream_of(recorded.target), payload=payload, causation_id=recorded.event_id)
