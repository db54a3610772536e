"""Webhooks over real HTTP into a real ledger: what is acknowledged is in the log, once, whatever happens."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ledger.event import Event
from ledger.ledger import Ledger
from tests.commands.ci.github_server import FakeGitHub
from tests.conftest import Result
from tests.e2e import webhook_payloads as payloads
from tests.e2e.webhook_server import SECRET, Server
from tests.waiting import until

REPO = "octocat/Hello-World"


class Served(Server):
    """A server that knows the folder of its ledger."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder, *options)
        self.folder = folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all tests that do not kill it; at the end it has shown no traceback."""
    folder = tmp_path_factory.mktemp("served") / ".perfledger"
    Ledger.create(folder, origin="served", actor="tester")
    running = Served(folder, "--max-body", "256KiB")
    yield running
    said = running.stop()
    assert "Traceback" not in said, said


def events_of(server: Served, *types: str) -> list[Event]:
    return list(Ledger.open(server.folder).read(types=types))


def new_facts(server: Served, receipt: dict[str, Any]) -> list[dict[str, Any]]:
    book = Ledger.open(server.folder)
    return [
        {"type": event.type, "stream": event.stream, **event.body()}
        for event in (book.event(one) for one in receipt["event_ids"][1:])
    ]


def test_a_status_becomes_a_report_of_its_commit(server: Served) -> None:
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
def test_a_check_run_becomes_a_report_and_no_unknown_word_is_a_success(
    server: Served, action: str, conclusion: str | None, state: str
) -> None:
    body = payloads.check_run(action=action, conclusion=conclusion, name=f"run {action} {conclusion}")
    (fact,) = new_facts(server, server.github("check_run", body, f"run-{action}-{conclusion}").json())
    assert (fact["context"], fact["state"]) == (f"run {action} {conclusion}", state)


def test_a_pull_request_a_review_and_a_push_become_what_they_are(server: Served) -> None:
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
def test_what_carries_nothing_to_keep_is_acknowledged_and_noted(
    server: Served, event: str, body: dict[str, Any]
) -> None:
    answer = server.github(event, body, f"nothing-{event}-{body.get('action')}-{'issue' in body}")
    assert answer.status_code == 200 and len(answer.json()["event_ids"]) == 1
    assert Ledger.open(server.folder).event(answer.json()["event_ids"][0]).body()["understood"] is False


def decided_on(server: Served, comment_id: int) -> list[dict[str, Any]]:
    """The decisions on a comment that the ledger has so far."""
    return [e.body() for e in events_of(server, "CommandDecided") if e.body()["comment_id"] == comment_id]


def test_a_comment_is_decided_and_answered_against_the_head_that_is_known(server: Served) -> None:
    server.github("pull_request", payloads.pull_request(number=31), "pull-31")
    body = payloads.comment(body="hello\n/test ssim\n/test nope", number=31, comment_id=3100)
    assert server.github("issue_comment", body, "comment-31").status_code == 200
    decided = until(lambda: decided_on(server, 3100))
    assert [(d["item"], d["known"], d["test_type"], d["sha"], d["ref"]) for d in decided] == [
        (1, True, "ssim", payloads.SHA, "work"),
        (2, False, None, None, None),
    ]
    assert all(d["answer"] for d in decided) and decided[0]["policy"]


def test_a_build_and_its_jobs_become_reports_of_the_contexts_github_shows(server: Served) -> None:
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


def test_a_repeated_delivery_is_one_and_a_replayed_body_says_nothing_twice(server: Served) -> None:
    body = payloads.status(number=12, context="once")
    first, again = (server.github("status", body, "twice-1").json() for _ in range(2))
    assert (first["status"], again["status"]) == ("recorded", "duplicate")
    assert first["event_ids"] == again["event_ids"]
    replayed = server.github("status", body, "twice-2").json()
    assert replayed["status"] == "replayed" and replayed["event_ids"][1] == first["event_ids"][1]
    assert sum(e.body()["context"] == "once" for e in events_of(server, "CheckReported")) == 1


@pytest.mark.parametrize(
    ("secret", "headers", "code"),
    [
        (b"wrong", {}, 401),
        (SECRET, {"X-Hub-Signature-256": "-"}, 401),
        (SECRET, {"X-Hub-Signature-256": "sha256="}, 401),
        (SECRET, {"X-Hub-Signature-256": "sha1=abc"}, 401),
        (SECRET, {"X-Hub-Signature-256": "sha256=" + "0" * 64}, 401),
        (SECRET, {"X-GitHub-Event": "-"}, 400),
        (SECRET, {"X-GitHub-Delivery": "-"}, 400),
        (SECRET, {"X-GitHub-Delivery": "x" * 201}, 400),
        (SECRET, {"Content-Type": "text/plain"}, 415),
        (SECRET, {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (SECRET, {"Content-Type": "-"}, 415),
    ],
)
def test_what_is_not_signed_or_named_as_it_should_is_refused_and_leaves_no_trace(
    server: Served, secret: bytes, headers: dict[str, str], code: int
) -> None:
    before = len(events_of(server))
    answer = server.github("status", payloads.status(number=13), "refused", secret=secret, headers=headers)
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
def test_malformed_bodies_with_a_right_signature_are_422_without_a_trace(server: Served, body: bytes) -> None:
    before = len(events_of(server))
    answer = server.github("status", body, "malformed")
    assert answer.status_code == 422 and answer.json()["code"] == "bad_payload"
    assert len(events_of(server)) == before


def test_strange_but_well_formed_values_are_kept_as_text_or_as_nothing(server: Served) -> None:
    body = payloads.status(number=10**30, context="é\u202e\u0000" + "x" * 400, at="the day after")
    answer = server.github("status", body, "strange")
    (fact,) = new_facts(server, answer.json())
    assert fact["reported_at"] is None and fact["remote_id"] == 0 and len(fact["context"]) == 255


def test_a_huge_body_is_refused_before_it_is_read(server: Served) -> None:
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
            b"X-Hub-Signature-256: sha256=" + b"0" * 64 + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 5
        )
        assert raw.recv(4096).startswith(b"HTTP/1.1 413")
    assert httpx2.get(f"{server.url}/healthz").status_code == 200


def test_an_old_or_wrongly_signed_delivery_of_buildkite_is_refused(server: Served) -> None:
    body = payloads.buildkite_build()
    assert server.buildkite(body, at=time.time() - 600).status_code == 401
    assert server.buildkite(body, at=time.time() + 600).status_code == 401
    assert server.buildkite(body, secret=b"wrong").status_code == 401
    for signature in ("-", "timestamp=,signature=", "timestamp=1e9,signature=0", "signature=00", "x" * 150):
        assert server.buildkite(body, headers={"X-Buildkite-Signature": signature}).status_code == 401
    assert server.buildkite(body, headers={"X-Buildkite-Event": "-"}).status_code == 400


def test_health_metrics_and_unknown_paths(server: Served) -> None:
    health = httpx2.get(f"{server.url}/healthz").json()
    assert (health["status"], health["origin"], health["trouble"]) == ("ok", "served", None)
    assert health["position"] == Ledger.open(server.folder).head().position
    before = server.recorded_total()
    assert server.github("status", payloads.status(number=17), "counted").status_code == 200
    assert server.recorded_total() > before
    assert httpx2.get(f"{server.url}/nothing").status_code == 404
    assert httpx2.get(f"{server.url}/webhooks/github").status_code == 405


def test_several_secrets_are_valid_while_one_is_replaced(tmp_path: Path) -> None:
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


def test_a_slash_command_gets_its_rocket_and_reply_and_once_over_a_restart(tmp_path: Path) -> None:
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


def test_a_taken_port_is_one_sentence_with_exit_4(cli: Callable[..., Result], ledger: Ledger, server: Served) -> None:
    port = server.url.rsplit(":", 1)[1]
    assert cli("serve", "--port", port, "--json", code=4).json["error"]["code"] == "cannot_listen"
    assert cli("serve", "--max-body", "big", "--json", code=2).json["error"]["code"] == "usage"
