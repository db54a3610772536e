"""`perfledger sync` as people and CI run it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.sync.conftest import URL
from tests.commands.sync.records import write_raw
from tests.conftest import Result
from tests.hub_server import WRITE_TOKEN, Fault, HubServer

At = Callable[..., Result]
FOREVER = 10**6


def test_two_machines_share_results_through_a_dataset(at: At, tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "results")
    at("alpha", "record", raw, code=0)
    pushed = at("alpha", "sync", "push", "--remote", URL, code=0)
    assert "pushed to" in pushed.out
    pulled = at("beta", "sync", "pull", "--remote", URL, "--json", code=0).json["pull"]
    assert [row["origin"] for row in pulled["origins"]] == ["alpha"] and pulled["evidence"] == 1
    rows = at("beta", "sql", "SELECT count(*) AS n FROM results", "--json", code=0).json
    assert rows == [{"n": 1}]
    at("beta", "verify", "--remote", code=0)
    again = at("beta", "sync", "pull", code=0)
    assert "nothing new" in again.out


def test_status_needs_no_network_and_tells_what_waits(at: At, hub: HubServer, tmp_path: Path) -> None:
    assert "none yet" in at("alpha", "sync", "status", code=0).out
    at("alpha", "record", write_raw(tmp_path / "results"), code=0)
    before = len(hub.requests)
    status = at("alpha", "sync", "status", "--remote", URL, "--json", code=0).json
    assert status["waiting"]["events"] == 2 and status["pushed_through"] == 0
    assert len(hub.requests) == before
    at("alpha", "sync", "push", "--remote", URL, code=0)
    hub.faults.append(Fault("*", "drop", times=FOREVER))
    status = at("alpha", "sync", "status", "--json", code=0).json
    assert status["remote"] == URL and status["waiting"]["events"] == 0 and not status["push_unfinished"]


def test_dry_run_sends_nothing(at: At, hub: HubServer) -> None:
    done = at("alpha", "sync", "push", "--remote", URL, "--dry-run", "--json", code=0).json
    assert done["would_send"]["events"] == 1 and hub.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "hf://datasets/x",
        "hf://models/org/perf",
        "s3://",
        "s3://key:secret@bucket/x",
        "s3://key:secret@[",
        "file://host/x",
        "file:relative",
        "file:///mnt/a#b",
        "ftp://host/x",
        "perf-ledger",
    ],
)
def test_a_malformed_remote_is_refused_at_once_by_every_command(at: At, hub: HubServer, url: str) -> None:
    before = at("alpha", "events", "list", code=0).out
    for asked in (("push",), ("push", "--dry-run"), ("push", "--create"), ("pull",), ("status",)):
        error = at("alpha", "sync", *asked, "--remote", url, "--json", code=2).json["error"]
        assert error["code"] == "bad_remote_url" and "secret" not in error["message"]
    error = at("alpha", "sync", "status", "--json", env={"PERFLEDGER_REMOTE": url}, code=2).json["error"]
    assert error["code"] == "bad_remote_url"
    assert at("alpha", "events", "list", code=0).out == before
    assert hub.requests == []


def test_status_knows_a_remote_however_its_url_is_written(at: At) -> None:
    at("alpha", "sync", "push", "--remote", URL, code=0)
    status = at("alpha", "sync", "status", "--remote", URL + "/", "--json", code=0).json
    assert (status["remote"], status["waiting"]["events"]) == (URL, 0)


def test_exit_codes_are_those_of_the_contract(at: At, hub: HubServer, tmp_path: Path) -> None:
    assert at("alpha", "sync", "push").code == 2
    assert at("alpha", "sync", "push", "--remote", "hf://datasets/org/missing").code == 2
    assert at("alpha", "sync", "push", "--remote", URL, token="hf_wrong").code == 4
    at("alpha", "sync", "push", "--remote", URL, code=0)
    shutil.copytree(tmp_path / "alpha", tmp_path / "copy")
    for machine in ("alpha", "copy"):
        at(machine, "record", write_raw(tmp_path / machine / "results"), code=0)
    at("alpha", "sync", "push", code=0)
    forked = at("copy", "sync", "push", "--json", code=3).json["error"]
    assert forked["code"] == "forked_origin" and "init" in forked["hint"]
    repo = hub.repos["org/perf"]
    last = max(path for path in repo.files() if path.startswith("ledger/log/alpha/0"))
    repo.commit("cut off", {}, delete=(last,))
    assert at("beta", "sync", "pull", "--remote", URL).code == 7


def test_an_outcome_nobody_knows_is_exit_6(at: At, hub: HubServer) -> None:
    hub.faults += [Fault("POST */commit/*", "drop_after"), Fault("*", "drop", skip=6, times=FOREVER)]
    done = at("alpha", "sync", "push", "--remote", URL, "--json", code=6, env={"PERFLEDGER_REMOTE_WAIT": "1"}).json[
        "error"
    ]
    assert done["code"] == "upload_unknown" and "sync push" in done["hint"]
    hub.faults.clear()
    at("alpha", "sync", "push", "--remote", URL, code=0)
    assert [c.title for c in hub.repos["org/perf"].commits[1:]] == ["alpha: to position 2"]


def test_create_makes_the_dataset(at: At, hub: HubServer) -> None:
    at("alpha", "sync", "push", "--remote", "hf://datasets/org/fresh/ledger", "--create", code=0)
    assert hub.repos["org/fresh"].private


def test_the_token_is_nowhere_in_the_ledger_folder_or_the_output(at: At, tmp_path: Path) -> None:
    done = [
        at("alpha", "sync", "push", "--remote", URL, code=0),
        at("alpha", "sync", "status", "--json", code=0),
        at("alpha", "events", "list", "--json", code=0),
    ]
    assert all(WRITE_TOKEN not in result.out + result.err for result in done)
    files = [path for path in (tmp_path / "alpha").rglob("*") if path.is_file()]
    assert any(path.name.endswith(".parquet") for path in files), "what was pushed is there"
    assert [path for path in files if WRITE_TOKEN.encode() in path.read_bytes()] == []


def test_the_help_of_the_group_starts_without_the_client_library(at: At) -> None:
    assert "push" in at("alpha", "sync", "--help", code=0).out
