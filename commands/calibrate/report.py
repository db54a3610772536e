"""`perfledger calibrate report`: write report.md and its HTML twin into the run directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.calibrate.config.stamps import utc_stamp
from commands.calibrate.reporting import html, markdown
from commands.calibrate.reporting.comparison import last_comparable
from commands.calibrate.reporting.contents import (
    Contents,
    applied_changes,
    context_line,
    kept_contexts,
    kept_section,
)
from commands.calibrate.run_directory import RunDirectory, write_if_changed
from commands.calibrate.session_options import open_session, run_dir_options
from commands.cli import streams
from commands.cli.app import App, command
from ledger.errors import BadInput, Refused
from ledger.event import NewEvent
from ledger.events.calibrations import CalibrationReported
from ledger.outside import shown
from projections.calibration.audit import Readiness, readiness
from projections.calibration.session import Session

if TYPE_CHECKING:
    from ledger.ledger import Ledger

LINES_SHOWN = 10
MISSING_SHOWN = 15


@command("report", reads=True)
@run_dir_options
@click.option("--dry-run", is_flag=True, help="Print the report; write nothing.")
def report(app: App, run_dir: Path, stages_yaml: Path | None, repo_root: Path | None, dry_run: bool) -> int:
    """Write the report of a ready session: Markdown, and HTML with plots.

    Written again, it keeps context lines a person wrote and the applied changes. Exit 1 when the
    session is not ready. With --as-of or --as-recorded the report of the session as it was known then is
    printed, and nothing is written.
    """
    past = bool(app.as_of or app.as_recorded)
    opened = open_session(app, run_dir, stages_yaml=stages_yaml, repo_root=repo_root)
    session = opened.session
    result = readiness(session)
    if not result.ready:
        lines = refusal_lines(result)
        if app.as_json:
            raise Refused(
                "; ".join(result.reasons),
                code="not_ready",
                hint=f"perfledger calibrate audit {run_dir}",
                reasons=list(result.reasons),
            )
        streams.note(shown.text_of(lines))
        return 1
    if dry_run or past:
        contents = contents_of(
            opened.ledger, session, opened.directory, shown_dir=str(run_dir), past=app if past else None
        )
        text = markdown.render(contents)
        app.emit({"session": session.id, "dry_run": True, "report": text}, text.rstrip("\n"))
        return 0
    path = write_report(opened.ledger, session, opened.needed(), shown_dir=str(run_dir))
    document = {"session": session.id, "report": str(path), "html": str(path.with_suffix(".html"))}
    app.emit(document, f"report written to {path}")
    return 0


def write_report(ledger: Ledger, session: Session, directory: RunDirectory, *, shown_dir: str) -> Path:
    """Write both files of a ready session into `directory` and record what was written; return the Markdown's path.

    The event comes first: a crash leaves a report that is announced and can be written again, never
    an unknown one.
    """
    assert readiness(session).ready, session.id
    directory = directory.absolute()
    if not directory.path.is_dir():
        raise BadInput(
            f"the run directory {directory.path} is not there to write the report into",
            code="no_run_dir",
            hint="restore it, or `calibrate report --dry-run` prints the report",
        )
    contents = contents_of(ledger, session, directory, shown_dir=shown_dir)
    text = markdown.render(contents)
    page = html.render(contents, text)
    before = contents.comparison
    payload = CalibrationReported(
        session=session.id,
        report=str(directory.report_path),
        report_sha256=ledger.evidence.put(text.encode(), "text/markdown"),
        html_sha256=ledger.evidence.put(page.encode(), "text/html"),
        calibration_git_sha=session.plan.calibration_git_sha,
        previous_session=before.session if before else None,
        previous_git_sha=before.git_sha if before else None,
        changed_files=list(before.changed_files) if before else [],
    )
    ledger.append([NewEvent(stream=session.stream, payload=payload)])
    write_if_changed(directory.report_path, text.encode())
    write_if_changed(directory.report_path.with_suffix(".html"), page.encode())
    return directory.report_path


def contents_of(
    ledger: Ledger, session: Session, directory: RunDirectory | None, *, shown_dir: str, past: App | None = None
) -> Contents:
    """Gather what the report says, keeping what people wrote into an earlier one in `directory`.

    `past`: as of the moment its options name; the earlier report is then the last one recorded by that time, not the
    file as it is now.
    """
    ours = ""
    if session.reports and ledger.evidence.has(session.reports[-1].report_sha256):
        ours = ledger.evidence.get(session.reports[-1].report_sha256).decode("utf-8", "replace")
    existing = _read(directory.report_path) if directory else ""
    if past:
        existing, ours = ours, ""
    kept = kept_contexts(existing, ours)
    contexts = {stage.key: kept.get(stage.title) or context_line(session, stage) for stage in session.plan.stages}
    return Contents(
        session=session,
        audit=readiness(session),
        run_dir=shown_dir,
        generated_at=utc_stamp(),
        contexts=contexts,
        applied=applied_changes(session),
        kept_applied=kept_section(existing),
        comparison=last_comparable(
            ledger,
            session,
            directory.path if directory else None,
            as_of=past.as_of if past else None,
            as_recorded=past.as_recorded if past else None,
        ),
    )


def refusal_lines(result: Readiness) -> list[str]:
    """Why there is no report, by the first gate that fails: provenance, strictness, completeness."""
    proof = result.provenance
    if not proof.ok:
        lines = [f"error: refusing report — git provenance failed: {proof.reason}"]
        return lines + [f"  {x}" for x in (*proof.mismatches[:LINES_SHOWN], *proof.missing[:LINES_SHOWN])]
    if not result.strict_complete or not result.stages:
        lines = [f"error: refusing report — strict audit incomplete ({result.strict_ratio} stages strict-ready)"]
        return lines + [f"  {_short(stage.line())}" for stage in result.stages if not stage.ready]
    lines = [f"error: refusing report — incomplete calibration ({result.ok}/{result.total})"]
    return lines + [f"  {m.name()}: {m.reason}" for m in result.missing[:MISSING_SHOWN]]


def _short(line: str) -> str:
    """`key: ✓✗ (1/2 strict, expected=n)` without the word, as refusals show it."""
    return line.replace(" strict", "", 1) if " strict" in line else line


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
