"""A remote is where it was reached: the Hub's address is remembered, and a token goes to the Hub it is for.

Two real Hubs with a dataset of the same name stand for "the team's" and "somebody else's".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands.sync.records import write_raw
from tests.conftest import Result
from tests.hub_server import READ_TOKEN, WRITE_TOKEN, HubServer

URL = "hf://datasets/org/perf/ledger"
On = Callable[..., Result]


@pytest.fixture
def hubs() -> Iterator[tuple[HubServer, HubServer]]:
    """Two Hubs, each with the dataset org/perf and the same tokens."""
    with HubServer() as ours, HubServer() as theirs:
        for hub in (ours, theirs):
            hub.create("org/perf")
        yield ours, theirs


@pytest.fixture
def on(cli: Callable[..., Result], tmp_path: Path) -> On:
    """Run a command on a machine, with HF_ENDPOINT of a Hub, or without."""

    def run(machine: str, *args: Any, at: HubServer | None = None, token: str | None = WRITE_TOKEN, **o: Any) -> Result:
        folder = tmp_path / machine
        variables = {"HF_HUB_DISABLE_XET": "1", "PERFLEDGER_REMOTE_WAIT": "0"}
        variables |= {"HF_ENDPOINT": at.endpoint} if at else {}
        variables |= {"HF_TOKEN": token} if token else {}
        if not folder.exists():
            folder.mkdir()
            cli("init", "--origin", machine, cwd=folder, code=0)
        return cli(*args, cwd=folder, env=variables, **o)

    return run


def record(on: On, tmp_path: Path, number: int) -> None:
    on("alpha", "record", write_raw(tmp_path / f"r{number}", number=number), code=0)


def test_a_push_and_a_pull_go_where_the_remote_was_reached_before(
    on: On, hubs: tuple[HubServer, HubServer], tmp_path: Path
) -> None:
    ours, _ = hubs
    record(on, tmp_path, 1)
    on("alpha", "sync", "push", "--remote", URL, at=ours, code=0)
    on("beta", "sync", "pull", "--remote", URL, at=ours, code=0)
    record(on, tmp_path, 2)
    assert f"{URL} at {ours.endpoint}" in on("alpha", "sync", "status", code=0).out
    on("alpha", "sync", "push", code=0)
    assert len(ours.repos["org/perf"].commits) == 3
    pulled = on("beta", "sync", "pull", "--json", code=0).json["pull"]
    assert [row["origin"] for row in pulled["origins"]] == ["alpha"]
    on("beta", "verify", "--remote", code=0)


def test_another_hub_in_the_environment_is_refused_before_anything_is_sent(
    on: On, hubs: tuple[HubServer, HubServer], tmp_path: Path
) -> None:
    ours, theirs = hubs
    record(on, tmp_path, 1)
    on("alpha", "sync", "push", "--remote", URL, at=ours, code=0)
    record(on, tmp_path, 2)
    log = on("alpha", "events", "list", code=0).out
    for command in (("push",), ("push", "--remote", URL), ("pull",)):
        error = on("alpha", "sync", *command, "--json", at=theirs, code=2).json["error"]
        assert error["code"] == "remote_elsewhere" and ours.endpoint in error["message"]
        assert "unset HF_ENDPOINT" in error["hint"] and f"--endpoint {theirs.endpoint}" in error["hint"]
    assert theirs.requests == [] and on("alpha", "events", "list", code=0).out == log


def test_a_remote_moves_when_its_new_address_is_named(
    on: On, hubs: tuple[HubServer, HubServer], tmp_path: Path
) -> None:
    ours, theirs = hubs
    record(on, tmp_path, 1)
    on("alpha", "sync", "push", "--remote", URL, at=ours, code=0)
    on("alpha", "sync", "push", "--endpoint", theirs.endpoint, code=0)
    assert set(theirs.repos["org/perf"].files()) >= set(ours.repos["org/perf"].files())
    record(on, tmp_path, 2)
    before = len(ours.requests)
    on("alpha", "sync", "push", code=0)
    assert len(ours.requests) == before and len(theirs.repos["org/perf"].commits) == 3
    assert on("alpha", "sync", "push", "--endpoint", "nonsense", code=2).err.startswith("perfledger: --endpoint")
    folder = (tmp_path / "share").as_uri()
    error = on("alpha", "sync", "push", "--remote", folder, "--endpoint", ours.endpoint, "--json", code=2).json
    assert error["error"]["code"] == "no_hub_remote"


def test_a_token_that_was_not_used_at_the_remembered_hub_is_not_sent_there(
    on: On, hubs: tuple[HubServer, HubServer], tmp_path: Path
) -> None:
    """A ledger from elsewhere may remember any host: what it says must not be enough to be sent the caller's token."""
    ours, _ = hubs
    record(on, tmp_path, 1)
    on("alpha", "sync", "push", "--remote", URL, at=ours, code=0)
    record(on, tmp_path, 2)
    before = len(ours.requests)
    error = on("alpha", "sync", "push", "--json", token="hf_of_the_public_hub", code=4).json["error"]
    assert error["code"] == "hub_token_of_another" and f"HF_ENDPOINT={ours.endpoint}" in error["hint"]
    assert len(ours.requests) > before and set(ours.tokens_seen[before:]) == {""}
    on("alpha", "sync", "push", token=READ_TOKEN, at=ours, code=4)
    assert ours.tokens_seen[-1] == READ_TOKEN, "the environment names the Hub and the token together"
    on("alpha", "sync", "push", code=0)


