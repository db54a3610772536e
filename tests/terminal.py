"""Commands on a pseudo-terminal, many in one process: what a person at a terminal would see of each.

on_terminal([["events", "list"], ["verify"]], cwd=folder)   # [(exit code, output), ...]
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.conftest import clean_env

COLUMNS = 20_000  # nothing is folded, so that a text can be looked for


def on_terminal(commands: list[list[str]], *, cwd: Path, limit_s: float = 240.0) -> list[tuple[int, str]]:
    """Run commands, each in a process of its own whose three streams are a terminal, and return code and output."""
    env = {k: v for k, v in clean_env(COLUMNS=str(COLUMNS), TERM="xterm-256color").items() if k != "NO_COLOR"}
    root = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r}); from tests.terminal import main; main()"],
        cwd=cwd,
        env=env,
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=True,
    )
    return [(code, bytes.fromhex(seen).decode("utf-8", "surrogateescape")) for code, seen in json.loads(done.stdout)]


def main() -> None:
    """Read command lines from stdin, run them, and write what each came to."""
    from commands.cli.app import run
    from commands.main import root

    found = []
    for args in json.load(sys.stdin):
        child, terminal = pty.fork()
        if child == 0:
            code = 1
            try:
                code = run(root, args)
                sys.stdout.flush()
            finally:
                os._exit(code)
        seen = b""
        while True:
            try:
                piece = os.read(terminal, 1 << 16)
            except OSError:  # a terminal ends with its last process
                break
            if not piece:
                break
            seen += piece
        _, status = os.waitpid(child, 0)
        os.close(terminal)
        found.append((os.waitstatus_to_exitcode(status), seen.hex()))
    sys.stdout.write(json.dumps(found))
