"""report.md. Up to the end of `## Provenance` it is the existing tool's report, byte for byte."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from commands.calibrate.reporting.contents import Contents, display, statistics_of, trimmed
from ledger.events.calibrations import PlannedStage
from ledger.outside.shown import markdown as text_of
from ledger.outside.shown import markdown_code as code
from projections.calibration.session import Session, units_of
from projections.calibration.worst_of_n import counted_rounds, metric_worst

OUR_NAME = "perfledger"


def render(contents: Contents) -> str:
    """Return the whole report."""
    lines = [*_head(contents), ""]
    for number, stage in enumerate(contents.session.plan.stages, 1):
        lines += [f"## {number}. {text_of(stage.title)}", "", text_of(contents.contexts[stage.key]), ""]
        lines += [*stage_table(contents.session, stage), ""]
    applied = _applied(contents)
    if applied:
        lines += [*applied, ""]
    lines += _provenance(contents)
    for section in (_statistics, _rejected, _suspect, _evidence, _reliability, _comparison):
        rows = section(contents)
        if rows:
            lines += ["", *rows]
    return "\n".join(lines) + "\n"


def _head(contents: Contents) -> list[str]:
    plan = contents.session.plan
    return [
        "# CI Threshold Observation Report",
        "",
        f"**Calibration commit:** {code(plan.calibration_git_sha)}",
        f"**Branch:** {text_of(plan.git_branch or '?')}",
        f"**Run directory:** {code(str(contents.run_dir))}",
        f"**Calibration started:** {text_of(plan.started_at or '?')}",
        f"**Report generated:** {contents.generated_at}",
    ]


def stage_table(session: Session, stage: PlannedStage) -> list[str]:
    """The table of one stage: a row per round, the worst of those that count, and what lacks configuration."""
    if stage.is_docs:
        return _docs_table(session, stage)
    counts = ["Samples run", "Samples ok"] if stage.sample_columns else []
    columns = ["Run", *counts, *(text_of(metric.label) for metric in stage.metrics)]
    lines = [_row(columns), "|-----|" + "--------|" * (len(columns) - 1)]
    for repeat in _shown_rounds(session, stage):
        lines.append(_row(_round(session, stage, repeat, len(columns) - 1)))
    worst = [
        f"**{display(m, metric_worst(session, stage, m.key).worst_raw if m.configured else None)}**"
        for m in stage.metrics
    ]
    lines.append(_row([_worst_name(session, stage), *("—" for _ in counts), *worst]))
    lacking = [m for m in stage.metrics if not m.configured]
    if lacking:
        lines += [""] + [
            f"> ⚠ {text_of(m.label)}: no `json_path` in stages.yaml (config.yaml `metric_sources` missing this metric)"
            for m in lacking
        ]
    return lines


def _round(session: Session, stage: PlannedStage, repeat: int, width: int) -> list[str]:
    seen = session.observations.get((stage.key, repeat))
    aside = session.set_aside(stage.key, repeat)
    name = f"{repeat} (destructive)" if aside else str(repeat)
    if seen is None:
        return [name, *["MISSING"] * width]
    cells = [name]
    if stage.sample_columns:
        cells += ["N/A" if n is None else str(n) for n in (seen.samples_total, seen.samples_ok)]
    for metric in stage.metrics:
        cells.append(display(metric, seen.metrics.get(metric.key) if metric.configured else None))
    return cells


def _docs_table(session: Session, stage: PlannedStage) -> list[str]:
    lines = ["| Run | Result |", "|-----|--------|"]
    results = []
    for repeat in _shown_rounds(session, stage):
        seen = session.observations.get((stage.key, repeat))
        result = "MISSING" if seen is None else "PASS" if seen.status == "ok" else "FAIL"
        lines.append(f"| {repeat} | {result} |")
        results.append(result)
    worst = "PASS" if all(r == "PASS" for r in results) else "FAIL"
    return [*lines, f"| {_worst_name(session, stage)} | **{worst}** |"]


def _shown_rounds(session: Session, stage: PlannedStage) -> list[int]:
    last = max([session.required(stage.key), *session.rounds(stage.key)])
    return list(range(1, last + 1))


def _worst_name(session: Session, stage: PlannedStage) -> str:
    effective = max(len(counted_rounds(session, stage.key)), 1)
    required = session.required(stage.key)
    whole = required if not session.rejected and not session.discarded else effective
    return f"**Worst-of-{whole}**"


def _applied(contents: Contents) -> list[str]:
    if not contents.applied:
        return contents.kept_applied.splitlines()
    lines = [
        "## Applied changes",
        "",
        "| Stage | Metric | Old | New | Direction |",
        "|-------|--------|-----|-----|-----------|",
    ]
    for change in contents.applied:
        old, new = trimmed(change.old), trimmed(change.new)
        lines.append(_row(map(text_of, [change.stage, change.literal, old, new, change.move()])))
    return lines


def _provenance(contents: Contents) -> list[str]:
    plan = contents.session.plan
    dirty = " (dirty) — see `workspace.diff`" if plan.dirty else ""
    versions = plan.versions or {"sglang": "?", "torch": "?"}
    if plan.tune_version:
        tool = f"tune-ci-thresholds v{plan.tune_version}"
    else:
        from ledger.ledger import PERFLEDGER_VERSION

        tool = f"{OUR_NAME} v{PERFLEDGER_VERSION}"
    return [
        "## Provenance",
        "",
        f"- Model: {text_of(plan.model)}",
        f"- Calibration commit: {code(plan.calibration_git_sha)}",
        f"- Branch: {text_of(plan.git_branch or '?')}{dirty}",
        f"- Calibration started: {text_of(plan.started_at or '?')}",
        f"- Venv Python: {text_of(plan.venv_python or '?')} ({text_of(plan.venv_source or '?')})",
        "- " + " · ".join(f"{text_of(name)} {text_of(version)}" for name, version in versions.items()),
        f"- GPU: {text_of(plan.gpu_summary or '?')}",
        f"- {text_of(tool)}",
        f"- Report generated: {contents.generated_at}",
    ]


def _statistics(contents: Contents) -> list[str]:
    rows = []
    for row in statistics_of(contents.session):
        digits, shown = row.metric.digits, row.shown
        cv = "—" if shown.cv is None else f"{shown.cv * 100:.1f}%"
        outliers = ", ".join(f"{v:.{digits}f}" for v in shown.outliers) or "—"
        wilson = "—" if row.interval is None else f"{row.interval[0]:.1f} to {row.interval[1]:.1f}"
        numbers = (shown.median, shown.minimum, shown.maximum, shown.range, shown.std)
        rows.append(
            [
                text_of(row.stage.key),
                text_of(row.metric.label),
                str(shown.n),
                *(f"{v:.{digits}f}" for v in numbers),
                cv,
                outliers,
                wilson,
            ]
        )
    names = ["Stage", "Metric", "n", "Median", "Min", "Max", "Range", "Std", "CV", "IQR outliers", "Wilson 95% (%)"]
    return _section("Metric statistics", names, rows)


def _rejected(contents: Contents) -> list[str]:
    session = contents.session
    rows = []
    for (unit, repeat), rejected in sorted(session.rejected.items()):
        for why in rejected.evidence:
            z = "∞" if why.robust_z is None else f"{why.robust_z:.1f}"
            gap = "—" if why.gap_fraction is None else f"{why.gap_fraction * 100:.0f}%"
            if why.reason:
                z, gap = "—", why.reason
            rows.append([*map(text_of, [unit, str(repeat), f"{why.stage}.{why.metric}", trimmed(why.value), z, gap])])
    for (unit, repeat), reason in sorted(session.discarded.items()):
        rows.append([text_of(unit), str(repeat), "the whole block", "—", "—", text_of(reason)])
    flags = [
        f"> ⚠ {text_of(unit)}: still unstable after one restart: {text_of(why)}"
        for unit, why in session.flagged.items()
    ]
    names = ["Unit", "Round", "Metric", "Value", "Robust z", "Gap"]
    return _section("Rejected rounds", names, rows, after=flags)


def _suspect(contents: Contents) -> list[str]:
    rows = [
        [text_of(stage.stage), str(repeat), text_of("; ".join(why))]
        for stage in contents.audit.stages
        for repeat, why in stage.suspect.items()
    ]
    return _section("Suspect observations", ["Stage", "Round", "Reason"], rows)


def _evidence(contents: Contents) -> list[str]:
    rows = [
        [
            text_of(stage.stage),
            text_of(name),
            "found" if found == looked and looked else "**missing**",
            f"{found}/{looked}",
        ]
        for stage in contents.audit.stages
        for name, (found, looked) in stage.evidence.items()
    ]
    return _section("Runtime evidence", ["Stage", "Evidence", "Result", "Repeats"], rows)


def _reliability(contents: Contents) -> list[str]:
    session = contents.session
    rows = []
    for unit in units_of(session.plan):
        seen = [session.observations[unit.keys[0], repeat] for repeat in session.rounds(unit.keys[0])]
        if not seen:
            continue
        retries = sum((o.attempts or 1) - 1 for o in seen)
        purged = sum(p.unit == unit.name for p in session.purged)
        minutes = sum(o.duration_s or 0.0 for o in seen) / 60
        rows.append([text_of(unit.name), str(len(seen)), str(retries), str(purged), f"{minutes:.1f}"])
    names = ["Unit", "Rounds", "Retried attempts", "Purged repeats", "Minutes"]
    return _section("Operational reliability", names, rows)


def _comparison(contents: Contents) -> list[str]:
    found = contents.comparison
    if found is None:
        return []
    lines = [
        "## Since the last comparable calibration",
        "",
        f"- Session: {text_of(found.session)} of {text_of(found.started_at)}, commit {code(found.git_sha)}",
    ]
    if found.note:
        return [*lines, f"- {text_of(found.note)}"]
    lines.append(f"- Commits since: {len(found.commits)}")
    lines += [f"  - {text_of(text)}" for text in found.commits[:20]]
    lines.append(f"- Performance-sensitive files changed: {len(found.changed_files)}")
    return lines + [f"  - {code(path)}" for path in found.changed_files[:50]]


def _section(
    title: str, names: Sequence[str], rows: Sequence[Sequence[str]], *, after: Iterable[str] = ()
) -> list[str]:
    notes = list(after)
    if not rows and not notes:
        return []
    lines = [f"## {title}", ""]
    if rows:
        lines += [_row(names), "|" + "---|" * len(names), *(_row(row) for row in rows)]
    return lines + ([""] if rows and notes else []) + notes


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
