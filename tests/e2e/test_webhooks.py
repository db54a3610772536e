"""Webhooks over real HTTP into a real ledger: what is acknowledged is in the log, once, whatever happens."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from pathlib import Path

import httpx2
import pytest

from ledger.ledger import Ledger
from tests.commands.ci.github_server import FakeGitHub
from tests.conftest import PERFLEDGER, clean_env
from tests.e2e import webhook_payloads as payloads
from tests.e2e.webhook_server import Server
from tests.waiting import until

REPO = "octocat/Hello-World"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all tests that do not kill it; at the end it has shown no traceback."""
    folder = tmp_path_factory.mktemp("served") / ".perfledger"
    Ledger.create(folder, origin="served", actor="tester")
    running = Server(folder, "--max-body", "256KiB")
    running.folder = folder
    yield running
    said = running.stop()
    assert "Traceback" not in said, said


def events_of(server: Server, *types: str) -> list:
    return list(Ledger.open(server.folder).read(types=types))


def new_facts(server: Server, receipt: dict) -> list[dict]:
    book = Ledger.open(server.folder)
    return [
        {"type": event.type, "stream": event.stream, **event.body()}
        for event in (book.event(one) for one in receipt["event_ids"][1:])
    ]


def test_a_status_becomes_a_report_of_its_commit(server):
    answer = server.github("status", payloads.status(number=11), "status-1")
    assert answer.status_code == 200 and answer.json()["status"] == "recorded"
    (fact,) = new_facts(server, answer.json())
    assert fact["stream"] == f"check/{payloads.SHA}" and fact["type"] == "CheckReported"
    assert (fact["context"], fact["state"], fact["remote_id"]) == ("pre-commit", "success", 11)
    assert (fact["reported_at"], fact["source"]) == ("2026-06-01T10:00:00.000000Z", "github:status")


@pytest.mark.parametrize(
    ("action", "conclusion", "state"),
    [
        ("completed", "success", "success"),
        ("completed", "failure", "failure"),
        ("completed", "neutral", "neutral"),
        ("completed", "skipped", "skipped"),
        ("completed", "cancelled", "cancelled"),
        ("completed", "timed_out", "failure"),
        ("completed", "action_required", "failure"),
        ("completed", "a word of tomorrow", "failure"),
        ("created", None, "pending"),
    ],
)
def test_a_check_run_becomes_a_report_and_no_unknown_word_is_a_success(server, action, conclusion, state):
    body = payloads.check_run(action=action, conclusion=conclusion, name=f"run {action} {conclusion}")
    (fact,) = new_facts(server, server.github("check_run", body, f"run-{action}-{conclusion}").json())
    assert (fact["context"], fact["state"]) == (f"run {action} {conclusion}", state)


def test_a_pull_request_a_review_and_a_push_become_what_they_are(server):
    body = payloads.pull_request(mergeable=True, labels=("ready",), at="2026-06-01T10:00:01Z")
    (pull,) = new_facts(server, server.github("pull_request", body, "pull-1").json())
    assert (pull["stream"], pull["number"], pull["labels"]) == (f"pull/{REPO}/2", 2, ["ready"])
    assert (pull["head_ref"], pull["mergeable"], pull["author"]) == ("work", True, "octocat")
    (review,) = new_facts(server, server.github("pull_request_review", payloads.review(), "review-1").json())
    assert (review["reviewer"], review["state"], review["sha"]) == ("hubot", "approved", payloads.SHA)
    dismissed = payloads.review(action="dismissed", state="dismissed")
    (taken,) = new_facts(server, server.github("pull_request_review", dismissed, "review-2").json())
    assert taken["state"] == "dismissed"
    (push,) = new_facts(server, server.github("push", payloads.push(), "push-1").json())
    assert (push["files"], push["commit_count"]) == (["a.py", "b.py", "c.py"], 1)


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ("ping", payloads.ping()),
        ("star", {**payloads.COMMON, "action": "created"}),
        ("check_run", payloads.check_run(action="rerequested")),
        ("issue_comment", payloads.comment(action="edited")),
        ("issue_comment", payloads.comment(on_pull=False)),
    ],
)
def test_what_carries_nothing_to_keep_is_acknowledged_and_noted(server, event, body):
    answer = server.github(event, body, f"nothing-{event}-{body.get('action')}-{'issue' in body}")
    assert answer.status_code == 200 and len(answer.json()["event_ids"]) == 1
    assert Ledger.open(server.folder).event(answer.json()["event_ids"][0]).body()["understood"] is False


def decided_on(server, comment_id):
    """The decisions on a comment that the ledger has so far."""
    return [e.body() for e in events_of(server, "CommandDecided") if e.body()["comment_id"] == comment_id]


