"""Peak memory of a command: the resident set of the largest of its processes, as the kernel counted it.

A small process stands between: a child's count begins with the memory of the process it was forked from.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.start import environment

MIB = 1024 * 1024
BETWEEN = """
import resource, subprocess, sys, time
began = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds from its start to its end, and its peak memory in MiB."""

    seconds: float
    mib: float


def cost(command: list[str], *, cwd: Path, **variables: str) -> Cost:
    """Run a command with these variables added to its environment, and return what it took.

    Raises AssertionError with what it wrote to stderr when it fails.
    """
    done = subprocess.run(
        [sys.executable, "-S", "-c", BETWEEN, *command],
        cwd=cwd,
        env=environment() | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seconds, kib = done.stdout.split()
    return Cost(float(seconds), int(kib) / 1024)


def of_process(pid: int) -> float:
    """Return the peak memory of a running process so far, in MiB. Raises OSError where there is no /proc."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None, f"process {pid} has ended"
    return int(found[1]) / 1024


def row(name: str, mib: float, *, peer: float, against: str, limit: float | None) -> dict[str, Any]:
    """Return one line of the result: a peak in MiB, and its ratio to `peer`, also in MiB."""
    return {
        "name": name,
        "value": round(mib, 1),
        "unit": "MiB",
        "ratio": round(mib / peer, 2),
        "against": against,
        "limit": limit,
        "ok": limit is None or mib / peer <= limit,
    }
