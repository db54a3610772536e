"""The origin's lock: a fair queue for writers. The kernel frees it when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from ledger.disk import KeptFile
from ledger.log.folder_watch import FolderWatch
from ledger.outside import shown

WAIT_NOTICE_S = 2.0


def say(message: str) -> None:
    """Say something on stderr that no command has to pass on."""
    sys.stderr.write(shown.terminal(message) + "\n")


@contextlib.contextmanager
def exclusive(path: Path, *, notice: Callable[[str], None] = say) -> Iterator[None]:
    """Hold the lock file for the block. Waits its turn, and says so after two seconds.

    Safe between processes and between threads; not on NFS, which we do not promise.
    """
    fd = _open(path)
    try:
        _acquire(fd, path, notice)
        yield
    finally:
        os.close(fd)


class KeptLock(KeptFile):
    """The lock of one folder for a writer that takes it again and again: as `exclusive`, with the file kept open.

    `changed` says, while it is held, whether names in the folder may have changed since it was held here before.
    """

    def __init__(self, path: Path, *, notice: Callable[[str], None] = say) -> None:
        self.changed = True
        self._path = path
        self._notice = notice
        self._watch = FolderWatch(path.parent)
        self._threads = threading.Lock()  # the kernel's lock belongs to the open file, which threads share
        self._process = 0

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            while True:
                fd = self._fd
                if fd is None or self._process != os.getpid():
                    # a forked child shares the parent's open file, and with it the lock
                    self.close()
                    fd = self._fd = _open(self._path)
                    self._process = os.getpid()
                _acquire(fd, self._path, self._notice)
                self.changed = self._watch.changed()
                if not self.changed or self._is_named(fd):
                    return
                self.close()  # the file was deleted: others queue at the new one
        except BaseException:
            self.close()
            self._threads.release()
            raise

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            self._watch.forget()  # what had changed may not have been taken in
        try:
            assert self._fd is not None
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def _is_named(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self._path.stat())
        except FileNotFoundError:
            return False


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _acquire(fd: int, path: Path, notice: Callable[[str], None]) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        timer = threading.Timer(WAIT_NOTICE_S, notice, [f"perfledger: waiting for another process to write ({path})"])
        timer.daemon = True
        timer.start()
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
        finally:
            timer.cancel()
