"""What a repeat may do to the processes that watch it. Each piece is code for the start of a test file or a command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from gpu_runner import processes
from tests.waiting import until

# keeper and runner, as anybody finds them; and daemons that note their pid in the file $PIDS, or `pids` here.
KNOWS = """
import os, signal, subprocess, sys, time
PIDS = os.environ.get("PIDS", "pids")
def parent_of(pid):
    return int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
KEEPER = os.getppid()
RUNNER = parent_of(KEEPER)
def note(pid):
    with open(PIDS, "a") as file:
        file.write(f"{pid}\\n")
def sleeper(**how):
    pid = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True, **how).pid
    note(pid)
    return pid
def double_forked(env):
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.write(write, b"%d" % sleeper(env=env))
        os._exit(0)
    os.wait()
    return int(os.read(read, 20))
def daemons():
    sleeper(), sleeper(env={}), double_forked({})
"""

DAEMON = """
import os, subprocess, sys
if os.fork() == 0:
    os.setsid()
    nothing = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], **nothing).pid)
"""


def noted(folder: Path) -> list[int]:
    """Return the pids of the daemons that were started in this folder."""
    path = folder / "pids"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def living(pids: list[int]) -> list[int]:
    """Return those of these processes that have not ended."""
    return [pid for pid in pids if processes.read(pid) is not None]


def orphan(repeat_id: str) -> processes.Process:
    """Start a process in a session of its own, child of nobody here, that carries a marker; return it."""
    env = {**os.environ, processes.MARKER: repeat_id}
    done = subprocess.run([sys.executable, "-c", DAEMON], env=env, capture_output=True, text=True, check=True)
    process = processes.read(int(done.stdout))
    assert process is not None and process.parent != os.getpid()
    until(lambda: process in processes.marked(repeat_id))  # its environment is to be seen a moment after it began
    return process
