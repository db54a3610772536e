"""Judge one result against its baseline: statuses, their precedence, and every number they rest on.

Pure: what the ledger knows comes in as a `Baseline`, and a `Verdict` goes out. Rows of precedence, first
match wins:

1. identity claimed but incomplete            INFRA_ERROR
2. empty baseline, but another recipe has one RECIPE_MISMATCH
3. the result breaches its own fixed limits   REGRESSION
4. the test run failed and no result says why INFRA_ERROR
5. no metric was measured                     NOTHING_MEASURED
6. empty baseline, with identity              CALIBRATION_NEEDED
7. empty baseline, without identity           PASS
8. a gated metric regressed                   REGRESSION
9. otherwise                                  PASS
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from projections.results import identity as identities
from projections.results.metric_policy import CATALOGUE, Limit, MetricPolicy, effective_limits, limits_as_dict
from projections.results.record_shape import METRICS, STATIC_FIELDS, Record, median
from projections.results.run_source import LOCAL, SCHEDULED_MAIN

PASS = "PASS"  # noqa: S105  (a status, not a password)
CALIBRATION_NEEDED = "CALIBRATION_NEEDED"
NOTHING_MEASURED = "NOTHING_MEASURED"
RECIPE_MISMATCH = "RECIPE_MISMATCH"
REGRESSION = "REGRESSION"
INFRA_ERROR = "INFRA_ERROR"
STATUSES = (PASS, CALIBRATION_NEEDED, NOTHING_MEASURED, RECIPE_MISMATCH, REGRESSION, INFRA_ERROR)  # worst last


class WindowRecord(msgspec.Struct, frozen=True):
    """One result of a baseline: its event, where it came from, and its metrics (None: not measured)."""

    event_id: str
    label: str
    metrics: Mapping[str, float | None]


class Pinned(msgspec.Struct, frozen=True):
    """A pinned baseline: its name, the event that named it, and its medians."""

    name: str
    event_id: str
    medians: Mapping[str, float | None]


class Baseline(msgspec.Struct, frozen=True):
    """What a result is judged against. `window` is oldest first.

    other_recipes: recipe fingerprints of trusted successful results of the same workload, variant and
    version, looked up only when the window is empty. nearest: the most similar other cohort, likewise.
    """

    window: Sequence[WindowRecord] = ()
    other_recipes: Sequence[str] = ()
    pinned: Pinned | None = None
    nearest: dict[str, Any] | None = None

    def medians(self) -> dict[str, float | None]:
        """Return the median per metric over the window's measured values."""
        columns = ((m, [r.metrics.get(m) for r in self.window]) for m in METRICS)
        return {m: median([value for value in values if value is not None]) for m, values in columns}


class Subject(msgspec.Struct, frozen=True):
    """The result to judge: its normalized record, its own fixed limits, and where the run came from."""

    record: Record
    run_source: str
    static_limits: Mapping[str, float] = msgspec.field(default_factory=dict)
    has_source_claim: bool = True

    @property
    def identity(self) -> dict[str, str] | None:
        """The six-field identity as text, or None."""
        return identities.identity_of(self.record)

    @property
    def claims_identity(self) -> bool:
        """Whether the newer rules apply to it, complete or not."""
        return identities.uses_identity(self.record)

    @property
    def measured(self) -> bool:
        """Whether any metric has a value."""
        return any(self.record.get(metric) is not None for metric in METRICS)


class Verdict(msgspec.Struct, frozen=True):
    """What was decided and why; fractions, not percents."""

    status: str
    reason: str
    baseline_status: str
    success: bool
    baseline_eligible: bool
    metrics: dict[str, dict[str, Any]]
    failing_metrics: list[str]
    static_failures: list[dict[str, Any]]
    window: Sequence[WindowRecord]
    limits: dict[str, dict[str, Any]]
    pinned: dict[str, Any] | None
    nearest: dict[str, Any] | None


def static_failures(subject: Subject) -> list[dict[str, Any]]:
    """Return the fixed limits of its own that a result breaches; a value at the limit passes."""
    failures = []
    for name, limit_name, metric in STATIC_FIELDS:
        limit, current = subject.static_limits.get(limit_name), subject.record.get(metric)
        if limit is not None and current is not None and current > limit:
            failures.append({"field": name, "metric": metric, "current": current, "threshold": limit})
    return failures


