"""The origin's lock: a fair queue for writers. The kernel frees it when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

WAIT_NOTICE_S = 2.0


def _say(message: str) -> None:
    sys.stderr.write(message + "\n")


@contextlib.contextmanager
def exclusive(path: Path, *, notice: Callable[[str], None] = _say) -> Iterator[None]:
    """Hold the lock file for the block. Waits its turn, and says so after two seconds.

    Safe between processes and between threads; not on NFS, which we do not promise.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"perfledger: waiting for another process to write ({path})"
            timer = threading.Timer(WAIT_NOTICE_S, notice, [message])
            timer.daemon = True
            timer.start()
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
            finally:
                timer.cancel()
        yield
    finally:
        os.close(fd)
