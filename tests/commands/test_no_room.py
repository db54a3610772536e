"""A full disk and a killed process: what a command of CI, GPUs or sharing was to write is there whole, or not at all.

A limit on the size of files stands for the full disk, as in tests/e2e/test_break_disk.py; kills are real SIGKILLs.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger
from tests.conftest import NO_BYTE_CODE, PERFLEDGER, clean_env
from tests.e2e import webhook_payloads as payloads
from tests.gpu_runner.conftest import machine, nvml_dir
from tests.gpu_runner.machine import Machine

__all__ = ["machine", "nvml_dir"]
Cli = Callable[..., Any]
SHA = "a" * 40
WRITING = {
    "ci report": ["ci", "report", "--sha", SHA, "--context", "c", "--state", "success"],
    "ci lanes": ["ci", "lanes", "--changed", "fastvideo/a.py", "--sha", SHA],
    "ci receive": ["ci", "receive", "event.json", "--event", "status"],
    "ci policy adopt": ["ci", "policy", "adopt", "fastvideo-page", "--reason", "r"],
}


def without_room(folder: Path, *words: str, room: int, env: dict[str, str] | None = None) -> Any:
    """Run the command where no file may grow beyond `room` bytes."""
    return subprocess.run(
        [PERFLEDGER, *words],
        cwd=folder,
        env=clean_env(**NO_BYTE_CODE, **(env or {})),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )


def content(folder: Path) -> dict[str, bytes]:
    """Every file of the log and the evidence."""
    places = [folder / ".perfledger" / "log", folder / ".perfledger" / "evidence"]
    return {str(path): path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", WRITING)
def test_what_does_not_fit_is_exit_4_and_not_recorded_and_runs_again_when_there_is_room(
    in_process: Cli, ledger: Ledger, tmp_path: Path, name: str
) -> None:
    (tmp_path / "event.json").write_text(json.dumps(payloads.status()))
    before = [event.event_id for event in ledger.read()]
    done = without_room(tmp_path, *WRITING[name], "--json", room=256)
    assert done.returncode == 4, done.stdout + done.stderr
    error = json.loads(done.stdout)["error"]
    assert error["hint"] and "internal" not in error["code"] and done.stderr == ""
    assert [event.event_id for event in Ledger.open(tmp_path).read()] == before
    in_process("verify", code=0)
    in_process(*WRITING[name], code=0)
    assert len(list(Ledger.open(tmp_path).read())) > len(before)
    in_process("verify", code=0)


def test_a_file_of_samples_is_whole_or_missing(cli: Cli, machine: Machine, tmp_path: Path) -> None:
    env = {**machine.env, "PERFLEDGER_GPU_LOCK_DIR": str(tmp_path / "locks")}
    words = ("gpu", "sample", "--seconds", "0.2", "--hz", "10", "-o", "rows.parquet")
    done = without_room(tmp_path, *words, "--json", room=64, env=env)
    assert done.returncode == 4 and json.loads(done.stdout)["error"]["hint"]
    assert [path.name for path in tmp_path.iterdir() if "parquet" in path.name or path.name.startswith(".")] == []
    cli(*words, env=env, code=0)
    assert (tmp_path / "rows.parquet").read_bytes()[:4] == b"PAR1"


def test_a_share_without_room_has_no_half_file_and_the_next_push_ends_it(
    in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    in_process(*WRITING["ci report"], code=0)
    share = tmp_path / "share"
    words = ("sync", "push", "--remote", share.as_uri(), "--create")
    done = without_room(tmp_path, *words, "--json", room=700)
    assert done.returncode in (4, 6), done.stdout
    assert json.loads(done.stdout)["error"]["hint"]
    in_process("verify", code=0)
    in_process(*words, code=0)
    other = Ledger.create(tmp_path / "other", origin="other", actor="t@example.org")
    in_process("sync", "pull", "--remote", share.as_uri(), cwd=tmp_path / "other", code=0)
    pulled = {event.event_id for event in other.read(origin="testbed")}
    assert {event.event_id for event in ledger.read(types=["CheckReported"])} <= pulled


@pytest.mark.parametrize("name", ["ci report", "ci receive"])
def test_a_killed_command_leaves_a_log_that_verifies_with_everything_it_acknowledged(
    in_process: Cli, ledger: Ledger, tmp_path: Path, name: str
) -> None:
    """A loop of commands, killed with all of its group at a moment that nobody chose."""
    acknowledged: set[str] = set()
    for number in range(3):
        (tmp_path / "event.json").write_text(json.dumps(payloads.status(number=number + 1)))
        word = " ".join(WRITING[name])
        loop = f"while true; do {PERFLEDGER} {word} --json || exit 9; done"
        with subprocess.Popen(
            ["bash", "-c", loop],
            cwd=tmp_path,
            env=clean_env(),
            stdout=(out := (tmp_path / "out").open("w+")),
            process_group=0,
            text=True,
        ) as running:
            first = ledger.head().position
            while Ledger.open(tmp_path).head().position <= first and running.poll() is None:
                time.sleep(0.01)
            time.sleep(0.05 * number)
            os.killpg(running.pid, signal.SIGKILL)
        out.seek(0)
        acknowledged |= {line.split('"')[3] for line in out if '"event_id"' in line}
        out.close()
        recorded = {event.event_id for event in Ledger.open(tmp_path).read()}
        assert acknowledged <= recorded
        in_process("verify", code=0)
    in_process(*WRITING["ci report"], code=0)


@pytest.mark.parametrize("words", [["ci", "policy", "check"], ["verify", "--checkpoint"], ["ci", "gate", "--file"]])
@pytest.mark.parametrize("text", ["[" * 2_000, '{"origins": {"a": 1}}', "\ufeff", "null", "[1, 2", "\x00"])
def test_a_wrong_file_is_a_sentence_that_names_it(
    in_process: Cli, ledger: Ledger, tmp_path: Path, words: list[str], text: str
) -> None:
    (tmp_path / "wrong").write_text(text, encoding="utf-8")
    error = in_process(*words, "wrong", "--json", code=2).json["error"]
    assert error["message"].startswith("wrong") and error["hint"] and "\n" not in error["message"]
    for missing in ("missing", ".", "wrong/below"):
        assert missing in in_process(*words, missing, "--json", code=2).json["error"]["message"]
