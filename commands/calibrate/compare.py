"""`perfledger calibrate compare`: what moved between two calibrations, beyond noise or not."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from commands.calibrate.reporting.contents import display
from commands.calibrate.session_options import open_session
from commands.cli.app import App, command
from commands.cli.output import table
from ledger.errors import Inconclusive
from ledger.events.calibrations import PlannedMetric, PlannedStage
from projections.calibration.destructive_rounds import resolution_of
from projections.calibration.session import Session
from projections.calibration.statistics import rank_p_value
from projections.calibration.worst_of_n import MetricWorst, metric_worst

P_LIMIT = 0.05


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One metric in both calibrations. delta and percent are of the medians, raw values.

    verdict: `better`, `worse`, `noise` (the repeats could be of one distribution, or the move is below
    what the display shows) or `too few` (no p-value below 0.05 is possible).
    """

    stage: str
    metric: PlannedMetric
    before: MetricWorst
    after: MetricWorst
    delta: float
    percent: float | None
    p_value: float
    verdict: str

    def as_json(self) -> dict[str, Any]:
        """One object of `compare --json`."""
        return {
            "stage": self.stage,
            "metric": self.metric.key,
            "worst_op": self.metric.worst,
            "before": {"worst": self.before.worst_raw, "values": list(self.before.values)},
            "after": {"worst": self.after.worst_raw, "values": list(self.after.values)},
            "delta": self.delta,
            "percent": self.percent,
            "p_value": self.p_value,
            "verdict": self.verdict,
        }


def moves(before: Session, after: Session) -> list[Move]:
    """Compare every metric both sessions measured, in the order of the second one's plan."""
    found: list[Move] = []
    for stage in after.plan.stages:
        old_stage = before.stages.get(stage.key)
        if old_stage is None:
            continue
        known = {metric.key for metric in old_stage.metrics}
        for metric in stage.metrics:
            if metric.key in known:
                move = _move(before, old_stage, after, stage, metric)
                if move is not None:
                    found.append(move)
    return found


def _move(
    before: Session, old_stage: PlannedStage, after: Session, stage: PlannedStage, metric: PlannedMetric
) -> Move | None:
    old, new = metric_worst(before, old_stage, metric.key), metric_worst(after, stage, metric.key)
    if not old.values or not new.values:
        return None
    old_middle, new_middle = statistics.median(old.values), statistics.median(new.values)
    delta = new_middle - old_middle
    p_value = rank_p_value(old.values, new.values)
    return Move(
        stage=stage.key,
        metric=metric,
        before=old,
        after=new,
        delta=delta,
        percent=delta / abs(old_middle) if old_middle else None,
        p_value=p_value,
        verdict=_verdict(metric, delta, p_value, old.values, new.values),
    )


def _verdict(metric: PlannedMetric, delta: float, p_value: float, old: Sequence[float], new: Sequence[float]) -> str:
    if p_value <= P_LIMIT and abs(delta) > resolution_of(metric):
        return "better" if (delta > 0) == (metric.worst == "min") else "worse"
    # the smallest p-value two samples of these sizes can give: fully separated
    separated = rank_p_value(range(len(old)), range(len(old), len(old) + len(new)))
    return "too few" if separated > P_LIMIT else "noise"


@command("compare", reads=True)
@click.argument("before_dir", type=click.Path(path_type=Path))
@click.argument("after_dir", type=click.Path(path_type=Path))
@click.option("--repo-root", type=click.Path(path_type=Path), help="The measured repository.")
@click.option("--all", "everything", is_flag=True, help="Also what moved within noise.")
def compare(app: App, before_dir: Path, after_dir: Path, repo_root: Path | None, everything: bool) -> None:
    """Compare two calibrations metric by metric: medians, worst values, and a rank test on the repeats.

    `better` and `worse` follow from the bound of the metric. Exit 5 when they have nothing in common.
    """
    before = open_session(app, before_dir, repo_root=repo_root).session
    after = open_session(app, after_dir, repo_root=repo_root).session
    found = moves(before, after)
    if not found:
        raise Inconclusive(
            f"{before_dir} and {after_dir} have no measured metric in common",
            code="nothing_in_common",
            hint="compare calibrations of the same stages",
        )
    document = {
        "before": before.id,
        "after": after.id,
        "before_git_sha": before.plan.calibration_git_sha,
        "after_git_sha": after.plan.calibration_git_sha,
        "only_before": sorted(set(before.stages) - set(after.stages)),
        "only_after": sorted(set(after.stages) - set(before.stages)),
        "moves": [move.as_json() for move in found],
    }
    app.emit(document, lambda: _text(found, everything))


def _text(found: list[Move], everything: bool) -> str:
    shown = [m for m in found if everything or m.verdict in ("better", "worse")]
    counts = {v: sum(m.verdict == v for m in found) for v in ("better", "worse", "noise", "too few")}
    summary = ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n)
    if not shown:
        return f"nothing moved beyond noise ({summary})"
    rows = [
        (
            m.stage,
            m.metric.label,
            display(m.metric, m.before.worst_raw),
            display(m.metric, m.after.worst_raw),
            "-" if m.percent is None else f"{m.percent * 100:+.1f}%",
            f"{m.p_value:.3f}",
            m.verdict,
        )
        for m in shown
    ]
    names = ("stage", "metric", "worst before", "worst after", "median moved", "p", "verdict")
    grid = table(names, rows, right=names[2:6])
    return f"{grid}\n{summary}"
