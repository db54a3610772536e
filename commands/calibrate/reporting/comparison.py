"""What lies between a calibration and the last comparable one: commits and sensitive files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from commands.calibrate.config.repository import Repository
from commands.calibrate.measured_repository import came_along
from commands.calibrate.reporting.contents import Comparison
from ledger.errors import PerfledgerError
from projections.calibration.provenance import performance_sensitive
from projections.calibration.session import Session

if TYPE_CHECKING:
    from ledger.ledger import Ledger

# what can move a number when nothing else is configured: code, kernels, dependencies, launch scripts
SENSITIVE = (
    "*.py",
    "*.cu",
    "*.cuh",
    "*.cpp",
    "*.h",
    "*.rs",
    "*.go",
    "*.sh",
    "*pyproject.toml",
    "*requirements*.txt",
    "*uv.lock",
    "*Dockerfile*",
    "*.yaml",
    "*.yml",
)


def last_comparable(
    ledger: Ledger,
    session: Session,
    named: Path | None = None,
    *,
    as_of: str | None = None,
    as_recorded: str | None = None,
) -> Comparison | None:
    """Return the newest earlier reported session of the same model on the same GPUs, or None.

    named: the run directory, beside which the measured repository may lie.
    """
    from projections.state.state import State

    with State.open(ledger, as_of=as_of, as_recorded=as_recorded) as state:
        rows = state.rows(
            """SELECT session, calibration_git_sha, started_at FROM calibrations
               WHERE model = $model AND gpu_summary = $gpus AND session <> $session
                 AND reported AND started_at < $started
               ORDER BY started_at DESC, session DESC LIMIT 1""",
            {
                "model": session.plan.model,
                "gpus": session.plan.gpu_summary,
                "session": session.id,
                "started": session.plan.started_at,
            },
        )
    if not rows:
        return None
    row = rows[0]
    base = Comparison(session=row["session"], git_sha=str(row["calibration_git_sha"]), started_at=row["started_at"])
    return _with_history(base, session, named)


def _with_history(base: Comparison, session: Session, named: Path | None) -> Comparison:
    import msgspec

    old, new = base.git_sha, session.plan.calibration_git_sha
    root = came_along(session.plan, named) or session.plan.repo_root
    if not root:
        return msgspec.structs.replace(base, note="the measured repository is not known here")
    repository = Repository(Path(root))
    try:
        commits = repository.subjects(old, new)
        changed = performance_sensitive(repository.changed(old, new), _patterns(session))
    except PerfledgerError:
        # a shallow checkout, or another clone: the report is worth writing without its history
        return msgspec.structs.replace(base, note="git does not have both commits here")
    return msgspec.structs.replace(base, commits=tuple(commits), changed_files=tuple(changed))


def _patterns(session: Session) -> tuple[str, ...]:
    return tuple(session.plan.performance_sensitive) or SENSITIVE
