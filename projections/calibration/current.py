"""The session of one stream as the log has it now, carried on from one question to the next.

A calibration asks for its session many times while it writes the stream. Reading and folding the whole stream each
time would cost the square of its events; here each event is read once and folded once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.event import recorded_order
from projections.calibration.fold import fold
from projections.calibration.session import STREAM_PREFIX, Session

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from ledger.log.reading import Place


class CurrentSession:
    """One calibration's session, brought up to the log by `refresh`.

    The rule: what is new is folded on, as long as it sorts after the last event that was folded. An event that sorts
    before it (a pull brought it from another machine, or the own clock is behind that machine's) belongs in between,
    so the stream is read and folded from its beginning.
    """

    def __init__(self, ledger: Ledger, session_id: str) -> None:
        self.ledger = ledger
        self.stream = STREAM_PREFIX + session_id
        self._places: dict[str, Place] = {}
        self._last: tuple[str, str, int] | None = None
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """The session as the last `refresh` found it, which must have found one."""
        assert self._session is not None, self.stream
        return self._session

    def refresh(self) -> Session | None:
        """Take in what is new in the log and return the session as it is now; None when it was never planned."""
        before = self._session
        new, places = self.ledger.read_on(self.stream, self._places)
        if new and self._last is not None and recorded_order(new[0]) < self._last:
            before = None
            new, places = self.ledger.read_on(self.stream, {})
        self._session = fold(new, own_origin=self.ledger.origin, session=before)
        self._places = places
        self._last = recorded_order(new[-1]) if new else self._last
        return self._session
