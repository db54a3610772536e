"""Start one attempt of a repeat under a keeper, and hear from it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_runner import processes
from ledger import children


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
    that had to be ended after it, and those that could not be. lost: the keeper itself died.
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
        marker = {processes.MARKER: repeat_id}
        log_fd = os.open(launch.log, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        env_fd = _in_memory({**launch.env, **marker})
        try:
            held = ",".join(map(str, hold_fds))
            self._keeper = subprocess.Popen(
                children.command(children.KEEP_REPEAT, str(log_fd), str(env_fd), str(grace_s), held, *launch.command),
                cwd=launch.cwd,
                env=children.environment("PATH", "LANG", "LC_*") | marker,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log_fd,
                pass_fds=(log_fd, env_fd, *hold_fds),
                start_new_session=True,
            )
        finally:
            os.close(log_fd)
            os.close(env_fd)

    def __enter__(self) -> Attended:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait(self, seconds: float) -> bool:
        """Wait until the command ended (True) or `seconds` passed. Its tree may still be being ended."""
        self._listen(lambda: self.exit_code is not None, seconds)
        return self.exit_code is not None or self.over

    def stop(self) -> None:
        """End the command and everything it started; returns when nothing of it is left (or is stuck)."""
        if self.over and self._keeper.returncode is not None:
            return
        assert self._keeper.stdin is not None
        # Closing the pipe is the order to stop: were we interrupted right here, the kernel would close it for us.
        with contextlib.suppress(BrokenPipeError):
            self._keeper.stdin.close()
        self.settle()

    def settle(self) -> None:
        """Wait until the keeper has ended what the command left behind."""
        assert self._keeper.stdin is not None and self._keeper.stdout is not None
        self._listen(lambda: self.over, self.grace_s + 2 * processes.KILL_LIMIT_S)
        if not self.over or self.lost:
            self._keeper.kill()
            # without its keeper the tree is known by its marker only
            ended, stuck = processes.end_marked(self.repeat_id, self.grace_s)
            self.ended += sorted(ended)
            self.stuck += sorted(stuck)
        self.over = True
        with contextlib.suppress(BrokenPipeError):
            self._keeper.stdin.close()
        self._keeper.wait()
        self._keeper.stdout.close()

    def owns(self, pid: int) -> bool:
        """Whether a pid belongs to this repeat (also a process of it that was daemonised)."""
        return any(process.pid == pid for process in processes.descendants(self._keeper.pid))

    def _listen(self, done: Callable[[], bool], seconds: float) -> None:
        assert self._keeper.stdout is not None
        deadline = time.monotonic() + seconds
        while not done() and not self.over:
            ready, _, _ = select.select([self._keeper.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                return
            data = os.read(self._keeper.stdout.fileno(), 65536)
            if not data:
                self.lost = self.over = True
                return
            self._heard += data
            *lines, self._heard = self._heard.split(b"\n")
            for line in lines:
                self._hear(json.loads(line))

    def _hear(self, message: dict[str, Any]) -> None:
        self.pid = message.get("pid", self.pid)
        if message.get("exit") is not None:
            self.exit_code = message["exit"]
        if "ended" in message:
            self.ended, self.stuck, self.over = message["ended"], message["stuck"], True


def _in_memory(env: Mapping[str, str]) -> int:
    """Return a file descriptor, at its start, that holds the command's variables as `execve` takes them.

    They are not the keeper's own: the keeper runs our code, and PYTHONPATH among them names the repository.
    """
    descriptor = os.memfd_create("environment")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(b"\0".join(os.fsencode(f"{name}={value}") for name, value in env.items()))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
