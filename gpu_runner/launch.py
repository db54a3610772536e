"""Start one attempt of a repeat under a keeper, and hear from it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_runner import processes
from gpu_runner.keeper import PAUSED, RESUMED
from gpu_runner.subreaper import Orphans
from ledger import children

KEEPER_LOOK_S = 1.0


@dataclass(frozen=True)
class Launch:
    """What is started: a command, where, with which variables, and the file that takes what it says."""

    command: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    log: Path


class Attended:
    """A command running under a keeper. Use as a context manager: leaving it ends the whole tree.

    pid: of the command, once known. exit_code: None while it runs; negative for death by signal. ended / stuck: pids
    that had to be ended after it, and those that could not be. lost: the keeper itself died, or does not answer; what
    it kept came to this process and was ended from here. troubles: what was done to keeper and runner, as sentences.
    """

    def __init__(self, launch: Launch, *, repeat_id: str, hold_fds: Sequence[int] = (), grace_s: float = 5.0) -> None:
        self.repeat_id = repeat_id
        self.grace_s = grace_s
        self.pid: int | None = None
        self.exit_code: int | None = None
        self.ended: list[int] = []
        self.stuck: list[int] = []
        self.lost = False
        self.over = False
        self._heard = b""
        self._command: processes.Process | None = None
        self._silent_since: float | None = None
        self._patience_s = grace_s + 2 * processes.KILL_LIMIT_S  # twice what the keeper needs at most
        self._stopped = self._continued = 0
        marker = {processes.MARKER: repeat_id}
        log_fd = os.open(launch.log, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        env_fd = _in_memory({**launch.env, **marker})
        self._socket, theirs = socket.socketpair()
        self._orphans = Orphans()
        try:
            held = ",".join(map(str, hold_fds))
            own = (str(os.getpid()), str(log_fd), str(env_fd), str(grace_s), held)
            self._keeper = subprocess.Popen(
                children.command(children.KEEP_REPEAT, *own, *launch.command),
                cwd=launch.cwd,
                env=children.environment("PATH", "LANG", "LC_*") | marker,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=log_fd,
                pass_fds=(log_fd, env_fd, *hold_fds),
                start_new_session=True,
            )
        except BaseException:
            self._orphans.close(0)
            self._socket.close()
            raise
        finally:
            os.close(log_fd)
            os.close(env_fd)
            theirs.close()
        self._orphans.add_keeper(self._keeper.pid)

    def __enter__(self) -> Attended:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def troubles(self) -> list[str]:
        """What the repeat, or somebody else, did to the processes that watch it."""
        said = []
        if self._stopped:
            said.append(f"the keeper of the repeat was stopped {self._stopped} time(s), and continued by the runner")
        if self._continued:
            said.append(f"the runner was stopped {self._continued} time(s), and continued by the keeper of the repeat")
        if self.lost:
            said.append(
                "the keeper of the repeat was killed or did not answer; the runner ended what it kept, "
                f"{len(self.ended)} process(es)"
            )
        return said

    def wait(self, seconds: float) -> bool:
        """Wait until the command ended (True) or `seconds` passed. Its tree may still be being ended."""
        self._listen(lambda: self.exit_code is not None, seconds)
        if self.exit_code is None and not self.over and self._keeper_is_silent():
            self.lost = self.over = True
        return self.exit_code is not None or self.over

    def stop(self) -> None:
        """End the command and everything it started; returns when nothing of it is left (or is stuck)."""
        if self.over and self._keeper.returncode is not None:
            return
        # The end of the socket is the order to stop: were we interrupted right here, the kernel would close it for us.
        # A shutdown, since it holds for every descriptor of this end, whoever has got hold of one.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        self.settle()

    def settle(self) -> None:
        """Wait until the keeper has ended what the command left behind."""
        self._listen(lambda: self.over, self._patience_s)
        if not self.over or self.lost:
            self.lost = True
            self._keeper.kill()
            # Not waited for: while a debugger of the repeat holds it, it stays a zombie that only that can collect.
            keeper = processes.read(self._keeper.pid)
            if keeper is not None:
                processes.end(lambda: {keeper} if processes.read(keeper.pid) == keeper else set(), 0.0)
            # without its keeper, the tree has come to us
            ended, stuck = processes.end(self._orphans.look, self.grace_s)
            self.ended = sorted({*self.ended, *ended})
            self.stuck = sorted({*self.stuck, *stuck})
        self.over = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(processes.KILL_LIMIT_S if self.lost else None)
        self._socket.close()
        self._orphans.close(self._keeper.pid)

    def owns(self, pid: int) -> bool:
        """Whether a pid belongs to this repeat (also a process of it that was daemonised)."""
        kept = processes.descendants(self._keeper.pid) | (self._orphans.walk()[0] if self.lost else set())
        return any(process.pid == pid for process in kept)

    def tell_paused(self, paused: bool) -> None:
        """Tell the keeper that the user stops this process, or that it goes on; any other stop is undone by it."""
        with contextlib.suppress(OSError):
            self._socket.send(PAUSED if paused else RESUMED, socket.MSG_DONTWAIT)

    def _listen(self, done: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not done() and not self.over:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._socket], [], [], min(left, KEEPER_LOOK_S))[0]:
                if self._keeper_died():
                    self.lost = self.over = True
                elif left == 0:
                    return
                continue
            try:
                data = self._socket.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                self.lost = self.over = True
                return
            self._heard += data
            *lines, self._heard = self._heard.split(b"\n")
            for line in lines:
                self._hear(_message(line))

    def _keeper_died(self) -> bool:
        """Look at the keeper itself, and continue it when it is stopped.

        Its socket does not tell: a process that got hold of it can keep it open after the keeper's death.
        """
        children_now = self._orphans.note_own()
        if self._keeper.poll() is not None or processes.read(self._keeper.pid) is None:
            return True
        self._orphans.own(children_now)
        keeper = processes.read(self._keeper.pid)
        if keeper is not None and keeper.stopped and processes.send(keeper, signal.SIGCONT):
            self._stopped += 1
        return False

    def _keeper_is_silent(self) -> bool:
        """Whether the command has been gone for long and the keeper has not said so: it is held by a debugger."""
        if self.pid is None or (self._command and processes.read(self._command.pid) == self._command):
            self._silent_since = None
            return False
        self._silent_since = self._silent_since or time.monotonic()
        return time.monotonic() - self._silent_since > self._patience_s

    def _hear(self, message: dict[str, Any]) -> None:
        if "pid" in message:
            self.pid = message["pid"]
            self._command = processes.read(message["pid"])
        self._continued = message.get("continued", self._continued)
        if message.get("exit") is not None:
            self.exit_code = message["exit"]
        if "ended" in message:
            self.ended, self.stuck, self.over = message["ended"], message["stuck"], True


def _message(line: bytes) -> dict[str, Any]:
    """Return what the keeper said; nothing for a line of somebody else who got hold of its socket."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    if not isinstance(message, dict):
        return {}
    numbers = {name: message[name] for name in ("pid", "continued", "exit") if type(message.get(name)) is int}
    lists = {name: message.get(name) for name in ("ended", "stuck")}
    if all(isinstance(pids, list) and all(type(pid) is int for pid in pids) for pids in lists.values()):
        return {**numbers, **lists}
    return numbers


def _in_memory(env: Mapping[str, str]) -> int:
    """Return a file descriptor, at its start, that holds the command's variables as `execve` takes them.

    They are not the keeper's own: the keeper runs our code, and PYTHONPATH among them names the repository.
    """
    descriptor = os.memfd_create("environment")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(b"\0".join(os.fsencode(f"{name}={value}") for name, value in env.items()))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
