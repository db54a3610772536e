"""Opening a session from what the user names: a run directory, or a session of this ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.calibrate.foreign_run import Sources, new_events, session_id_of
from commands.calibrate.run_directory import RunDirectory
from ledger.errors import BadInput, Conflict
from ledger.event import Event, NewEvent
from projections.calibration.current import CurrentSession
from projections.calibration.fold import fold
from projections.calibration.session import STREAM_PREFIX, Session

if TYPE_CHECKING:
    from ledger.ledger import Ledger

ATTEMPTS = 5


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
            continue  # another process imported it in between: look again
        session = read_session(ledger, session_id)
        assert session is not None
        return session, events
    raise Conflict(
        f"{directory.path} is being imported by other processes",
        code="import_contended",
        hint="run it again",
    )


def known_session(ledger: Ledger, directory: RunDirectory) -> CurrentSession:
    """Return the session a run directory belongs to. Raises `BadInput` when it is not of this ledger."""
    plan, _ = directory.plan()
    current = CurrentSession(ledger, session_id_of(plan))
    if current.refresh() is None:
        raise BadInput(
            f"this ledger does not know the session of {directory.path}",
            code="unknown_session",
            hint="open the ledger it was planned in with --ledger, or start a fresh --output-dir",
        )
    return current


def read_session(ledger: Ledger, session_id: str) -> Session | None:
    """Fold a session from the log as it is now; None when no session has that name."""
    return fold(_events(ledger, session_id), own_origin=ledger.origin)


def follow(current: CurrentSession, new: list[NewEvent]) -> Session:
    """Append events decided on this session and return it after them.

    Raises `Conflict` when the stream moved: another process works on the same session.
    """
    current.ledger.append(new, seen={current.stream: current.session.position})
    current.refresh()
    return current.session


def _events(ledger: Ledger, session_id: str) -> list[Event]:
    return ledger.read_stream(STREAM_PREFIX + session_id)
