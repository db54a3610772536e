"""The milestone lines of a run: what is being measured and what each repeat brought."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.events.calibrations import PlannedMetric, PlannedStage
from projections.calibration.audit import Readiness
from projections.calibration.session import Observation, Session, Unit

MISSING_SHOWN = 20


def shown(metric: PlannedMetric, value: float | None) -> str:
    """A raw value in display units; `N/A` when there is none."""
    return "N/A" if value is None else f"{value * metric.scale:.{metric.digits}f}"


def banner(unit: Unit, repeat: int, repeats: int, gpus: int) -> list[str]:
    """What is about to be measured: stages, their limits and the metrics that are tracked."""
    lines = [
        f"[{unit.name}] run {repeat}/{max(repeat, repeats)} ({len(unit.stages)} stage(s), needs {gpus} GPU) config:"
    ]
    for stage in unit.stages:
        limits = ", ".join(f"{k}={'?' if v is None else v}" for k, v in stage.context.items())
        metrics = ", ".join(metric.key for metric in stage.metrics) or "passes or fails"
        lines.append(f"  {stage.key}: {limits + '; ' if limits else ''}{metrics}")
    return lines


def outcome_lines(unit: Unit, session: Session, repeat: int) -> list[str]:
    """What a repeat brought, one line for each stage and one for each sample-scope mismatch."""
    lines: list[str] = []
    for stage in unit.stages:
        seen = session.observations.get((stage.key, repeat))
        if seen is None:
            continue
        lines.append(_stage_line(stage, seen))
        expected, total = stage.expected_samples, seen.samples_total
        if expected is not None and total is not None and total != expected:
            lines.append(
                f"  ⚠ {stage.key}: sample scope mismatch got {total} expected {expected} "
                "(strict ✗ — purge and re-run on current branch)"
            )
        lines += [f"  ⚠ {stage.key}: suspect: {why}" for why in seen.suspect]
        lines += [f"  ⚠ {stage.key}: {why}" for why in seen.environment_problems]
    return lines


def _stage_line(stage: PlannedStage, seen: Observation) -> str:
    samples = ""
    if seen.samples_total is not None or seen.samples_ok is not None:
        samples = f"samples={_count(seen.samples_ok)}/{_count(seen.samples_total)} "
    values = " ".join(f"{m.key}={shown(m, seen.metrics.get(m.key))}" for m in stage.metrics)
    rc = f" (pytest rc={seen.pytest_rc})" if seen.pytest_rc else ""
    if seen.status == "ok":
        return f"  → {stage.key}: {samples}{values or 'passed'}{rc}"
    return f"  → {stage.key}: failed ({seen.reason or seen.status}) — {samples}{values}{rc}".rstrip(" —")


def _count(value: int | None) -> str:
    return "?" if value is None else str(value)


def incomplete_lines(audit: Readiness, resume: str) -> list[str]:
    """What is still missing at the end of a run, and the command that goes on."""
    lines = [f"error: calibration incomplete: {audit.ok}/{audit.total} stage-runs complete"]
    lines += [f"  {m.name()}: {m.reason}" for m in audit.missing[:MISSING_SHOWN]]
    return [*lines, f"resume with: {resume}"]


def halt_lines(unit: Unit, repeat: int, cause: str, model: str, resume: str) -> list[str]:
    """Why a run stopped although its test passed."""
    return [
        f"error: metric extraction HALT after [{unit.name}] run {repeat}",
        "  pytest passed but one or more threshold metrics are missing.",
        *(f"  {line}" for line in cause.splitlines()),
        f"  Fix models/{model}/config.yaml metric_sources (or test JSON output),",
        f"  then: {resume}",
    ]


def completeness(audit: Readiness, when: str) -> str:
    """`completeness after pass 1: 25/25 stage-runs complete`."""
    return f"completeness {when}: {audit.ok}/{audit.total} stage-runs complete"


def joined(lines: Iterable[str]) -> str:
    """Lines as one text."""
    return "\n".join(lines)
