"""What a report says, before anyone decides how it looks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from ledger.events.calibrations import PlannedMetric, PlannedStage
from ledger.events.thresholds import ThresholdApplied
from projections.calibration.audit import Readiness
from projections.calibration.session import Session
from projections.calibration.statistics import Spread, accuracy_interval, spread
from projections.calibration.worst_of_n import MetricWorst, direction, metric_worst

ACCURACY = "accuracy"


class AppliedChange(msgspec.Struct, frozen=True):
    """A threshold that was rewritten: stage, literal as written in the file, raw old and new value."""

    stage: str
    literal: str
    old: float | None
    new: float
    worst_op: str

    def move(self) -> str:
        """`tightens (-2.2%)`: the direction follows from the bound, the percent from the old value."""
        word = direction(self.worst_op, self.old, self.new)
        if not self.old or word == "equal":
            return word
        return f"{word} ({(self.new - self.old) / abs(self.old) * 100:+.1f}%)"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What lies between this calibration and the last comparable one."""

    session: str
    git_sha: str
    started_at: str
    commits: tuple[str, ...] = ()
    changed_files: tuple[str, ...] = ()
    note: str = ""


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a report shows. contexts and generated_at are final text."""

    session: Session
    audit: Readiness
    run_dir: str
    generated_at: str
    contexts: Mapping[str, str]
    applied: tuple[AppliedChange, ...] = ()
    kept_applied: str = ""
    comparison: Comparison | None = None


class MetricStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Spread of one metric over the rounds that count, in display units; interval in percent."""

    stage: PlannedStage
    metric: PlannedMetric
    worst: MetricWorst
    shown: Spread
    interval: tuple[float, float] | None


def statistics_of(session: Session) -> list[MetricStatistics]:
    """Statistics of every configured metric that has values, in plan and schema order."""
    rows: list[MetricStatistics] = []
    for stage in session.plan.stages:
        for metric in stage.metrics:
            worst = metric_worst(session, stage, metric.key)
            if not worst.values:
                continue
            rows.append(
                MetricStatistics(
                    stage=stage,
                    metric=metric,
                    worst=worst,
                    shown=spread([v * metric.scale for v in worst.values]),
                    interval=_interval(session, stage, metric, worst),
                )
            )
    return rows


def _interval(
    session: Session, stage: PlannedStage, metric: PlannedMetric, worst: MetricWorst
) -> tuple[float, float] | None:
    if stage.group != ACCURACY and metric.key != ACCURACY:
        return None
    samples = [session.observations[stage.key, r].samples_total for r in worst.repeats]
    known = [n for n in samples if n]
    found = accuracy_interval(worst.values, min(known)) if known else None
    return None if found is None else (found[0] * 100, found[1] * 100)


def display(metric: PlannedMetric, value: float | None) -> str:
    """A raw value as tables show it: times scale, `digits` decimals; `N/A` for none."""
    return "N/A" if value is None else f"{value * metric.scale:.{metric.digits}f}"


def trimmed(value: float | None) -> str:
    """A raw value in full, without trailing zeros or an exponent; `?` for none."""
    if value is None:
        return "?"
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def context_line(session: Session, stage: PlannedStage) -> str:
    """`— 2× NVIDIA H20, 2000 samples, max_tokens=32, concurrency=16, 5 runs`.

    GPUs from the precheck, samples and limits from the literals of the test; `?` where not found.
    """
    parts = [session.plan.gpu_summary or "?"]
    if stage.is_docs:
        return f"— {parts[0]}, docs smoke, {session.plan.repeats} runs"
    samples = _samples(session, stage)
    parts.append(f"{samples} samples")
    limits = [(_label(keyword), value) for keyword, value in stage.context.items()]
    # events keep no order of keys: tokens, then concurrency, then whatever else a test passes
    for label, value in sorted(limits, key=lambda pair: _LIMITS.get(pair[0], len(_LIMITS))):
        if label:
            parts.append(f"{label}={'?' if value is None else value}")
    parts.append(f"{session.plan.repeats} runs")
    return "— " + ", ".join(parts)


_LIMITS = {"max_tokens": 0, "concurrency": 1}


def _label(keyword: str) -> str:
    """How a limit is named in the context line; empty for sample counts, which have their own place."""
    lower = keyword.lower()
    if "sample" in lower:
        return ""
    if "token" in lower:
        return "max_tokens"
    return "concurrency" if "concurrency" in lower else keyword


def _samples(session: Session, stage: PlannedStage) -> str:
    limits = [v for k, v in stage.context.items() if "sample" in k.lower() and v is not None]
    if limits:
        return str(limits[0])
    if stage.expected_samples is not None:
        return str(stage.expected_samples)
    seen = {session.observations[stage.key, r].samples_total for r in session.rounds(stage.key)}
    return str(seen.pop()) if len(seen) == 1 and None not in seen else "?"


def applied_changes(session: Session) -> tuple[AppliedChange, ...]:
    """The thresholds this session's applies rewrote: each literal once, first old and last new value.

    A change that an interrupted apply put back is not one, nor is a literal that ended where it began.
    """
    found: dict[tuple[str, str], AppliedChange] = {}
    for event in session.applied:
        payload = event.typed()
        assert isinstance(payload, ThresholdApplied)
        place = (payload.stage, payload.literal)
        before = found.get(place)
        if payload.undone or payload.new is None:
            found.pop(place, None)
            continue
        found[place] = AppliedChange(
            payload.stage,
            payload.literal,
            before.old if before else payload.old,
            payload.new,
            payload.worst_op or "min",
        )
    return tuple(change for change in found.values() if change.old != change.new)


_SECTION = re.compile(r"^## Applied changes\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def kept_section(existing: str) -> str:
    """The hand-written `## Applied changes` section of an existing report; empty when there is none."""
    match = _SECTION.search(existing)
    return match[0].rstrip("\n") if match else ""


def kept_contexts(existing: str, generated_before: str) -> dict[str, str]:
    """Context lines of an existing report that a person wrote: section title to line.

    A placeholder, and a line this tool generated itself the last time, is not one.
    """
    ours = _contexts(generated_before)
    return {
        title: line
        for title, line in _contexts(existing).items()
        if not line.startswith("{{CONTEXT:") and ours.get(title) != line
    }


_CONTEXT = re.compile(r"^## \d+\. (?P<title>.+)\n\n(?P<line>[^|\n].*)\n\n\|", re.MULTILINE)


def _contexts(report: str) -> dict[str, str]:
    return {match["title"]: match["line"] for match in _CONTEXT.finditer(report)}
