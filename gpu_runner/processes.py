"""Processes of a repeat: found by descent or by their marker, and ended without ever signalling another process.

A process id alone names nothing for long: it is reused. Everything here identifies a process by (pid, start time) and
signals it through a pidfd that was opened before the identity was checked. Standard library only: the keeper
imports this in an interpreter without site-packages.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterable

MARKER = "PERFLEDGER_REPEAT_ID"
POLL_S = 0.05
KILL_LIMIT_S = 30.0


class Process:
    """One process: pid, parent, start time (clock ticks since boot), session. Equal when pid and start time are.

    session: 0 when its leader is in another pid namespace.
    """

    __slots__ = ("parent", "pid", "session", "start", "state")

    def __init__(self, pid: int, parent: int, start: int, state: str, session: int = 0) -> None:
        self.pid = pid
        self.parent = parent
        self.start = start
        self.state = state
        self.session = session

    @property
    def living(self) -> bool:
        """Whether it has not ended: a zombie has."""
        return self.state not in "ZX"

    @property
    def stopped(self) -> bool:
        """Whether a signal stopped it; being traced by a debugger is another thing."""
        return self.state == "T"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Process) and (self.pid, self.start) == (other.pid, other.start)

    def __hash__(self) -> int:
        return hash((self.pid, self.start))

    def __repr__(self) -> str:
        return f"Process(pid={self.pid}, start={self.start})"


Finder = Callable[[], "set[Process]"]


def ticks_now() -> int:
    """Return this moment as the start time of a process that starts now: clock ticks since boot, rounded down."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK") // 10**9


def read(pid: int) -> Process | None:
    """Return the process with this pid now, or None. Zombies are processes that already ended: None too."""
    process = listed_one(pid)
    return process if process is not None and process.living else None


def listed_one(pid: int) -> Process | None:
    """Return the process with this pid now, also a zombie, or None."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123  (pathlib costs the keeper its start)
            # the command name is in parentheses and may itself hold spaces and parentheses
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return Process(pid, int(fields[1]), int(fields[19]), fields[0].decode(), int(fields[3]))


def listed() -> list[Process]:
    """Return every process this user can see, also zombies."""
    with os.scandir("/proc") as entries:
        found = [listed_one(int(entry.name)) for entry in entries if entry.name.isdigit()]
    return [process for process in found if process is not None]


def every() -> list[Process]:
    """Every living process this user can see."""
    return [process for process in listed() if process.living]


def descendants(root: int) -> set[Process]:
    """All living descendants of a pid, not itself; complete when `root` is a child subreaper."""
    everybody = every()
    return family({process for process in everybody if process.parent == root}, everybody)


def family(roots: Iterable[Process], everybody: Iterable[Process]) -> set[Process]:
    """Return those of these processes that live, and all living ones below them."""
    children: dict[int, list[Process]] = {}
    for process in everybody:
        children.setdefault(process.parent, []).append(process)
    found: set[Process] = set()
    waiting = [process for process in roots if process.living]
    while waiting:
        process = waiting.pop()
        if process not in found:
            found.add(process)
            waiting += [child for child in children.get(process.pid, ()) if child.living]
    return found


def marked(repeat_id: str) -> set[Process]:
    """All living processes whose environment carries this repeat's marker, wherever they were reparented to."""
    wanted = f"{MARKER}={repeat_id}".encode()
    found: set[Process] = set()
    for process in every():
        if process.pid == os.getpid():
            continue
        # unreadable means another user's process, or one that just ended
        with contextlib.suppress(OSError), open(f"/proc/{process.pid}/environ", "rb") as environ:  # noqa: PTH123
            if wanted in environ.read().split(b"\0"):
                found.add(process)
    return found


