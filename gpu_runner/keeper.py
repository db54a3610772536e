"""The small process between a runner and its repeat, so that nothing of a repeat can outlive the runner.

    perfledger (runner)  --socket--  keeper (child subreaper)  -->  pytest (own session)  -->  servers, daemons, ...

Being a child subreaper, the keeper is the ancestor of everything the repeat ever starts, daemons included: "descends
from the keeper" is exactly "belongs to this repeat". It ends that tree when pytest is done, when told to, when the
socket to the runner closes, which the kernel does even for a runner killed with SIGKILL, and when the runner is gone.

It speaks JSON lines: `{"pid": n}`, `{"continued": n}` each time it found the runner stopped by nobody at its terminal
and continued it, `{"exit": status}` (negative: the signal), and last `{"ended": [pids], "stuck": [pids]}`. The runner
says PAUSED before its user stops it, and RESUMED after. A socket, not a pipe: a process of the same user can open the
other end of a pipe through /proc and keep it open.

It starts with every repeat, hence standard library only. The command's variables come in a file, apart from its
own: PYTHONPATH, sitecustomize and tokens are the command's affair.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from typing import Any

from gpu_runner import processes
from gpu_runner.subreaper import LOOK_AGAIN_S, LOOKS_MAX, PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, prctl

PAUSED, RESUMED = b"p", b"r"
RUNNER_LOOK_S = 1.0


class Keeper:
    """Starts one command, waits for it or for the end of the runner, and ends what is left."""

    def __init__(self, runner: int, command: list[str], env: dict[bytes, bytes], log_fd: int, grace_s: float) -> None:
        found = processes.read(runner)
        self.runner = found if found is not None and os.getppid() == runner else None
        self.paused = False
        self.continued = 0
        self.command = command
        self.env = env
        self.log_fd = log_fd
        self.grace_s = grace_s
        self.child = -1
        self.status: int | None = None

    def run(self) -> None:
        """Keep the repeat until it is over; returns when no process of it is left."""
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for signum in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(signum, lambda *_: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.child = self._start()
        self.tell(pid=self.child)
        while self.status is None:
            ready, _, _ = select.select([0, wake_read], [], [], RUNNER_LOOK_S)
            stopped = 0 in ready and not self._hear()
            if wake_read in ready:
                woken = os.read(wake_read, 4096)
                stopped |= any(signum != signal.SIGCHLD for signum in woken)
            self.reap()
            if stopped or not self._runner_runs():
                break
        if self.status is not None:
            self.tell(exit=self.status)
        ended, stuck = processes.end(self.tree, self.grace_s, self.reap)
        self.reap()
        self.tell(ended=sorted(ended), stuck=sorted(stuck), exit=self.status)
        # The last thing of a repeat may have been to stop the runner, which then has not heard that.
        while self._runner_runs():
            if select.select([0], [], [], RUNNER_LOOK_S)[0] and not self._hear():
                break

    def _hear(self) -> bool:
        """Take in what the runner says; False when it wants us to stop, or closed the socket by dying."""
        try:
            said = os.read(0, 4096)
        except OSError:
            return False
        if said:
            self.paused = said.endswith(PAUSED)
        return bool(said)

    def _runner_runs(self) -> bool:
        """Return whether the runner lives; one that is stopped, though no user paused it, is continued.

        Else a repeat that sends SIGSTOP to its runner would keep the GPUs locked until somebody comes to look.
        """
        runner = self.runner and processes.read(self.runner.pid)
        if not runner or runner != self.runner:
            return False
        if runner.stopped and not self.paused and processes.send(runner, signal.SIGCONT):
            self.continued += 1
            self.tell(continued=self.continued)
        return True

    def reap(self) -> bool:
        """Collect every child that ended; remember how the command itself did. False when no child is left at all."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.child:
                self.status = os.waitstatus_to_exitcode(status)

    def tree(self) -> set[processes.Process]:
        """All living processes of the repeat.

        One walk over /proc is no snapshot: a process whose parent dies during it can be missed. But orphans become our
        children, so the tree is empty only when the kernel says that we have no child.
        """
        for _ in range(LOOKS_MAX):
            found = processes.descendants(os.getpid())
            if found or not self.reap():
                return found
            time.sleep(LOOK_AGAIN_S)
        return set()

    def tell(self, **message: Any) -> None:
        """Write one JSON line to the runner; a runner that is gone hears nothing."""
        line = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(OSError):
            while line:  # a signal may cut a long write
                line = line[os.write(1, line) :]

    def _start(self) -> int:
        keeper = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        try:
            os.setsid()
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != keeper:
                os._exit(1)  # the keeper died between fork and prctl
            for signum in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
                signal.signal(signum, signal.SIG_DFL)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.dup2(self.log_fd, 1)
            os.dup2(self.log_fd, 2)
            os.execvpe(self.command[0], self.command, self.env)  # noqa: S606  (a list, and no shell is wanted)
        except OSError as error:
            os.write(self.log_fd, f"cannot start {self.command[0]}: {error}\n".encode())
        finally:
            os._exit(127)


def main() -> None:
    """`runner log_fd env_fd grace_s inherited_fds command...`; stdin and stdout are the socket, its end means: stop."""
    runner, log_fd, env_fd, grace_s, inherited, *command = sys.argv[2:]
    # GPU locks (and the log) are held by this process, not by what it starts
    for fd in (int(log_fd), *(int(part) for part in inherited.split(",") if part)):
        os.set_inheritable(fd, False)
    with open(int(env_fd), "rb") as file:  # noqa: PTH123  (a descriptor, not a path)
        pairs = (item.partition(b"=") for item in file.read().split(b"\0"))
        env = {name: value for name, _, value in pairs}
    Keeper(int(runner), command, env, int(log_fd), float(grace_s)).run()