def test_a_comment_is_decided_and_answered_against_the_head_that_is_known(server):
    server.github("pull_request", payloads.pull_request(number=31), "pull-31")
    body = payloads.comment(body="hello\n/test ssim\n/test nope", number=31, comment_id=3100)
    assert server.github("issue_comment", body, "comment-31").status_code == 200
    decided = until(lambda: decided_on(server, 3100))
    assert [(d["item"], d["known"], d["test_type"], d["sha"], d["ref"]) for d in decided] == [
        (1, True, "ssim", payloads.SHA, "work"),
        (2, False, None, None, None),
    ]
    assert all(d["answer"] for d in decided) and decided[0]["policy"]


def test_a_build_and_its_jobs_become_reports_of_the_contexts_github_shows(server):
    (job,) = new_facts(server, server.buildkite(payloads.buildkite_job()).json())
    assert (job["context"], job["state"]) == ("buildkite/ci/microscope-vae-tests", "success")
    assert (job["reported_at"], job["remote_id"]) == ("2026-06-01T10:08:00.000000Z", 27)
    failed = payloads.buildkite_job(state="timed_out", label=":bar_chart: SSIM Tests")
    (job,) = new_facts(server, server.buildkite(failed).json())
    assert (job["context"], job["state"]) == ("buildkite/ci/bar-chart-ssim-tests", "failure")
    (build,) = new_facts(server, server.buildkite(payloads.buildkite_build(state="canceled")).json())
    assert (build["context"], build["state"]) == ("buildkite/ci", "cancelled")
    assert new_facts(server, server.buildkite(payloads.buildkite_ping()).json()) == []
    assert new_facts(server, server.buildkite(payloads.buildkite_job(kind="waiter")).json()) == []


def test_a_repeated_delivery_is_one_and_a_replayed_body_says_nothing_twice(server):
    body = payloads.status(number=12, context="once")
    first, again = (server.github("status", body, "twice-1").json() for _ in range(2))
    assert (first["status"], again["status"]) == ("recorded", "duplicate")
    assert first["event_ids"] == again["event_ids"]
    replayed = server.github("status", body, "twice-2").json()
    assert replayed["status"] == "replayed" and replayed["event_ids"][1] == first["event_ids"][1]
    assert sum(e.body()["context"] == "once" for e in events_of(server, "CheckReported")) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"secret": b"wrong"}, 401),
        ({"X-Hub-Signature-256": "-"}, 401),
        ({"X-Hub-Signature-256": "sha256="}, 401),
        ({"X-Hub-Signature-256": "sha1=abc"}, 401),
        ({"X-Hub-Signature-256": "sha256=" + "0" * 64}, 401),
        ({"X-GitHub-Event": "-"}, 400),
        ({"X-GitHub-Delivery": "-"}, 400),
        ({"X-GitHub-Delivery": "x" * 201}, 400),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "-"}, 415),
    ],
)
def test_what_is_not_signed_or_named_as_it_should_is_refused_and_leaves_no_trace(server, change, code):
    before = len(events_of(server))
    answer = server.github("status", payloads.status(number=13), **{"delivery": "refused", **change})
    assert answer.status_code == code and answer.json()["code"] and answer.json()["message"]
    assert len(events_of(server)) == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'"x"',
        b"{}",
        b'{"id": 1}',
        b"[" * 50_000,
        b'{"a":' * 50_000,
        json.dumps({**payloads.status(), "sha": "zz"}).encode(),
        json.dumps({**payloads.status(), "id": "six"}).encode(),
        json.dumps({**payloads.status(), "repository": {}}).encode(),
        b'{"sha": "\\ud800"}',
        json.dumps({**payloads.status(), "context": None}).encode(),
    ],
)
def test_malformed_bodies_with_a_right_signature_are_422_without_a_trace(server, body):
    before = len(events_of(server))
    answer = server.github("status", body, "malformed")
    assert answer.status_code == 422 and answer.json()["code"] == "bad_payload"
    assert len(events_of(server)) == before


def test_strange_but_well_formed_values_are_kept_as_text_or_as_nothing(server):
    body = payloads.status(number=10**30, context="é\u202e\u0000" + "x" * 400, at="the day after")
    answer = server.github("status", body, "strange")
    (fact,) = new_facts(server, answer.json())
    assert fact["reported_at"] is None and fact["remote_id"] == 0 and len(fact["context"]) == 255


def test_a_huge_body_is_refused_before_it_is_read(server):
    assert server.github("status", b"x" * (256 * 1024 + 1), "huge").status_code == 413
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(
            b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 99999999999\r\n\r\n"
        )
        assert raw.recv(4096).startswith(b"HTTP/1.1 413")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(
            b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 5
        )
        assert raw.recv(4096).startswith(b"HTTP/1.1 413")
    assert httpx2.get(f"{server.url}/healthz").status_code == 200


