"""Running the command inside the test process: the same entry point, without the start of an interpreter."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Result, clean_env


@pytest.fixture
def in_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Like `cli`, but in this process: for tests with many calls. The installed command is what `cli` runs."""
    from commands.cli.app import run
    from commands.main import root

    def call(*args: Any, env: dict[str, str] | None = None, cwd: Path | None = None, code: int | None = None) -> Result:
        wanted = clean_env(**(env or {}))
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        with monkeypatch.context() as patch:
            for name in os.environ.keys() - wanted.keys():
                patch.delenv(name)
            for name, value in wanted.items():
                patch.setenv(name, value)
            patch.chdir(cwd or tmp_path)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                found = run(root, [str(arg) for arg in args])
        said, warned = _text(out), _text(err)
        if code is not None:
            assert found == code, f"exit {found}\n{said}\n{warned}"
        return Result(found, said, warned)

    return call


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()
