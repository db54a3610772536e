"""How a command names a session: a run directory, or a session of this ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.calibrate.foreign_run import Sources, session_id_of
from commands.calibrate.run_directory import RunDirectory
from commands.cli.app import App, Function
from ledger.errors import BadInput
from projections.calibration.fold import fold
from projections.calibration.session import STREAM_PREFIX, Session

if TYPE_CHECKING:
    from ledger.ledger import Ledger
from commands.calibrate.sessions import _events, level_with, read_session


@dataclass(frozen=True)
class Opened:
    """A session as a command line named it.

    named: what was given, as it is shown again. directory: the only run directory the command reads and writes; None
    for a session id whose folder is not here.
    """

    ledger: Ledger
    session: Session
    named: Path
    directory: RunDirectory | None

    @property
    def place(self) -> Path | None:
        """The run directory's absolute path, where there is one."""
        return self.directory.path.resolve() if self.directory else None

    def needed(self) -> RunDirectory:
        """Return the run directory. Raises `BadInput` for a session id whose folder is not here."""
        if self.directory is None:
            raise BadInput(
                f"session {self.session.id} has no run directory here ({self.session.plan.run_dir or 'none recorded'})",
                code="no_run_dir",
                hint="name the run directory itself",
                session=self.session.id,
            )
        return self.directory


def run_dir_options(function: Function) -> Function:
    """RUN_DIR, --stages-yaml and --repo-root, as every command on a session takes them."""
    for option in (
        click.option("--repo-root", type=click.Path(path_type=Path), help="The measured repository."),
        click.option("--stages-yaml", type=click.Path(path_type=Path), help="The schema of the run."),
        click.argument("run_dir", type=click.Path(path_type=Path)),
    ):
        function = option(function)
    return function


def open_session(app: App, run_dir: Path, *, stages_yaml: Path | None = None, repo_root: Path | None = None) -> Opened:
    """Return the session of a run directory, or of a session id given in its place, and the folder to act in.

    A directory another tool wrote is imported on the way, unless the past is asked for (--as-of).
    Raises `BadInput` when there is no plan, or the session was not known at that moment.
    """
    ledger = app.ledger()
    directory = RunDirectory(run_dir)
    past = bool(app.as_of or app.as_recorded)
    if not directory.exists():
        session = load_session(app, ledger, str(run_dir)) if _may_be_id(run_dir) else None
        if session is None:
            directory.plan()  # raises the sentence for a folder without a plan
            raise AssertionError(directory.path)
        recorded = recorded_directory(session)
        app.note(f"session {session.id}: its run directory is {recorded.path if recorded else 'not here'}")
        return Opened(ledger, session, run_dir, recorded)
    if not past:
        sources = Sources(stages_yaml=stages_yaml, repo_root=repo_root)
        session, _ = level_with(ledger, directory, sources)
        return Opened(ledger, session, run_dir, directory)
    plan, _ = directory.plan()
    session = load_session(app, ledger, session_id_of(plan))
    if session is None:
        raise BadInput(
            f"{run_dir} was not known at {app.as_of or app.as_recorded}",
            code="not_known_then",
            hint="perfledger events list --stream calibration/" + session_id_of(plan),
        )
    return Opened(ledger, session, run_dir, directory)


def recorded_directory(session: Session) -> RunDirectory | None:
    """Return the folder a session was last seen in, where its plan.json says that it is still this session's."""
    directory = RunDirectory(Path(session.plan.run_dir))
    if not session.plan.run_dir or not directory.exists():
        return None
    plan, _ = directory.plan()
    return directory if session_id_of(plan) == session.id else None


def load_session(app: App, ledger: Ledger, session_id: str) -> Session | None:
    """Fold a session as of the moment the command asks about; None when it was not known then."""
    if not (app.as_of or app.as_recorded):
        return read_session(ledger, session_id)
    with app.state(ledger) as state:
        rows = state.rows(
            "SELECT event_id FROM events WHERE stream = $stream",
            {"stream": STREAM_PREFIX + session_id},
        )
    known = {row["event_id"] for row in rows}
    return fold((e for e in _events(ledger, session_id) if e.event_id in known), own_origin=ledger.origin)


def _may_be_id(run_dir: Path) -> bool:
    return len(run_dir.parts) == 1 and not run_dir.exists()