def judge(
    subject: Subject, baseline: Baseline, policy: MetricPolicy, *, run_failed_unexplained: bool = False
) -> Verdict:
    """Judge one result.

    run_failed_unexplained: the test run ended with a failure and no result of it breaches a fixed limit.
    """
    limits = _limits(subject, policy)
    metrics = compare(subject.record, baseline.medians(), limits)
    pinned = _against_pinned(subject, baseline.pinned, limits)
    breaches = static_failures(subject)
    compared = _Compared(limits, metrics, breaches, pinned, run_failed_unexplained)
    status, reason = _decide(subject, baseline, policy, compared)
    failing = {row["metric"] for row in breaches} | {m for m, row in metrics.items() if row["regressed"]}
    if policy.rules.pinned == "fail" and pinned:
        failing |= {m for m, row in pinned["metrics"].items() if row["regressed"]}
    return Verdict(
        status=status,
        reason=reason,
        baseline_status=_baseline_status(subject, baseline, policy, status),
        success=status in (PASS, CALIBRATION_NEEDED),
        baseline_eligible=_eligible(subject, policy, status),
        metrics=metrics,
        failing_metrics=[m for m in METRICS if m in failing],
        static_failures=breaches,
        window=baseline.window,
        limits=limits_as_dict(limits),
        pinned=pinned,
        nearest=None if baseline.window else baseline.nearest,
    )


def _limits(subject: Subject, policy: MetricPolicy) -> dict[str, Limit]:
    single = policy.rules.legacy_max_regression
    if single is not None and not subject.claims_identity:
        return {metric: Limit(single, None) for metric in METRICS}
    return effective_limits(subject.record.get("regression_thresholds"), policy)


def compare(
    current: Mapping[str, Any], medians: Mapping[str, float | None], limits: Mapping[str, Limit]
) -> dict[str, dict[str, Any]]:
    """Return the comparison per metric; positive deltas are worse, and percent is a fraction of the baseline.

    A metric without a value on either side, or with a baseline of zero or less, has no deltas and passes.
    """
    rows: dict[str, dict[str, Any]] = {}
    for metric, limit in limits.items():
        value, base = current.get(metric), medians.get(metric)
        delta = percent = None
        exceeded = False
        if value is not None and base is not None and base > 0:
            worse = base - value if CATALOGUE[metric].higher_is_better else value - base
            absolute = limit.threshold_absolute
            exceeded = worse / base > limit.threshold_percent and (absolute is None or worse > absolute)
            delta, percent = _finite(worse), _finite(worse / base)
        rows[metric] = {
            "current": value,
            "baseline": base,
            "delta_absolute": delta,
            "delta_percent": percent,
            "threshold_percent": limit.threshold_percent,
            "threshold_absolute": limit.threshold_absolute,
            "gated": limit.gated,
            "exceeded": exceeded,
            "regressed": exceeded and limit.gated,
        }
    return rows


def _finite(value: float) -> float:
    """Keep a difference of extreme doubles inside the doubles: JSON has no infinity."""
    return value if math.isfinite(value) else math.copysign(sys.float_info.max, value)


def _against_pinned(subject: Subject, pinned: Pinned | None, limits: Mapping[str, Limit]) -> dict[str, Any] | None:
    if pinned is None:
        return None
    rows = compare(subject.record, pinned.medians, limits)
    return {
        "name": pinned.name,
        "event_id": pinned.event_id,
        "metrics": rows,
        "exceeded": [metric for metric, row in rows.items() if row["exceeded"]],
    }


class _Compared(msgspec.Struct, frozen=True):
    """What the comparisons of one result came to, before the rows of precedence are asked."""

    limits: Mapping[str, Limit]
    metrics: Mapping[str, dict[str, Any]]
    breaches: Sequence[dict[str, Any]]
    pinned: dict[str, Any] | None
    run_failed_unexplained: bool


