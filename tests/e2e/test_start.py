"""What a command imports decides how fast it starts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import clean_env
from tests.ledger.samples import result

ROOT = Path(__file__).parents[2]
HEAVY = ("sqlmodel", "sqlalchemy", "pyarrow", "huggingface_hub", "fastapi", "libcst", "numpy", "rich", "duckdb")


def imported(folder: Path, *args: str) -> set[str]:
    """Return the top-level packages a whole run of the command imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "perfledger", *args],
        cwd=folder,
        env=clean_env(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {
        m.removeprefix("perfledger.").split(".")[0]
        for m in re.findall(r"^import time:.*\|\s+(\S+)$", done.stderr, re.MULTILINE)
    }
    assert {"click", "commands"} <= found, "the interpreter tells what it imports"
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ledger, and a result file beside it."""
    record = result(1).payload.record  # type: ignore[attr-defined]
    (tmp_path / "r.json").write_text(json.dumps(record), encoding="utf-8")
    imported(tmp_path, "init")
    return tmp_path


def test_help_imports_nothing_but_the_face(folder: Path) -> None:
    found = imported(folder, "--help")
    assert not found & {*HEAVY, "msgspec", "sqlite3", "projections", "gpu_runner"}


def test_one_record_imports_no_engine(folder: Path) -> None:
    assert not imported(folder, "record", "r.json") & set(HEAVY)


def test_check_imports_the_engine_and_nothing_else_heavy(folder: Path) -> None:
    assert imported(folder, "check", "r.json") & set(HEAVY) == {"duckdb"}


def test_every_sub_command_of_the_help_exists() -> None:
    import click

    from commands.docs import _walk
    from commands.main import root

    names = [" ".join(path) for path, command in _walk(root, ("perfledger",)) if isinstance(command, click.Command)]
    for line in (
        "check",
        "record",
        "sql",
        "replay",
        "verify",
        "explain",
        "doctor",
        "backtest",
        "serve",
        "reseed run",
        "calibrate apply",
        "calibrate merge",
        "ci gate",
        "sync push",
        "gpu wait",
        "import hf-tracking",
    ):
        assert f"perfledger {line}" in names


def test_the_version_is_said_in_one_place_the_same() -> None:
    import tomllib

    from ledger.ledger import PERFLEDGER_VERSION

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == PERFLEDGER_VERSION
