"""Which repeat of a run directory is being measured right now, asked of the processes themselves.

The answer comes from the `--basetemp` of running pytest processes, so neither a watcher that names the
run directory nor a file's modification time can be mistaken for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

_BASETEMP = re.compile(r"basetemp_run([1-9][0-9]*)")
_PROC = Path("/proc")


class ActiveRepeat(msgspec.Struct, frozen=True):
    """A pytest process of a run directory: its process id, unit, repeat and log."""

    pid: int
    unit: str
    repeat: int
    log: Path


def active_repeats(run_dir: Path) -> list[ActiveRepeat]:
    """Return the repeats of a run directory that a pytest process is running, by process id.

    Only processes whose command line holds `--basetemp` below `<run_dir>/_pytest/` count; child
    processes that inherited no such argument do not. Empty where there is no /proc.
    """
    root = Path(os.path.realpath(run_dir)) / "_pytest"
    found: list[ActiveRepeat] = []
    for pid, arguments, cwd in _processes():
        basetemp = _basetemp(arguments)
        if basetemp is None:
            continue
        path = Path(os.path.realpath(cwd / basetemp))
        match = _BASETEMP.fullmatch(path.name)
        if match and path.parent.parent == root:
            repeat = int(match[1])
            log = path.parent / f"run{repeat}.log"
            found.append(ActiveRepeat(pid, path.parent.name, repeat, log))
    return sorted(found, key=lambda active: active.pid)


def _basetemp(arguments: list[str]) -> str | None:
    """The value of --basetemp of a pytest command line; None for any other program."""
    if not any(Path(a).name in ("pytest", "py.test") or a == "pytest" for a in arguments[:4]):
        return None
    for position, argument in enumerate(arguments):
        if argument.startswith("--basetemp="):
            return argument.removeprefix("--basetemp=")
        if argument == "--basetemp" and position + 1 < len(arguments):
            return arguments[position + 1]
    return None


def _processes() -> Iterator[tuple[int, list[str], Path]]:
    if not _PROC.is_dir():
        return
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes()
            if b"basetemp" not in line:
                continue
            cwd = (entry / "cwd").readlink()
        except OSError:  # it ended meanwhile, or is another user's
            continue
        arguments = [a.decode("utf-8", "surrogateescape") for a in line.split(b"\0") if a]
        yield int(entry.name), arguments, cwd