def test_an_old_or_wrongly_signed_delivery_of_buildkite_is_refused(server):
    body = payloads.buildkite_build()
    assert server.buildkite(body, at=time.time() - 600).status_code == 401
    assert server.buildkite(body, at=time.time() + 600).status_code == 401
    assert server.buildkite(body, secret=b"wrong").status_code == 401
    for signature in ("-", "timestamp=,signature=", "timestamp=1e9,signature=0", "signature=00", "x" * 150):
        assert server.buildkite(body, **{"X-Buildkite-Signature": signature}).status_code == 401
    assert server.buildkite(body, **{"X-Buildkite-Event": "-"}).status_code == 400


def test_health_metrics_and_unknown_paths(server):
    health = httpx2.get(f"{server.url}/healthz").json()
    assert (health["status"], health["origin"], health["trouble"]) == ("ok", "served", None)
    assert health["position"] == Ledger.open(server.folder).head().position
    before = server.recorded_total()
    assert server.github("status", payloads.status(number=17), "counted").status_code == 200
    assert server.recorded_total() > before
    assert httpx2.get(f"{server.url}/nothing").status_code == 404
    assert httpx2.get(f"{server.url}/webhooks/github").status_code == 405


def test_several_secrets_are_valid_while_one_is_replaced(tmp_path):
    Ledger.create(tmp_path / ".perfledger", actor="tester")
    running = Server(
        tmp_path / ".perfledger", env={"PERFLEDGER_GITHUB_SECRET": "old new", "PERFLEDGER_BUILDKITE_SECRET": ""}
    )
    try:
        for secret, code in ((b"old", 200), (b"new", 200), (b"no", 401)):
            assert running.github("ping", payloads.ping(), secret.decode(), secret=secret).status_code == code
        assert running.buildkite(payloads.buildkite_ping()).status_code == 503  # none configured: not lost silently
    finally:
        running.stop()


def test_a_slash_command_gets_its_rocket_and_reply_and_once_over_a_restart(tmp_path):
    github = FakeGitHub()
    folder = tmp_path / ".perfledger"
    Ledger.create(folder, actor="tester")
    token = {"GITHUB_TOKEN": "ghp_test", "GITHUB_API_URL": github.url}
    running = Server(folder, "--answers", env=token)
    try:
        running.github("issue_comment", payloads.comment(body="/test nope\n/merge", comment_id=51), "c-51")
        until(lambda: len(github.comments.get("2", [])) >= 2)
        running.kill()
        running = Server(folder, "--answers", env=token)
        running.github("issue_comment", payloads.comment(body="/test vae", comment_id=52), "c-52")
        until(lambda: len(github.comments.get("2", [])) >= 3)
    finally:
        running.stop()
        github.close()
    said = [row["body"].splitlines()[0] for row in github.comments["2"]]
    assert [line.split("`")[1] for line in said] == ["nope", "/merge", "/test vae"]
    assert [row["content"] for row in github.reactions["51"]] == ["confused", "rocket"]


def test_a_taken_port_is_one_sentence_with_exit_4(cli, ledger, server):
    port = server.url.rsplit(":", 1)[1]
    assert cli("serve", "--port", port, "--json", code=4).json["error"]["code"] == "cannot_listen"
    assert cli("serve", "--max-body", "big", "--json", code=2).json["error"]["code"] == "usage"


# ---------------------------------------------------------------- the burst


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


def test_2000_webhooks_from_8_connections_through_two_kills_are_each_there_once(tmp_path):
    burst(tmp_path / ".perfledger", distinct_count=1_600, repeated_count=400, kills_at=(500, 1_200))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
def test_ten_kills_in_a_long_burst(tmp_path, seed):
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
    from projections.state.state import State

    with State.open(Ledger.open(folder)) as state:
        rows = state.rows("SELECT sha, context, state FROM checks")
    assert {(row["sha"], row["context"]): row["state"] for row in rows} == {k: v[2] for k, v in newest.items()}


def test_a_full_disk_is_503_and_only_what_was_acknowledged_is_there(tmp_path):
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


def test_a_comment_whose_decision_a_kill_cut_off_is_decided_at_the_next_start(tmp_path):
    """The comment is in the log without a decision, as a kill between the two leaves it."""
    import subprocess

    folder = tmp_path / ".perfledger"
    book = Ledger.create(folder, actor="tester")
    from ledger.event import NewEvent
    from ledger.events.checks import CommentReceived

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
