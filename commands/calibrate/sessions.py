"""Opening a session from what the user names: a run directory, or a session of this ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.calibrate.import_run import Sources, new_events, session_id_of
from commands.calibrate.run_directory import RunDirectory
from commands.cli.app import App, Function
from ledger.errors import BadInput, Conflict
from ledger.event import Event, NewEvent
from projections.calibration.fold import evolve, fold
from projections.calibration.session import STREAM_PREFIX, Session

if TYPE_CHECKING:
    from ledger.ledger import Ledger

ATTEMPTS = 5


def run_dir_options(function: Function) -> Function:
    """RUN_DIR, --stages-yaml and --repo-root, as every command on a session takes them."""
    for option in (
        click.option("--repo-root", type=click.Path(path_type=Path), help="The measured repository."),
        click.option("--stages-yaml", type=click.Path(path_type=Path), help="The schema of the run."),
        click.argument("run_dir", type=click.Path(path_type=Path)),
    ):
        function = option(function)
    return function


def open_session(
    app: App, run_dir: Path, *, stages_yaml: Path | None = None, repo_root: Path | None = None
) -> tuple[Ledger, Session]:
    """Return the ledger and the session of a run directory, or of a session id given in its place.

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
        return ledger, session
    if not past:
        sources = Sources(stages_yaml=stages_yaml, repo_root=repo_root)
        session, _ = level_with(ledger, directory, sources)
        return ledger, session
    plan, _ = directory.plan()
    session = load_session(app, ledger, session_id_of(plan))
    if session is None:
        raise BadInput(
            f"{run_dir} was not known at {app.as_of or app.as_recorded}",
            code="not_known_then",
            hint="perfledger events list --stream calibration/" + session_id_of(plan),
        )
    return ledger, session


def level_with(ledger: Ledger, directory: RunDirectory, sources: Sources) -> tuple[Session, list[NewEvent]]:
    """Import what is new in a foreign run directory and return its session with what was added.

    A directory of our own session is a projection of the log: nothing is read from it. Raises
    `Conflict` when other processes keep importing the same directory.
    """
    plan, _ = directory.plan()
    session_id = session_id_of(plan)
    for _ in range(ATTEMPTS):
        known = read_session(ledger, session_id)
        if known is not None and not known.imported:
            return known, []
        events = new_events(ledger, directory, known, sources)
        if not events:
            assert known is not None
            return known, []
        try:
            ledger.append(events, seen={events[0].stream: known.position if known else 0})
        except Conflict:
            continue  # somebody imported it meanwhile: look again
        session = read_session(ledger, session_id)
        assert session is not None
        return session, events
    raise Conflict(
        f"{directory.path} is being imported by other processes",
        code="import_contended",
        hint="run it again",
    )


def known_session(ledger: Ledger, directory: RunDirectory) -> Session:
    """Return the session a run directory belongs to. Raises `BadInput` when it is not of this ledger."""
    plan, _ = directory.plan()
    session = read_session(ledger, session_id_of(plan))
    if session is None:
        raise BadInput(
            f"this ledger does not know the session of {directory.path}",
            code="unknown_session",
            hint="open the ledger it was planned in with --ledger, or start a fresh --output-dir",
        )
    return session


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


def read_session(ledger: Ledger, session_id: str) -> Session | None:
    """Fold a session from the log as it is now; None when there is none of that name."""
    return fold(_events(ledger, session_id), own_origin=ledger.origin)


def follow(ledger: Ledger, session: Session, new: list[NewEvent]) -> Session:
    """Append events decided on this state and return the state after them.

    Raises `Conflict` when the stream moved: another process works on the same session.
    """
    receipts = ledger.append(new, seen={session.stream: session.position})
    for receipt in receipts:
        after = evolve(session, ledger.event(receipt.event_id), own_origin=ledger.origin)
        assert after is not None
        session = after
    return session


def _events(ledger: Ledger, session_id: str) -> list[Event]:
    return ledger.read_stream(STREAM_PREFIX + session_id)


def _may_be_id(run_dir: Path) -> bool:
    return len(run_dir.parts) == 1 and not run_dir.exists()
