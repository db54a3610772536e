"""Odd paths and files are input: each is one sentence and an exit code, never a wait and never a bug."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from commands.cli.app import run
from commands.main import root

RESULT = {"model_id": "m", "gpu_type": "g", "latency": 10.0, "timestamp": "2026-06-01T10:00:00+00:00"}
COMMANDS = [
    ["record"],
    ["check"],
    ["policy", "check"],
    ["backtest"],
    ["sql", "-f"],
    ["verify", "--checkpoint"],
    ["ci", "gate", "--file"],
    ["ci", "lint", "--policy"],
    ["import", "asv"],
    ["import", "hf-tracking"],
    ["import", "github-action-benchmark"],
    ["reseed", "plan", "--model", "m", "--gpu", "g", "--reason", "x", "--source"],
]
FOLDERS = ["a?b", "a#b", "a%41b", "a\\b", "a\nb", "a'b", 'a"b', "a[b]*", "{x}", "x" * 200]


def odd(folder: Path) -> dict[str, Path]:
    """Make one of each thing that is no file."""
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    (folder / "dir").mkdir()
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(folder / "socket"))
    names = {name: folder / name for name in ("pipe", "dangling", "loop", "dir", "socket")}
    return {**names, "device": Path("/dev/zero"), "long": folder / ("x" * 300)}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a ledger and a result, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    assert run(root, ["init", "--origin", "here"]) == 0
    (tmp_path / "r.json").write_text(json.dumps(RESULT))
    return tmp_path


@pytest.mark.timeout(60)
def test_what_is_no_file_is_refused_by_every_command_that_reads_one(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, path in odd(here / "odd").items():
        for command in COMMANDS:
            capfd.readouterr()
            code = run(root, [*command, str(path)])
            said = capfd.readouterr().err
            assert code in (1, 2, 4, 5, 7), (name, command, code, said)
            assert "Traceback" not in said and "internal error" not in said, (name, command, said)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["pipe", "dangling", "loop", "dir", "socket", "device"])
def test_a_journal_that_is_no_file_is_a_sentence(name: str, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    thing = odd(here / "odd")[name]
    journal = here / ".perfledger" / "log" / "here" / "journal.jsonl"
    journal.unlink()
    if name == "device":
        journal.symlink_to(thing)
    else:
        thing.rename(journal)
    for command in (["events", "list"], ["verify"], ["record", "r.json"]):
        code = run(root, command)
        said = capfd.readouterr().err
        assert code in (0, 2, 4, 7), (command, code, said)
        assert "internal error" not in said, (command, said)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", FOLDERS, ids=range(len(FOLDERS)))
def test_a_ledger_in_a_folder_of_any_name_answers(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "r.json").write_text(json.dumps(RESULT))
    assert run(root, ["init", "--origin", "here"]) == 0
    assert run(root, ["record", "r.json"]) == 0
    assert run(root, ["sync", "push", "--remote", f"file://{tmp_path}/remote", "--create"]) == 0
    capfd.readouterr()
    for command in (["sql", "SELECT count(*) AS n FROM results", "--format", "json"], ["verify"], ["baseline", "list"]):
        assert run(root, command) == 0, capfd.readouterr().err
    assert json.loads(capfd.readouterr().out.split("]")[0] + "]") == [{"n": 1}]


def test_a_folder_whose_name_is_not_utf8_is_refused_before_anything_is_written(cli: Any, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"a\xffb")
    folder.mkdir()
    told = cli("init", "--json", cwd=folder, code=2).json["error"]
    assert told["code"] == "folder_not_utf8"
    assert list(folder.iterdir()) == []


def test_a_pipe_that_somebody_writes_to_is_read(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    read, write = os.pipe()
    os.write(write, json.dumps(RESULT).encode())
    os.close(write)
    assert run(root, ["record", f"/dev/fd/{read}"]) == 0
    os.close(read)
