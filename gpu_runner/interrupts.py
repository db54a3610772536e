"""SIGTERM and SIGHUP end a run the way Ctrl-C does: at once, orderly, with everything acknowledged kept."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asked the runner to end; `name` says which."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def name_of(interrupt: KeyboardInterrupt) -> str:
    """`SIGINT` for Ctrl-C, else the signal's name."""
    return interrupt.name if isinstance(interrupt, Interrupted) else "SIGINT"


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """While open, SIGTERM and SIGHUP raise `Interrupted` in the main thread; elsewhere this does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.signal(signum, _raise) for signum in SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _raise(signum: int, _frame: FrameType | None) -> None:
    raise Interrupted(signal.Signals(signum).name)
