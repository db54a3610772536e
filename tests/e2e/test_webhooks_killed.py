"""Webhooks through kills and a full disk: what was acknowledged is in the log, once, and nothing else is."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from pathlib import Path

import httpx2
import pytest

from ledger.event import NewEvent
from ledger.events.checks import CommentReceived
from ledger.ledger import Ledger
from projections.state.state import State
from tests.conftest import PERFLEDGER, clean_env
from tests.e2e import webhook_payloads as payloads
from tests.e2e.webhook_server import Server

REPO = "octocat/Hello-World"


class Sender(threading.Thread):
    """One connection that sends its share; what is not answered is sent again, as GitHub's redelivery does."""

    def __init__(self, book: Burst, share: list[tuple[str, bytes]]) -> None:
        super().__init__(daemon=True)
        self.book = book
        self.share = share
        self.acknowledged: list[str] = []
        self.failures: list[str] = []

    def run(self) -> None:
        with httpx2.Client(timeout=30) as client:
            for delivery, body in self.share:
                self._until_acknowledged(client, delivery, body)

    def _until_acknowledged(self, client: httpx2.Client, delivery: str, body: bytes) -> None:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            try:
                answer = self.book.server.github("status", body, delivery, client=client)
            except httpx2.TransportError:
                time.sleep(0.05)
                continue
            if answer.status_code == 200:
                self.acknowledged.append(delivery)
                self.book.count += 1
                return
            if answer.status_code != 503:
                break
            time.sleep(0.05)
        self.failures.append(delivery)


class Burst:
    """The server of the moment: it is another after the kill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = Server(folder)
        self.count = 0


def test_2000_webhooks_from_8_connections_through_two_kills_are_each_there_once(tmp_path: Path) -> None:
    burst(tmp_path / ".perfledger", distinct_count=1_600, repeated_count=400, kills_at=(500, 1_200))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
def test_ten_kills_in_a_long_burst(tmp_path: Path, seed: int) -> None:
    marks = sorted(random.Random(seed).sample(range(200, 9_000), 10))
    burst(tmp_path / ".perfledger", distinct_count=8_000, repeated_count=2_000, kills_at=tuple(marks), seed=seed)


def burst(folder: Path, *, distinct_count: int, repeated_count: int, kills_at: tuple[int, ...], seed: int = 7) -> None:
    """Send webhooks over 8 connections in any order, some twice, kill -9 the server at the given counts, compare."""
    Ledger.create(folder, origin="burst", actor="tester")
    chance = random.Random(seed)
    states = ["success", "success", "failure", "pending"]
    distinct = [
        (
            f"delivery-{n}",
            json.dumps(
                payloads.status(
                    number=n,
                    context=f"buildkite/ci/microscope-{n % 40}",
                    state=chance.choice(states),
                    sha=f"{n % 50:040x}",
                    at=f"2026-06-01T10:{n // 60 % 60:02d}:{n % 60:02d}Z",
                )
            ).encode(),
        )
        for n in range(distinct_count)
    ]
    sent = [*distinct, *chance.sample(distinct, repeated_count)]
    chance.shuffle(sent)
    book = Burst(folder)
    senders = [Sender(book, sent[n::8]) for n in range(8)]
    for sender in senders:
        sender.start()
    for mark in kills_at:
        while book.count < mark and any(sender.is_alive() for sender in senders):
            time.sleep(0.005)
        book.server.kill()
        book.server = Server(folder)
    for sender in senders:
        sender.join(timeout=600)
    counters = httpx2.get(f"{book.server.url}/metrics").text
    assert "Traceback" not in book.server.stop()
    assert [sender.failures for sender in senders] == [[]] * 8
    assert sum(len(sender.acknowledged) for sender in senders) == len(sent)
    log = Ledger.open(folder)
    received = [event.body()["delivery"] for event in log.read(types=["WebhookReceived"])]
    reports = [event.body()["remote_id"] for event in log.read(types=["CheckReported"])]
    assert sorted(received) == sorted(delivery for delivery, _ in distinct)  # nothing lost, nothing doubled
    assert sorted(reports) == list(range(distinct_count))
    assert int(dict(line.split() for line in counters.splitlines())["perfledger_webhooks_batch_max"]) > 1
    _same_states_as_sent(folder, distinct)


def _same_states_as_sent(folder: Path, distinct: list[tuple[str, bytes]]) -> None:
    """The latest state of every context is the one sent with the latest time, whatever came when."""
    newest: dict[tuple[str, str], tuple[str, int, str]] = {}
    for _, body in distinct:
        one = json.loads(body)
        key = (one["sha"], one["context"])
        newest[key] = max(newest.get(key, ("", 0, "")), (one["updated_at"], one["id"], one["state"]))
    with State.open(Ledger.open(folder)) as state:
        rows = state.rows("SELECT sha, context, state FROM checks")
    assert {(row["sha"], row["context"]): row["state"] for row in rows} == {k: v[2] for k, v in newest.items()}


def test_a_full_disk_is_503_and_only_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    folder = tmp_path / ".perfledger"
    book = Ledger.create(folder, actor="tester")
    running = Server(folder, file_bytes_max=150_000)
    codes = {}
    try:
        for number in range(160):
            codes[f"d-{number}"] = running.github("status", payloads.status(number=number), f"d-{number}").status_code
        health = httpx2.get(f"{running.url}/healthz")
        assert (health.status_code, health.json()["status"]) == (503, "failing") and health.json()["trouble"]
    finally:
        said = running.stop()
    assert set(codes.values()) == {200, 503} and "Traceback" not in said
    acknowledged = [delivery for delivery, code in codes.items() if code == 200]
    assert [event.body()["delivery"] for event in book.read(types=["WebhookReceived"])] == acknowledged
    again = Server(folder)  # with room again, what was refused is taken
    refused = next(delivery for delivery, code in codes.items() if code == 503)
    answer = again.github("status", payloads.status(number=int(refused[2:])), refused)
    again.stop()
    assert answer.json()["status"] == "recorded"


def test_a_comment_whose_decision_a_kill_cut_off_is_decided_at_the_next_start(tmp_path: Path) -> None:
    """The comment is in the log without a decision, as a kill between the two leaves it."""
    folder = tmp_path / ".perfledger"
    book = Ledger.create(folder, actor="tester")
    book.append(
        [
            NewEvent(
                stream=f"pull/{REPO}/2",
                payload=CommentReceived(
                    repository=REPO, number=2, comment_id=77, author="ada", body="/merge", association="OWNER"
                ),
            )
        ]
    )
    for _ in range(2):
        Server(folder).stop()
    decided = [event.body() for event in book.read(types=["CommandDecided"])]
    assert [(d["comment_id"], d["action"]) for d in decided] == [(77, "merge")]
    done = subprocess.run(
        [PERFLEDGER, "verify", "--ledger", str(folder), "--json"],
        env=clean_env(),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
