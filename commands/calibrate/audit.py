"""`perfledger calibrate audit`: strict cells per stage and repeat, and git provenance."""

from __future__ import annotations

from pathlib import Path

from commands.calibrate.session_options import open_session, run_dir_options
from commands.cli.app import App, command
from ledger.outside import shown
from projections.calibration.audit import audit_lines, readiness


@command("audit", reads=True)
@run_dir_options
def audit(app: App, run_dir: Path, stages_yaml: Path | None, repo_root: Path | None) -> int:
    """Show ✓ △ ✗ — D per stage and repeat, and whether all of it is of the calibration commit.

    Exit 0 only when the session is ready: the same rule status, report and apply ask.
    """
    session = open_session(app, run_dir, stages_yaml=stages_yaml, repo_root=repo_root).session
    result = readiness(session)
    document = {"session": session.id, "model": session.plan.model, **result.as_json()}
    app.emit(document, lambda: shown.text_of(audit_lines(session, result)))
    if not result.ready and not app.as_json:
        app.note(f"not ready: {'; '.join(result.reasons)}")
    return 0 if result.ready else 1
