"""A command that runs beside the repeats, for example a sync push: never waited for, never able to fail the run.

One process at a time, at the lowest priority, in a session of its own, its output in a file. A nudge while it runs is
remembered and starts it once more afterwards, so that the last repeat's events are never left behind by a
push that began before them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

NICE = 19
ENDED = 0
END_S = 2.0


class Background:
    """Runs `command` each time it is nudged. Use as a context manager; leaving it waits at most `patience_s`.

    env: its variables, all of them.
    """

    def __init__(self, command: Sequence[str], log: Path, *, env: Mapping[str, str], patience_s: float = 5.0) -> None:
        self.command = list(command)
        self.env = dict(env)
        self.log = log
        self.patience_s = patience_s
        self.failures: list[int] = []
        self._running: subprocess.Popen[bytes] | None = None
        self._again = False

    def nudge(self) -> None:
        """There is something new: start the command, or once more when it is done. Returns at once, never raises."""
        self._collect()
        if self._running is not None:
            self._again = True
        else:
            self._start()

    def busy(self) -> bool:
        """Whether it is running now."""
        self._collect()
        return self._running is not None

    def leave(self, patience_s: float) -> bool:
        """Give it a moment; True when it is done. Else it goes on by itself, and this object forgets it."""
        self._wait(patience_s)
        done = not self.busy()
        if self._running is not None:
            self._running.returncode = (
                ENDED  # or Popen warns that the process was not waited for, which is intended here
            )
        self._running, self._again = None, False
        return done

    def close(self, patience_s: float | None = None) -> bool:
        """Give it a last moment, then end it; True when nothing was cut short (what was not sent waits in the log)."""
        self._wait(self.patience_s if patience_s is None else patience_s)
        finished = not self.busy()
        if self._running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._running.pid, signal.SIGTERM)  # its own session: the group is this one command
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._running.wait(END_S)
            if self._running.poll() is None:
                self._running.kill()
                self._running.wait()
            self._running = None
        return finished and not self._again

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.busy() and (left := deadline - time.monotonic()) > 0:
            assert self._running is not None
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._running.wait(left)

    def __enter__(self) -> Background:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(0.0 if kind else None)  # whoever interrupts a run does not want to wait for this

    def _start(self) -> None:
        self._again = False
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("ab") as out:
                self._running = subprocess.Popen(
                    ["nice", "-n", str(NICE), *self.command],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                    env=self.env,
                )
        except OSError:
            # the run goes on without it: what it would have sent stays in the local log, which is the outbox
            self.failures.append(127)

    def _collect(self) -> None:
        if self._running is not None and (code := self._running.poll()) is not None:
            self._running = None
            if code != ENDED:
                self.failures.append(code)
            if self._again:
                self._start()
