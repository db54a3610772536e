"""A push that is killed at any request, and run again, loses nothing and doubles nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ledger.ledger import Ledger
from ledger.sync.uploads import RecordFile, queue
from ledger.verification.walk import verify
from tests.conftest import PERFLEDGER, clean_env
from tests.hub_server import HubServer
from tests.ledger.sync.samples import HUB_URL, do_pull, names, remote_segments, write

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

DATASET = "hf://datasets/org/perf"
RECORDS = {"model-a/1.json": b'{"latency": 1}\n', "model-a/2.json": b'{"latency": 2}\n'}


def push_process(folder: Path, hub: HubServer) -> subprocess.Popen[str]:
    """`perfledger sync push` as a process."""
    return subprocess.Popen(
        [PERFLEDGER, "sync", "push", "--remote", HUB_URL, "--ledger", str(folder)],
        env=clean_env(**hub.env()),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def killed_at(hub: HubServer, folder: Path, request: int, phase: str) -> bool:
    """Start a push and kill -9 it when the server has read (`before`) or carried out (`after`) a request.

    False when the push ended before it made that many requests.
    """
    process: list[subprocess.Popen[str]] = []
    first = len(hub.requests)

    def kill(index: int, at: str, method: str) -> None:
        if index == first + request and at == phase:
            for _ in range(200):
                if process:
                    break
                time.sleep(0.01)
            os.kill(process[0].pid, signal.SIGKILL)
            process[0].wait(10)

    hub.hook = kill
    process.append(push_process(folder, hub))
    output, _ = process[0].communicate(timeout=60)
    hub.hook = None
    assert process[0].returncode in (0, -signal.SIGKILL), output
    return process[0].returncode != 0


def kill_everywhere(hub: HubServer, tmp_path: Path, phases: tuple[str, ...]) -> int:
    """Kill at every request in turn, each time with something new to push; return how many kills there were."""
    kills = 0
    for phase in phases:
        request = 0
        while True:
            request += 1
            folder = tmp_path / f"{phase}-{request}"
            ledger = Ledger.create(folder, origin=folder.name, actor="x")
            write(ledger, "one", "two")
            records = {f"{folder.name}/{path}": data for path, data in RECORDS.items()}
            queue(
                ledger,
                DATASET,
                [RecordFile(path, data, "m@g") for path, data in records.items()],
                message="Perf: model-a at 0123456",
            )
            killed = killed_at(hub, folder, request, phase)
            kills += killed
            again = push_process(folder, hub)
            output, _ = again.communicate(timeout=60)
            assert again.returncode == 0, output
            check_once(hub, Ledger.open(folder, actor="x"), records)
            if not killed:
                break
    return kills


def check_once(hub: HubServer, ledger: Ledger, records: dict[str, bytes]) -> None:
    """Everything of a ledger is at the Hub once: records in one commit, segments in one commit."""
    repo = hub.repos["org/perf"]
    files = repo.files()
    assert {path: files[path] for path in records} == records
    assert remote_segments(files, ledger.origin) == [p.name for p in ledger.log.segment_paths()]
    for prefix in (f"{ledger.origin}/", f"ledger/log/{ledger.origin}/0"):
        states = [frozenset(p for p in commit.files if p.startswith(prefix)) for commit in repo.commits]
        assert len(set(states)) == 2, f"{prefix} did not appear in one commit"
    assert verify(ledger).ok
    types = [e.type for e in ledger.read() if e.type in ("RecordsUploaded", "PushFinished")]
    assert types == ["RecordsUploaded", "PushFinished"]


def test_a_push_killed_after_any_request_is_completed_by_the_next(hub: HubServer, tmp_path: Path) -> None:
    assert kill_everywhere(hub, tmp_path, ("after",)) >= 12
    reader = Ledger.create(tmp_path / "reader", origin="reader", actor="x")
    do_pull(reader)
    assert len(names(reader)) == 2 * sum(1 for p in tmp_path.iterdir() if p.name.startswith("after-"))
    assert verify(reader).ok


@pytest.mark.soak
def test_a_push_killed_before_or_after_any_request_is_completed_by_the_next(hub: HubServer, tmp_path: Path) -> None:
    for lfs in (True, False):
        hub.lfs = lfs
        (tmp_path / str(lfs)).mkdir()
        hub.create("org/perf")
        assert kill_everywhere(hub, tmp_path / str(lfs), ("before", "after")) >= 16


def test_interrupting_a_push_by_hand_leaves_everything_acknowledged(hub: HubServer, tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "alpha", origin="alpha", actor="x")
    write(ledger, "one")
    process: list[subprocess.Popen[str]] = []

    def interrupt(index: int, at: str, line: str) -> None:
        if "preupload" in line and at == "before":
            process[0].send_signal(signal.SIGINT)

    hub.hook = interrupt
    process.append(push_process(tmp_path / "alpha", hub))
    output, _ = process[0].communicate(timeout=60)
    hub.hook = None
    assert process[0].returncode in (0, 130), output
    assert "Traceback" not in output
    again = push_process(tmp_path / "alpha", hub)
    output, _ = again.communicate(timeout=60)
    assert again.returncode == 0, output
    assert remote_segments(hub.repos["org/perf"].files(), "alpha")
