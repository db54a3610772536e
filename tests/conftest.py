"""Fixtures every room uses: a fresh ledger, and the installed command as a real process; and the fence around all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import fence

if TYPE_CHECKING:
    from ledger.ledger import Ledger

PERFLEDGER = str(Path(sys.executable).with_name("perfledger"))

# What a developer's shell or a CI service may set must not change what a test sees.
FOREIGN_PREFIXES = ("PERF", "BUILDKITE", "HF_", "HUGGINGFACE", "GITHUB_", "TEST_SCOPE", "TUNE_", "IMAGE_VERSION")

# Before any thread or child: what they inherit cannot be taken back.
FENCE = fence.put_up()

# A shell starts background jobs with Ctrl-C ignored, and what they start inherits that; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Result:
    """What a run of the command gave back."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


# For a process whose files may not grow: Python 3.11 keeps what fits of a byte-code file, under its real name, and
# every later import of that module ends in EOFError.
NO_BYTE_CODE = {"PYTHONDONTWRITEBYTECODE": "1"}


def clean_env(**extra: str) -> dict[str, str]:
    """The process environment without variables of CI services and other tools, plus `extra`."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN_PREFIXES)}
    env.update(PERFLEDGER_ACTOR="tester@example.org", NO_COLOR="1", **extra)
    return env


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., Result]:
    """Run `perfledger ARGS` in `tmp_path`: `cli("check", file, "--json", env={...}, cwd=..., code=0)`.

    With `code` given the exit code is asserted and the output shown when it differs.
    """

    def run(
        *args: Any,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        code: int | None = None,
        stdin: str | None = None,
        timeout: float = 120,
    ) -> Result:
        done = subprocess.run(
            [PERFLEDGER, *map(str, args)],
            cwd=cwd or tmp_path,
            env=clean_env(**(env or {})),
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if code is not None:
            assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A fresh ledger in `tmp_path/.perfledger`."""
    from ledger.ledger import Ledger

    return Ledger.create(tmp_path / ".perfledger", origin="testbed", actor="tester@example.org")
