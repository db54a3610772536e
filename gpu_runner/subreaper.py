"""Orphans come to the nearest child subreaper above them, so descent outlives the death of any process in between.

The keeper is one, for all that its repeat starts. The runner is one too, as long as a keeper of it lives: a repeat that
kills its keeper makes its own daemons children of the runner. Standard library only: the keeper imports this.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import time
from pathlib import Path

from gpu_runner import processes
from gpu_runner.processes import Process

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_GET_CHILD_SUBREAPER = 37
LOOKS_MAX = 400
LOOK_AGAIN_S = 0.005


def prctl(option: int, value: int) -> None:
    """Call prctl(2). Raises OSError."""
    _prctl(option, ctypes.c_ulong(value))


def is_subreaper() -> bool:
    """Return whether orphans below this process come to it."""
    answer = ctypes.c_int(0)
    _prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(answer))
    return bool(answer.value)


class Orphans:
    """What becomes a child of this process when a keeper that it started is killed. Make it before the keeper.

    Children that this process started itself are never among them: one of its own session cannot be of a repeat (a
    process joins no session), one older than this object neither, and the others are noted by `note_own`.
    """

    _lock = threading.Lock()
    _users = 0
    _before = False
    _keepers: set[int] = set()

    def __init__(self) -> None:
        with self._lock:
            if Orphans._users == 0:
                Orphans._before = is_subreaper()
                prctl(PR_SET_CHILD_SUBREAPER, 1)
            Orphans._users += 1
        self._open = True
        self._since = processes.ticks_now()
        self._own = _children()

    def add_keeper(self, pid: int) -> None:
        """Name a keeper of this process: a child that is no orphan."""
        self._keepers.add(pid)

    def note_own(self) -> set[Process]:
        """Return the children of now, for `own`. Say so only if the keeper lived after this: none is an orphan then."""
        return _children()

    def own(self, children: set[Process]) -> None:
        """Remember children that this process started itself."""
        self._own |= children

    def look(self) -> set[Process]:
        """Return every living orphan and all below it; collect those that ended.

        One walk over /proc is no snapshot, but a process that died during it has left a child of ours, living or
        dead: a walk that meets neither has missed nothing.
        """
        for _ in range(LOOKS_MAX):
            living, dead = self.walk()
            for process in dead:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
            if living or not dead:
                return living
            time.sleep(LOOK_AGAIN_S)
        return set()

    def walk(self) -> tuple[set[Process], list[Process]]:
        """Return the living orphans with all below them, and the orphans that ended but were not collected."""
        me = os.getpid()
        everybody = processes.listed()
        session = next((process.session for process in everybody if process.pid == me), -1)
        orphans = {
            process
            for process in everybody
            if process.parent == me
            and process.session != session
            and process.start >= self._since
            and process.pid not in self._keepers
            and process not in self._own
        }
        return processes.family(orphans, everybody), [process for process in orphans if not process.living]

    def close(self, keeper: int) -> None:
        """Take in orphans no longer, unless another keeper of this process lives. May be called twice."""
        with self._lock:
            self._keepers.discard(keeper)
            if not self._open:
                return
            self._open = False
            Orphans._users -= 1
            if Orphans._users == 0:
                prctl(PR_SET_CHILD_SUBREAPER, int(Orphans._before))


def _children() -> set[Process]:
    """Return the direct children of this process: a few small reads, no walk over all processes."""
    found: set[Process] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that just ended, or a kernel without this list
            pids = (task / "children").read_text().split()
            found |= {child for pid in pids if (child := processes.listed_one(int(pid)))}
    return found


def _prctl(option: int, value: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
