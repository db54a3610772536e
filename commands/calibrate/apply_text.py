"""How a plan, its decisions and its diff look to people."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from commands.calibrate.applying.decisions import Decision
from commands.calibrate.applying.plan import ApplyPlan, MetricPlan
from commands.calibrate.applying.targets import Rewrite
from commands.calibrate.applying.write_value import percent_change


def plan_table(plan: ApplyPlan) -> str:
    """Return one line per metric: its place, its value, its new value, and the effect."""
    from commands.cli.output import table

    rows = [
        (
            each.stage.key,
            each.literal,
            each.current if each.site is None or each.current is not None else "None",
            each.worst,
            each.write,
            moved(each.direction, percent_change(each.current, each.write)),
        )
        for each in plan.metrics
    ]
    text = table(
        ["stage", "literal", "in file", "worst", "write", "direction"],
        rows,
        right=["in file", "worst", "write"],
    )
    problems = [f"! {each.name}: {each.problem}" for each in plan.metrics if each.problem]
    return "\n".join([text, *problems])


def moved(direction: str, percent: float | None) -> str:
    """`loosens (-3.4%)`: the direction from the bound, the signed change of the raw value."""
    if percent is None or direction in ("equal", "fixed"):
        return direction
    return f"{direction} ({percent * 100:+.1f}%)"


def decision_lines(decisions: Iterable[Decision]) -> list[str]:
    """One line per metric: written (with what), kept, equal, asked about, or left out and why."""
    lines = []
    for each in decisions:
        metric = each.metric
        if each.action == "write":
            percent = percent_change(metric.current, each.value)
            how = moved(_direction(metric, each), percent)
            old = "None" if metric.site is None else metric.site.text
            lines.append(f"  write  {metric.name}: {metric.literal} = {old} -> {each.text}  {how}")
        elif each.action == "skip":
            lines.append(f"  skip   {metric.name}: {each.why}")
        elif each.action == "ask":
            how = moved(metric.direction, percent_change(metric.current, metric.write))
            lines.append(f"  ask    {metric.name}: {metric.literal} = {_current(metric)} -> {metric.write!r}  {how}")
        elif each.action == "keep":
            lines.append(f"  keep   {metric.name}: {metric.literal} = {_current(metric)}")
        else:
            lines.append(f"  equal  {metric.name}: {metric.literal} = {_current(metric)}")
    return lines


def _direction(metric: MetricPlan, decision: Decision) -> str:
    from projections.calibration.worst_of_n import direction

    return direction(metric.worst_op, metric.current, decision.value)


def _current(metric: MetricPlan) -> str:
    return "?" if metric.site is None else metric.site.text


def diff_of(rewrites: Sequence[Rewrite]) -> str:
    """A unified diff of every file, as `git diff` would show it."""
    lines: list[str] = []
    for rewrite in rewrites:
        before = rewrite.before.decode("utf-8", "backslashreplace")
        after = rewrite.after.decode("utf-8", "backslashreplace")
        lines += difflib.unified_diff(
            before.splitlines(),
            after.splitlines(),
            f"a/{rewrite.relative}",
            f"b/{rewrite.relative}",
            lineterm="",
        )
    return "\n".join(lines)
