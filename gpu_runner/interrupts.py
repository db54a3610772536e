"""Signals to a run: SIGTERM and SIGHUP end it the way Ctrl-C does, and a stop by its user is told from any other.

Ended means at once, orderly, with everything acknowledged kept.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP)
# What a terminal sends to stop a job; SIGSTOP, which cannot be caught, comes from a process.
PAUSES = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)


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


@contextlib.contextmanager
def pauses(tell: Callable[[bool], None]) -> Iterator[None]:
    """While open, `tell(True)` is called before the user stops this process (Ctrl-Z), and `tell(False)` after."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def pause(signum: int, _frame: FrameType | None) -> None:
        tell(True)
        signal.signal(signum, signal.SIG_DFL)
        signal.raise_signal(signum)  # stops here
        signal.signal(signum, pause)
        tell(False)

    ours = [signum for signum in PAUSES if signal.getsignal(signum) is signal.SIG_DFL]
    for signum in ours:
        signal.signal(signum, pause)
    try:
        yield
    finally:
        for signum in ours:
            signal.signal(signum, signal.SIG_DFL)


def _raise(signum: int, _frame: FrameType | None) -> None:
    raise Interrupted(signal.Signals(signum).name)