def _decide(subject: Subject, baseline: Baseline, policy: MetricPolicy, compared: _Compared) -> tuple[str, str]:
    limits, pinned = compared.limits, compared.pinned
    model = identities.model_of(subject.record)
    if subject.claims_identity and subject.identity is None:
        missing = ", ".join(identities.missing_identity(subject.record))
        return INFRA_ERROR, (
            f"{model} cannot compare v2 record: performance record missing required "
            f"comparison identity fields: {missing}"
        )
    if subject.identity and not baseline.window and baseline.other_recipes:
        return RECIPE_MISMATCH, (
            f"{model} has recipe {subject.identity['recipe_fingerprint']}, but trusted results of "
            f"the same workload, variant and version have: {', '.join(baseline.other_recipes)}"
        )
    if compared.breaches:
        return REGRESSION, "; ".join(_breach_text(model, row) for row in compared.breaches)
    if compared.run_failed_unexplained:
        return INFRA_ERROR, f"{model} pytest failed without an attributable static-threshold regression"
    if not subject.measured and policy.rules.nothing_measured == "inconclusive":
        return NOTHING_MEASURED, f"{model} measured nothing: {', '.join(METRICS)} are all null"
    failures = [_regression_text(model, m, row, limits[m]) for m, row in compared.metrics.items() if row["regressed"]]
    if pinned and policy.rules.pinned == "fail":
        failures += [
            _regression_text(model, m, row, limits[m], against=f"pinned {pinned['name']}")
            for m, row in pinned["metrics"].items()
            if row["regressed"]
        ]
    if failures:
        return REGRESSION, "; ".join(failures)
    if not subject.claims_identity and policy.rules.legacy_comparison == "none":
        return PASS, f"{model} has no comparison identity; the policy compares no such results"
    if not baseline.window:
        if subject.identity:
            return CALIBRATION_NEEDED, (
                f"No baseline found for exact comparable identity ({identities.describe(subject.identity)})"
            )
        return PASS, f"No legacy baseline for {model} on {identities.gpu_of(subject.record)}"
    return PASS, "Comparable baseline found with no gated regressions"


def _breach_text(model: str, row: Mapping[str, Any]) -> str:
    decimals = CATALOGUE[row["metric"]].decimals
    return (
        f"{model} {row['field']} exceeded fixed threshold "
        f"(current={row['current']:.{decimals}f}, threshold={row['threshold']:.{decimals}f})"
    )


def _regression_text(
    model: str, metric: str, row: Mapping[str, Any], limit: Limit, *, against: str = "baseline_median"
) -> str:
    decimals = CATALOGUE[metric].decimals
    floor = "" if limit.threshold_absolute is None else f" and >{limit.threshold_absolute:.{decimals}f}"
    return (
        f"{model} {metric} regressed by {row['delta_percent'] * 100:.1f}% and {row['delta_absolute']:.{decimals}f} "
        f"(current={row['current']:.{decimals}f}, {against}={row['baseline']:.{decimals}f}, "
        f"threshold=gated, >{limit.threshold_percent * 100:.1f}%{floor})"
    )


def _baseline_status(subject: Subject, baseline: Baseline, policy: MetricPolicy, status: str) -> str:
    if subject.claims_identity and subject.identity is None:
        return "invalid_identity"
    if status == RECIPE_MISMATCH:
        return "recipe_mismatch"
    if not subject.claims_identity and policy.rules.legacy_comparison == "none":
        return "skipped_missing_identity"
    return "compared" if baseline.window else "initialized_new_cohort"


def _eligible(subject: Subject, policy: MetricPolicy, status: str) -> bool:
    """Whether the judged result may enter later baselines.

    Without identity the older history is the rule: it held only successful runs of the full suite on
    main, and its records name no run source. So a record that names none counts unless the
    environment says it came from elsewhere.
    """
    if status != PASS or not (subject.measured or policy.rules.nothing_measured == "pass"):
        return False
    trusted = subject.run_source in policy.rules.eligible_run_sources
    if subject.identity is not None:
        return trusted
    if policy.rules.legacy_comparison == "none":
        return False
    return trusted or (not subject.has_source_claim and subject.run_source in (LOCAL, SCHEDULED_MAIN))


def worst(statuses: Sequence[str]) -> str:
    """Return the worst of the statuses; none at all is `NOTHING_MEASURED`."""
    return max(statuses, key=STATUSES.index, default=NOTHING_MEASURED)


def exit_code(status: str, policy: MetricPolicy) -> int:
    """Return what the process says for an overall status: 0 pass, 1 a domain no, 5 inconclusive."""
    if status == NOTHING_MEASURED:
        return 0 if policy.rules.nothing_measured == "pass" else 5
    if status == CALIBRATION_NEEDED:
        return 5 if policy.rules.calibration_needed == "inconclusive" else 0
    return 0 if status == PASS else 1