def left_behind(repeat_id: str, since: int | None = None) -> set[Process]:
    """Return what a repeat left whose runner and keeper are both gone: marked processes and all below them.

    A marker can be copied, so it is not enough. A process is not of the repeat when it belongs to another user, is
    this process, above it or below it, or started before `since`, the ticks at which the repeat began; nor when the
    leader of its session did or is out of sight, because a process can join no session. A copy that passes all of
    this cannot be told from the repeat.
    """
    everybody = every()
    by_pid = {process.pid: process for process in everybody}
    untouchable = _lineage(os.getpid(), by_pid) | descendants(os.getpid())

    def possible(process: Process) -> bool:
        leader = by_pid.get(process.session)
        early = since is not None and (process.start < since or (leader is not None and leader.start < since))
        return not early and process.session != 0 and _owner(process.pid) == os.getuid()

    roots = {process for process in marked(repeat_id) if possible(process)}
    return family(roots, everybody) - untouchable


def _lineage(pid: int, by_pid: dict[int, Process]) -> set[Process]:
    """Return a process and all above it."""
    found: set[Process] = set()
    while (process := by_pid.get(pid)) and process not in found:
        found.add(process)
        pid = process.parent
    return found


def _owner(pid: int) -> int | None:
    """Return the real user id of a process, None when it is gone."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", "rb") as status:  # noqa: PTH123
        for line in status:
            if line.startswith(b"Uid:"):
                return int(line.split()[1])
    return None


def send(process: Process, signum: int) -> bool:
    """Signal exactly this process; False when it is gone (its pid may belong to another process by now)."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    except OSError:
        # a sandbox without pidfds: the moment between the look and the signal remains
        return read(process.pid) == process and _kill(process.pid, signum)
    try:
        # the descriptor names one process for ever, so the check below holds when the signal is sent
        if read(process.pid) != process:
            return False
        signal.pidfd_send_signal(handle, signum)
        return True
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(handle)


def _kill(pid: int, signum: int) -> bool:
    try:
        os.kill(pid, signum)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def end(find: Finder, grace_s: float, reap: Callable[[], object] = lambda: None) -> tuple[set[int], set[int]]:
    """End every process that `find` returns, again and again until it returns none: TERM, `grace_s`, then KILL.

    Returns the pids that were signalled and those that even KILL did not end within `KILL_LIMIT_S` (a
    process stuck in the kernel). `reap` is called between looks, for a caller that is their parent.
    """
    ended: set[int] = set()
    asked: set[Process] = set()

    def remaining() -> set[Process]:
        # a process that is just dying has no environment any more, but is not gone yet
        reap()
        return find() | {process for process in asked if read(process.pid) == process}

    deadline = time.monotonic() + grace_s
    while True:
        left = remaining()
        if not left:
            return ended, set()
        for process in left - asked:
            if send(process, signal.SIGTERM):
                ended.add(process.pid)
        for process in left:
            if process.stopped:  # it could not answer otherwise; a keeper then ends its own tree
                send(process, signal.SIGCONT)
        asked |= left
        if time.monotonic() >= deadline:
            break
        _wait(left, min(POLL_S, grace_s))
    deadline = time.monotonic() + KILL_LIMIT_S
    while left and time.monotonic() < deadline:
        for process in left:
            if send(process, signal.SIGKILL):
                ended.add(process.pid)
        asked |= left
        _wait(left, POLL_S)
        left = remaining()
    return ended, {process.pid for process in left}


def end_left_behind(repeat_id: str, since: int | None = None, grace_s: float = 5.0) -> tuple[set[int], set[int]]:
    """End what a repeat left behind after its runner and keeper were killed. See `left_behind` and `end`."""

    def find() -> set[Process]:
        found = left_behind(repeat_id, since)
        if not found:
            # in the middle of an exec a process shows no environment for a moment
            time.sleep(POLL_S)
            found = left_behind(repeat_id, since)
        return found

    return end(find, grace_s)


def _wait(processes: Iterable[Process], seconds: float) -> None:
    """Sleep until one of the processes ends, at most `seconds`."""
    handles = []
    for process in list(processes)[:64]:
        with contextlib.suppress(OSError):
            handles.append(os.pidfd_open(process.pid))
    try:
        select.select(handles, [], [], seconds) if handles else time.sleep(seconds)
    finally:
        for handle in handles:
            os.close(handle)
