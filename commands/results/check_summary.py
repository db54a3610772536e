"""What a check looks like: a table for people, and the Markdown summary of a CI job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ledger.outside import shown
from projections.results.metric_policy import CATALOGUE
from projections.results.record_shape import METRICS

HEADING = "## Performance Baseline Comparison"
THRESHOLD_LINE = "Threshold: gated metrics fail only when both percent and absolute regression floors are exceeded."

Row = dict[str, Any]  # one record of `check --json`


def number(metric: str, value: float | None) -> str:
    """Return a metric's value with its own decimals; three digits when that would hide it; `n/a` when there is none."""
    if value is None:
        return "n/a"
    decimals = CATALOGUE[metric].decimals
    return f"{value:.3g}" if 0 < abs(value) < 10 ** (1 - decimals) else f"{value:.{decimals}f}"


def percent(value: float | None) -> str:
    """Return a fraction as a signed percentage with one decimal; `n/a` when there is none."""
    return "n/a" if value is None else f"{value * 100:+.1f}%"


def worst_regression(row: Row) -> float | None:
    """Return the largest fraction any metric got worse by, negative when all improved; None without any."""
    found = [m["delta_percent"] for m in row["metrics"].values() if m["delta_percent"] is not None]
    return max(found, default=None)


def markdown(document: dict[str, Any]) -> str:
    """Return the Markdown summary of a check document."""
    labels = [f"{CATALOGUE[m].label} (curr/base)" for m in METRICS]
    columns = [
        "Model",
        "GPU",
        "Baseline N",
        *labels,
        "Worst Regression",
        "Exceeded Metrics",
        "Failing Metrics",
        "Status",
        "Status Detail",
    ]
    lines = [
        HEADING,
        "",
        THRESHOLD_LINE,
        "",
        _line(columns),
        _line(["---:" if c in ("Baseline N", "Worst Regression") else "---" for c in columns]),
    ]
    lines += [_line(_cells(row)) for row in document["records"]]
    if not document["records"]:
        lines += ["", f"**{document['status']}**: {shown.markdown(document['reason'])}"]
    lines += _notes(document["records"])
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Row) -> list[str]:
    metrics = row["metrics"]
    worst = worst_regression(row)
    exceeded = [name for name, m in metrics.items() if m["exceeded"]]
    return [
        shown.markdown(str(row["model_id"])),
        shown.markdown(str(row["gpu_type"])),
        str(row["baseline_n"]),
        *(f"{number(m, metrics[m]['current'])} / {number(m, metrics[m]['baseline'])}" for m in METRICS),
        "n/a" if worst is None else f"{worst * 100:.1f}%",
        shown.markdown(", ".join(exceeded) or "none"),
        shown.markdown(", ".join(row["failing_metrics"]) or "none"),
        shown.markdown(row["status"]),
        shown.markdown(str(row["reason"])),
    ]


def _notes(rows: Sequence[Row]) -> list[str]:
    notes = ["- " + shown.markdown(f"{row['model_id']}: {text}") for row in rows for text in asides(row)]
    return ["", *notes] if notes else []


def asides(row: Row) -> list[str]:
    """Return what a verdict says beside its status: drift from the pinned baseline, the nearest cohort."""
    found = []
    pinned = row["pinned"]
    if pinned:
        beyond = [f"{name} {percent(pinned['metrics'][name]['delta_percent'])}" for name in pinned["exceeded"]]
        found.append(
            f"beyond the pinned baseline {pinned['name']}: {', '.join(beyond)}"
            if beyond
            else f"within the pinned baseline {pinned['name']}"
        )
    nearest = row["nearest"]
    if nearest:
        medians = [f"{name} {number(name, value)}" for name, value in nearest["medians"].items() if value is not None]
        differs = ", ".join(f"{name} {old} there, {own} here" for name, (own, old) in nearest["differs"].items())
        found.append(f"nearest cohort {nearest['target']} (n={nearest['n']}; {differs}): {', '.join(medians)}")
    return found


def text(document: dict[str, Any], *, colour: bool = False) -> str:
    """Return the result of a check for people. Names from files are of one line and in no colour of their own."""
    blocks = [_record_text(row) for row in document["records"]]
    if colour:
        blocks = [_paint(block, row["status"]) for block, row in zip(blocks, document["records"], strict=True)]
    count = len(document["records"])
    overall = document["status"]
    if document.get("reason"):
        overall += f": {shown.terminal(document['reason'])}"
    if count == 1 and not document.get("reason"):
        return blocks[0]
    return "\n\n".join([*blocks, f"{overall}  ({count} result{'' if count == 1 else 's'})" if count else overall])


def _paint(block: str, status: str) -> str:
    """Colour the status, and each line that failed. `click.echo` takes colours off where no terminal is."""
    shade = {"PASS": "green", "CALIBRATION_NEEDED": "yellow", "NOTHING_MEASURED": "yellow"}.get(status, "red")
    first, *rest = block.split("\n")
    rest = [shown.styled(click.style(line, fg="red")) if line.endswith("FAIL") else line for line in rest]
    return "\n".join([shown.styled(click.style(status, fg=shade, bold=True)) + first.removeprefix(status), *rest])


def _record_text(row: Row) -> str:
    target, reason = shown.terminal(str(row["target"])), shown.terminal(str(row["reason"]))
    lines = [f"{row['status']}  {target}"]
    if not row["target"].startswith(row["model_id"]):
        lines[0] += f"  ({shown.terminal(str(row['model_id']))} on {shown.terminal(str(row['gpu_type']))})"
    lines.append(f"  {reason}")
    measured = [
        (name, m) for name, m in row["metrics"].items() if m["current"] is not None or m["baseline"] is not None
    ]
    if measured:
        title = f"median of {row['baseline_n']}"
        lines.append(f"  {'':<12}{'now':>12}{title:>14}{'change':>10}   fails when worse by")
    for name, m in measured:
        change = m["delta_percent"]
        if change is not None and CATALOGUE[name].higher_is_better:
            change = -change
        sign = {True: "FAIL", False: "over"}[m["regressed"]] if m["exceeded"] else ""
        lines.append(
            f"  {CATALOGUE[name].label:<12}{number(name, m['current']):>12}{number(name, m['baseline']):>14}"
            f"{percent(change):>10}   {_limit(name, m):<24}{sign}".rstrip()
        )
    lines += [f"  {shown.terminal(aside)}" for aside in asides(row)]
    return "\n".join(lines)


def _limit(name: str, m: dict[str, Any]) -> str:
    floor = f"{m['threshold_percent'] * 100:.1f}%"
    if m["threshold_absolute"] is not None:
        floor += f" and {m['threshold_absolute']:g} {CATALOGUE[name].unit}"
    return floor if m["gated"] else f"(info) {floor}"
