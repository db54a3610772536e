"""No room on the disk: what only reads still answers, what writes says so in a sentence, and nothing is lost.

A limit on the size of files (`ulimit -f`) stands for the full disk: it needs no rights and gives the same refusals.
"""

from __future__ import annotations

import json
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger
from tests.conftest import NO_BYTE_CODE, PERFLEDGER, clean_env

RESULT = {"model_id": "m", "gpu_type": "G", "timestamp": "2026-05-01T00:00:00Z", "latency": 1.5, "success": True}


def without_room(cwd: Path, *args: str, room: int = 512) -> subprocess.CompletedProcess[str]:
    """Run the command where no file may grow beyond `room` bytes."""
    return subprocess.run(
        [PERFLEDGER, *args],
        cwd=cwd,
        env=clean_env(**NO_BYTE_CODE),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )


@pytest.fixture
def folder(cli: Callable[..., Any], ledger: Ledger, tmp_path: Path) -> Path:
    (tmp_path / "r.json").write_text(json.dumps(RESULT))
    cli("record", "r.json", code=0)
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ["baseline", "list"],
        ["reseed", "list"],
        ["sql", "FROM results"],
        ["verify"],
        ["replay", "--check"],
        ["events", "list"],
    ],
)
def test_reading_needs_no_room(command: list[str], folder: Path) -> None:
    done = without_room(folder, *command)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "command", [["replay"], ["replay", "--into", "sqlite:///copy.db"], ["check", "r.json"], ["init", "elsewhere"]]
)
def test_writing_says_so_and_loses_nothing(command: list[str], folder: Path, cli: Callable[..., Any]) -> None:
    before = cli("events", "export", code=0).out
    done = without_room(folder, *command, "--json")
    assert done.returncode == 4, done.stdout + done.stderr
    error = json.loads(done.stdout)["error"]
    assert error["hint"] and "internal" not in error["code"]
    assert [p.name for p in (folder / ".perfledger").iterdir() if p.name.startswith(".")] == []
    assert cli("events", "export", code=0).out == before
    cli("verify", code=0)


@pytest.mark.parametrize(
    "command",
    [
        ["events", "export", "-o", "out"],
        ["sql", "FROM events", "--format", "json", "-o", "out"],
        ["verify", "--write-checkpoint", "out"],
    ],
)
def test_an_output_is_whole_or_the_one_that_was_there(command: list[str], folder: Path) -> None:
    (folder / "out").write_text("before")
    done = without_room(folder, *command, room=64)
    assert done.returncode == 4 and "too large" in done.stderr
    assert (folder / "out").read_text() == "before"
    assert sorted(p.name for p in folder.iterdir()) == [".perfledger", "out", "r.json"]


@pytest.mark.parametrize("url", ["", "postgresql+psycopg://host:port/name", "sqlite:///.perfledger/log/x.db"])
def test_a_database_that_cannot_be_one_is_bad_input(url: str, folder: Path, cli: Callable[..., Any]) -> None:
    assert cli("replay", "--into", url, "--json", code=2).json["error"]["message"]
    cli("verify", code=0)
