"""Hardship for the commands: a disk without room, a kill at the n-th change of a file, and what it may leave."""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conftest import NO_BYTE_CODE, Result, clean_env

# Dies at the n-th time that a file is created, renamed or removed: the moments between which a power cut may fall.
# Only what is changed below `within` counts, so that caches and the interpreter's own files do not.
DYING = """
import os, signal, sys
at, within = int(sys.argv[1]), sys.argv[2]
done = 0
def hook(event, args):
    global done
    if event == "open":
        changes = isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR) and args[2] & os.O_CREAT
    else:
        changes = event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate")
    if not changes or isinstance(args[0], int) or not os.path.abspath(os.fsdecode(args[0])).startswith(within):
        return
    done += 1
    if done == at:
        os.kill(os.getpid(), signal.SIGKILL)
from commands.main import main
sys.addaudithook(hook)
sys.argv = ["perfledger", *sys.argv[3:]]
main()
"""


@contextlib.contextmanager
def no_room(size: int = 0) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: writing more is refused as on a full disk."""
    before, wrote = resource.getrlimit(resource.RLIMIT_FSIZE), sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # half a byte-code file would stay
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sys.dont_write_bytecode = wrote


def killed_at(change: int, within: Path, cwd: Path, *args: Any) -> bool:
    """Run a command that is killed with SIGKILL at its n-th change of a file below `within`; False: it ended before."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", DYING, str(change), str(within), *map(str, args)],
        cwd=cwd,
        env=clean_env(**NO_BYTE_CODE, PYTHONPATH=str(Path(__file__).parents[2])),
        input="",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stdout + done.stderr
    return done.returncode != 0


def tree(folder: Path, *, without: tuple[str, ...] = ()) -> dict[str, bytes | None]:
    """Every file below a folder with its bytes (None: a folder), leaving out what lies below the named folders."""
    return {
        name: path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if not (name := str(path.relative_to(folder))).split("/")[0].startswith(without or ("\0",))
    }


def refusal(result: Result, code: int) -> dict[str, Any]:
    """The error of a refused command: the right exit code, one sentence, a stable code and what to do next."""
    assert result.code == code, f"exit {result.code}\n{result.out}\n{result.err}"
    document = json.loads(result.out)
    assert list(document) == ["error"]
    error: dict[str, Any] = document["error"]
    assert error["message"] and error["hint"], error
    assert error["code"].replace("_", "").isalnum() and "internal" not in error["code"], error
    assert "Traceback" not in result.err + result.out
    assert "Errno" not in error["message"], error
    return error
