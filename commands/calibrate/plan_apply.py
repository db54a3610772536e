"""`perfledger calibrate plan-apply`: what apply would write, beside what the files say today."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from commands.calibrate.session_options import open_session, run_dir_options
from commands.cli.app import App, command
from ledger.errors import Refused

if TYPE_CHECKING:
    from projections.calibration.session import Session


@command("plan-apply", reads=True)
@run_dir_options
def plan_apply(app: App, run_dir: Path, stages_yaml: Path | None, repo_root: Path | None) -> int:
    """Show the worst of N beside every threshold literal; write nothing.

    Exit 1 when the session is not ready: worst-of-N of a partial run means nothing.
    """
    from commands.calibrate.apply_text import plan_table
    from commands.calibrate.applying.plan import build_plan
    from commands.calibrate.measured_repository import root_of

    opened = open_session(app, run_dir, stages_yaml=stages_yaml, repo_root=repo_root)
    require_ready(opened.session, run_dir)
    plan = build_plan(opened.session, root_of(opened.session, opened.place, repo_root))
    app.emit(plan.as_json(run_dir=str(opened.place or run_dir)), lambda: plan_table(plan))
    return 0


def require_ready(session: Session, run_dir: Path) -> None:
    """Raise `Refused` with every reason why a session may not be applied."""
    from projections.calibration.audit import readiness

    audit = readiness(session)
    if not audit.ready:
        raise Refused(
            f"{run_dir} is not ready: {'; '.join(audit.reasons)}",
            code="run_not_ready",
            hint=f"perfledger calibrate audit {run_dir}",
            reasons=list(audit.reasons),
            strict_ready=audit.strict_ratio,
        )