def test_no_event_holds_the_token_and_its_tag_differs_from_hub_to_hub(
    on: On, hubs: tuple[HubServer, HubServer], tmp_path: Path
) -> None:
    ours, theirs = hubs
    on("alpha", "sync", "push", "--remote", URL, at=ours, code=0)
    on("alpha", "sync", "push", "--endpoint", theirs.endpoint, code=0)
    log = on("alpha", "events", "list", "--type", "PushFinished", "--json", code=0).out
    payloads = [json.loads(line)["payload"] for line in log.splitlines()]
    assert [p["endpoint"] for p in payloads] == [ours.endpoint, theirs.endpoint]
    assert len({p["token_tag"] for p in payloads}) == 2 and WRITE_TOKEN not in log


def test_a_queued_upload_goes_to_the_hub_it_was_queued_for(
    on: On, hubs: tuple[HubServer, HubServer], tmp_path: Path
) -> None:
    ours, theirs = hubs
    raw = write_raw(tmp_path / "raw")
    ours.port, alive = 9, ours.port  # nobody listens there
    on("alpha", "check", raw, "--upload", "always", at=ours)
    assert on("alpha", "sync", "status", "--json", code=0).json["uploads"] != []
    assert "127.0.0.1:9 so far" in on("alpha", "sync", "push", at=theirs, code=2).err
    assert on("alpha", "sync", "push", "--json", code=4).json["error"]["code"] == "remote_unavailable"
    ours.port = alive
    ours.create("FastVideo/performance-tracking")
    on("alpha", "sync", "push", "--endpoint", ours.endpoint, code=0)
    assert len(ours.repos["FastVideo/performance-tracking"].files()) == 1 and theirs.requests == []


def test_an_imported_history_is_brought_up_to_date_from_where_it_came(
    on: On, hubs: tuple[HubServer, HubServer], tmp_path: Path
) -> None:
    ours, theirs = hubs
    for hub in (ours, theirs):
        data = write_raw(tmp_path / f"h{hub.port}", latency=20.0 + (hub is theirs)).read_bytes()
        hub.create("team/history", files={"m/one.json": data})
    source = "hf://datasets/team/history"
    on("alpha", "import", "hf-tracking", source, at=ours)
    before = len(ours.requests)
    on("alpha", "sync", "pull", token=None)
    assert len(ours.requests) > before and theirs.requests == []
    assert on("alpha", "sync", "pull", "--json", at=theirs, code=2).json["error"]["code"] == "remote_elsewhere"


def test_a_listing_that_goes_on_at_another_server_is_refused_and_that_server_is_not_asked(
    on: On, hubs: tuple[HubServer, HubServer], tmp_path: Path
) -> None:
    ours, theirs = hubs
    record(on, tmp_path, 1)
    on("alpha", "sync", "push", "--remote", URL, at=ours, code=0)
    ours.page_size, ours.pages_at = 1, theirs.endpoint
    told = on("beta", "sync", "pull", "--remote", URL, "--json", at=ours, code=4).json["error"]
    assert told["code"] == "hub_page_elsewhere" and "another server" in told["message"]
    assert theirs.requests == [] and WRITE_TOKEN in ours.tokens_seen
    assert WRITE_TOKEN not in json.dumps(told)


def test_events_of_versions_that_kept_no_address_are_read_as_before(
    on: On, hubs: tuple[HubServer, HubServer], tmp_path: Path
) -> None:
    from ledger.event import NewEvent
    from ledger.events.uploads import PushFinished
    from ledger.ledger import Ledger
    from ledger.sync import outbox

    ours, _ = hubs
    on("alpha", "events", "list", code=0)
    ledger = Ledger.open(tmp_path / "alpha")
    note = PushFinished(remote=URL, through=1, head_hash="0" * 64, revision=None, segments=0, evidence=0)
    ledger.append([NewEvent(stream=outbox.stream_of(URL), payload=note)])
    assert outbox.default_remote(ledger) == URL and outbox.last_address(ledger, URL) is None
    on("alpha", "sync", "push", at=ours, code=0)
    found = outbox.last_address(Ledger.open(tmp_path / "alpha"), URL)
    assert found is not None and found.endpoint == ours.endpoint
