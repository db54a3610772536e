"""`perfledger calibrate pr-body`: the pull request text of a calibration, and its commit on request."""

from __future__ import annotations

from pathlib import Path

import click

from commands.calibrate.applying.commit import Change, commit
from commands.calibrate.measured_repository import root_to_write
from commands.calibrate.reporting.contents import applied_changes, display, trimmed
from commands.calibrate.session_options import open_session, run_dir_options
from commands.cli.app import App, command
from ledger.errors import BadInput, Refused
from ledger.events.calibrations import PlannedStage
from ledger.events.thresholds import ThresholdApplied
from ledger.outside.shown import markdown as text_of
from ledger.outside.shown import markdown_code as code
from projections.calibration.audit import Readiness, readiness
from projections.calibration.session import Session
from projections.calibration.worst_of_n import metric_worst

# highlights in the order reviewers ask for them: first whether it is right, then whether it is fast
HIGHLIGHTS = (
    ("Accuracy", ("accuracy", "similarity", "utmos")),
    ("WER", ("wer", "diarization")),
    ("Speed", ("speed",)),
    ("Reliability", ("reliability", "docs")),
)


@command("pr-body", reads=True)
@run_dir_options
@click.option("--commit", "make_commit", is_flag=True, help="Commit the applied files too; never pushes.")
@click.option("--dry-run", is_flag=True, help="With --commit: show what would be committed.")
def pr_body(
    app: App, run_dir: Path, stages_yaml: Path | None, repo_root: Path | None, make_commit: bool, dry_run: bool
) -> None:
    """Print the pull request text: what was measured, the worst of N, what was applied, the evidence."""
    if make_commit and (app.as_of or app.as_recorded):
        raise BadInput(
            "--commit commits what is applied now; --as-of asks about another moment",
            code="usage",
            hint="leave one of them out",
        )
    opened = open_session(app, run_dir, stages_yaml=stages_yaml, repo_root=repo_root)
    session = opened.session
    result = readiness(session)
    if not result.ready:
        raise Refused(
            f"the calibration is not ready: {'; '.join(result.reasons)}",
            code="not_ready",
            hint=f"perfledger calibrate audit {run_dir}",
            reasons=list(result.reasons),
        )
    text = body(session, result, str(run_dir))
    document = {"session": session.id, "title": title(session), "body": text}
    if make_commit:
        files = applied_files(session, run_dir)
        root = root_to_write(session, opened.place, repo_root)
        document["files"] = ", ".join(files)
        if dry_run:
            app.note(f"would commit {', '.join(files)} in {root}")
        else:
            document["commit"] = commit(opened.ledger, session, Change(root, files, title(session)), run_dir)
            app.note(f"committed {document['commit']}")
    app.emit(document, text.rstrip("\n"))


def title(session: Session) -> str:
    """The first line of the commit and the pull request."""
    plan = session.plan
    return f"Calibrate {plan.model} thresholds (worst of {plan.repeats} at {plan.calibration_git_sha[:8]})"


def body(session: Session, result: Readiness, run_dir: str) -> str:
    """The Markdown text of the pull request."""
    plan = session.plan
    lines = [
        f"# {text_of(title(session))}",
        "",
        f"- Run directory: {code(run_dir)}",
        f"- Calibration commit: {code(plan.calibration_git_sha)} on {text_of(plan.git_branch or '?')}",
        f"- Measured: {result.strict_ratio} stages strict-ready, {plan.repeats} repeats each, "
        f"{text_of(plan.gpu_summary or 'CPU')}, started {text_of(plan.started_at)}",
        f"- Session: {code(session.id)}",
    ]
    for heading, groups in HIGHLIGHTS:
        rows = [line for stage in plan.stages if stage.group in groups for line in _highlights(session, stage)]
        if rows:
            lines += ["", f"## {heading}, worst of {plan.repeats}", "", *rows]
    lines += ["", "## Applied changes", "", *_applied(session)]
    lines += ["", "## Evidence", "", *_evidence(session, result)]
    return "\n".join(lines) + "\n"


def _highlights(session: Session, stage: PlannedStage) -> list[str]:
    if stage.is_docs:
        return [f"- {text_of(f'{stage.title}: passes')}"]
    parts = []
    for metric in stage.metrics:
        worst = metric_worst(session, stage, metric.key)
        bound = "≥" if metric.worst == "min" else "≤"
        parts.append(f"{metric.label} {bound} {display(metric, worst.worst_raw)}")
    return ["- " + text_of(f"{stage.title}: {', '.join(parts)}")]


def _applied(session: Session) -> list[str]:
    changes = applied_changes(session)
    if not changes:
        return ["Nothing was applied."]
    rows = ["| Stage | Metric | Old | New | Direction |", "|-------|--------|-----|-----|-----------|"]
    cells = [[c.stage, c.literal, trimmed(c.old), trimmed(c.new), c.move()] for c in changes]
    return rows + [f"| {' | '.join(map(text_of, row))} |" for row in cells]


def _evidence(session: Session, result: Readiness) -> list[str]:
    lines = ["- Report: not written yet (`perfledger calibrate report`)"]
    for report in session.reports[-1:]:
        lines = [f"- Report: {code(report.report)} (sha256 `{report.report_sha256}`)"]
    lines.append(f"- Provenance: {'ok' if result.provenance.ok else text_of(result.provenance.reason)}")
    found = [
        f"{stage.stage}: {name} {'found' if seen == looked and looked else 'MISSING'} ({seen}/{looked})"
        for stage in result.stages
        for name, (seen, looked) in stage.evidence.items()
    ]
    lines += [f"- Runtime evidence, {text_of(line)}" for line in found]
    suspect = sum(len(stage.suspect) for stage in result.stages)
    aside = sum(stage.destructive for stage in result.stages)
    lines.append(f"- Suspect observations: {suspect}; destructive rounds set aside: {aside}")
    lines.append(f"- Events: {len(session.event_ids)} in stream {code(session.stream)}")
    return lines


def applied_files(session: Session, run_dir: Path) -> list[str]:
    """The files this session's applies rewrote. Raises `Refused`, naming `run_dir`, when there are none."""
    files: dict[str, None] = {}
    for event in session.applied:
        payload = event.typed()
        assert isinstance(payload, ThresholdApplied)
        if not payload.undone:
            files[payload.file] = None
    if not files:
        raise Refused(
            "no threshold was applied, so there is nothing to commit",
            code="nothing_applied",
            hint=f"perfledger calibrate apply {run_dir} --mode smart",
        )
    return list(files)
