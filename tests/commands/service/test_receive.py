"""`ci receive`: what a stored payload says is recorded as if the webhook had come, once, or refused in a sentence."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger
from tests.e2e import webhook_payloads as payloads
from tests.e2e.webhook_server import Server

Cli = Callable[..., Any]
DELIVERIES = [
    ("status", payloads.status()),
    ("check_run", payloads.check_run()),
    ("pull_request", payloads.pull_request()),
    ("ping", {"zen": "Keep it logically awesome."}),
]


def facts(ledger: Ledger) -> list[tuple[str, str, dict[str, Any]]]:
    """What the log says but for how it came in."""
    own = ("LedgerCreated", "WebhookReceived")
    return [(event.stream, event.type, event.body()) for event in ledger.read() if event.type not in own]


def test_a_file_and_a_webhook_of_the_same_body_record_the_same_facts(
    in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    other = Ledger.create(tmp_path / "served", origin="served", actor="t@example.org")
    server = Server(other.path)
    try:
        for number, (event, document) in enumerate(DELIVERIES):
            body = json.dumps(document).encode()
            (tmp_path / "event.json").write_bytes(body)
            in_process("ci", "receive", "event.json", "--event", event, "--delivery", f"d-{number}", code=0)
            assert server.github(event, body, f"d-{number}").status_code == 200
    finally:
        server.stop()
    assert facts(ledger) == facts(other) != []
    heard = [[e.body() for e in each.read(types=["WebhookReceived"])] for each in (ledger, other)]
    assert heard[0] == heard[1]


@pytest.mark.parametrize(("event", "document"), DELIVERIES, ids=[event for event, _ in DELIVERIES])
def test_a_payload_that_is_handed_in_again_is_known_and_changes_nothing(
    in_process: Cli, ledger: Ledger, tmp_path: Path, event: str, document: dict[str, Any]
) -> None:
    (tmp_path / "event.json").write_text(json.dumps(document))
    first = in_process("ci", "receive", "event.json", "--event", event, "--json", code=0).json
    position = ledger.head().position
    again = in_process("ci", "receive", "event.json", "--event", event, "--json", code=0).json
    assert (first["duplicate"], again["duplicate"]) == (False, True)
    assert first["event_ids"] == again["event_ids"] and ledger.head().position == position
    assert first["understood"] is (event != "ping")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--event", ""),
        ("--event", "x" * 201),
        ("--event", "é"),
        ("--event", "a\x1b[2J"),
        ("--event", "\udcff"),
        ("--delivery", ""),
        ("--delivery", "x" * 201),
        ("--delivery", "a\nb"),
        ("--delivery", "ü"),
    ],
)
def test_a_name_that_the_server_would_refuse_is_refused_here_too(
    in_process: Cli, ledger: Ledger, tmp_path: Path, option: str, value: str
) -> None:
    (tmp_path / "event.json").write_text("{}")
    words = {"--event": "ping", option: value}
    given = [word for pair in words.items() for word in pair]
    error = in_process("ci", "receive", "event.json", *given, "--json", code=2).json["error"]
    assert error["code"] == "bad_name" and option in error["message"]
    assert ledger.head().position == 1


@pytest.mark.parametrize(
    ("name", "code"), [("missing.json", "file_not_found"), (".", "file_not_found"), ("x/y", "file_not_found")]
)
def test_a_file_that_cannot_be_read_is_a_sentence_with_its_name(
    in_process: Cli, ledger: Ledger, name: str, code: str
) -> None:
    error = in_process("ci", "receive", name, "--event", "status", "--json", code=2).json["error"]
    assert error["code"] == code and name in error["message"]
    assert ledger.head().position == 1


@pytest.mark.parametrize("source", ["github", "buildkite"])
@pytest.mark.parametrize("seed", range(12))
def test_whatever_a_file_holds_it_is_recorded_whole_or_refused_whole(
    in_process: Cli, ledger: Ledger, tmp_path: Path, seed: int, source: str
) -> None:
    chance = random.Random(f"receive/{source}/{seed}")
    event, document = chance.choice(DELIVERIES[:3])
    if source == "buildkite":
        event = "build.finished"
        document = {
            "event": event,
            "build": {"number": 1, "state": "passed", "commit": "a" * 40},
            "pipeline": {"slug": "p"},
        }
    bent = json.loads(json.dumps(document))
    for _ in range(chance.randrange(1, 4)):
        place = bent
        while isinstance(inner := place.get(chance.choice(list(place) or ["x"])), dict) and chance.random() < 0.7:
            place = inner
        if place:
            place[chance.choice(list(place))] = chance.choice([None, [], {}, "", 10**25, -1, True, "é\u0000", 1.5])
    body = json.dumps(bent).encode()
    if chance.random() < 0.3:
        body = body[: chance.randrange(len(body))]
    (tmp_path / "event.json").write_bytes(body)
    before = ledger.head().position
    done = in_process("ci", "receive", "event.json", "--event", event, "--source", source, "--json")
    assert done.code in (0, 2), done.out
    if done.code == 2:
        assert ledger.head().position == before and done.json["error"]["hint"]
    else:
        ids = set(done.json["event_ids"])
        assert ids <= {e.event_id for e in ledger.read(after=before)} and len(ids) == 1 + len(facts(ledger))


def test_a_command_in_a_comment_is_decided_and_its_answer_told(in_process: Cli, ledger: Ledger, tmp_path: Path) -> None:
    comment = payloads.comment(body="/test vae\n/nothing\n/test nope")
    (tmp_path / "event.json").write_text(json.dumps(comment))
    told = in_process("ci", "receive", "event.json", "--event", "issue_comment", "--json", code=0).json["commands"]
    assert [(row["known"], row["test_type"]) for row in told] == [(True, "vae"), (False, None)]
    again = in_process("ci", "receive", "event.json", "--event", "issue_comment", "--json", code=0).json["commands"]
    assert again == told
