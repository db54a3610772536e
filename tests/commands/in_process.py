"""The command line run inside the test process: the same entry point, without the start of an interpreter."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Result, clean_env


def run_here(*args: Any, cwd: Path, env: dict[str, str] | None = None) -> Result:
    """Run a command line in this process, in a folder and with the variables that a test's commands have."""
    from commands.cli.app import run
    from commands.main import root

    wanted = clean_env(**(env or {}))
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - wanted.keys():
            patch.delenv(name)
        for name, value in wanted.items():
            patch.setenv(name, value)
        patch.chdir(cwd)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            found = run(root, [str(arg) for arg in args])
    return Result(found, _text(out), _text(err))


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()
