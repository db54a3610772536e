"""Running the command inside the test process: the same entry point, without the start of an interpreter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands.in_process import run_here
from tests.conftest import Result


@pytest.fixture
def in_process(tmp_path: Path) -> Callable[..., Result]:
    """Like `cli`, but in this process: for tests with many calls. The installed command is what `cli` runs."""

    def call(*args: Any, env: dict[str, str] | None = None, cwd: Path | None = None, code: int | None = None) -> Result:
        done = run_here(*args, cwd=cwd or tmp_path, env=env)
        if code is not None:
            assert done.code == code, f"exit {done.code}\n{done.out}\n{done.err}"
        return done

    return call
