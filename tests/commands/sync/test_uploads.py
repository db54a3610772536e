"""`check --upload`: judged records reach the dataset other tools read, once, in one commit a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.ledger import Ledger
from tests.commands.sync.records import write_raw
from tests.conftest import Result
from tests.hub_server import READ_TOKEN, Fault, HubServer

At = Callable[..., Result]
FOREVER = 10**6
DATASET = {"HF_REPO_ID": "org/perf"}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three raw results of one run."""
    for number in range(3):
        write_raw(tmp_path / "results", number=number, latency=20.0 + number / 100)
    return tmp_path / "results"


def uploads(ledger: Ledger) -> list[str]:
    """The upload events of a ledger, in order."""
    wanted = ["UploadQueued", "UploadStarted", "RecordsUploaded", "UploadRefused"]
    return [event.type for event in ledger.read(types=wanted)]


def test_all_records_of_a_run_are_one_commit_in_the_existing_layout(at: At, hub: HubServer, results: Path) -> None:
    done = at("alpha", "check", results, "--upload", "always", "--json", env=DATASET, code=0)
    repo = hub.repos["org/perf"]
    assert [commit.title for commit in repo.commits[1:]] == ["Perf: wan-t2v-1.3b-2gpu at 0123456"]
    expected = {
        f"wan-t2v-1.3b-2gpu/2026-08-21T22_10_0{n}.000000_00_00_0123456789abcdef0123456789abcdef01234567.json"
        for n in range(3)
    }
    assert set(repo.files()) == expected
    judged = {record["normalized"]["timestamp"]: record["normalized"] for record in done.json["records"]}
    for data in repo.files().values():
        record = json.loads(data)
        assert record == judged[record["timestamp"]]
        assert record["success"] is True and record["comparison_status"] == "PASS"
    assert hub.count("POST */commit/*") == 1


def test_every_step_is_an_event_and_a_row(at: At, results: Path, tmp_path: Path, hub: HubServer) -> None:
    at("alpha", "check", results, "--upload", "always", env=DATASET, code=0)
    assert uploads(Ledger.open(tmp_path / "alpha")) == ["UploadQueued", "UploadStarted", "RecordsUploaded"]
    rows = at("alpha", "sql", "SELECT * FROM uploads", "--json", code=0).json
    assert len(rows) == 3
    for row in rows:
        assert (row["state"], row["dataset"]) == ("uploaded", "hf://datasets/org/perf")
        assert row["revision"] == hub.repos["org/perf"].head.oid
        assert at("alpha", "events", "show", row["result_event_id"], "--json", code=0).json["type"] == "ResultRecorded"


def test_checking_the_same_files_again_uploads_nothing_new(at: At, hub: HubServer, results: Path) -> None:
    at("alpha", "check", results, "--upload", "always", env=DATASET, code=0)
    before = dict(hub.repos["org/perf"].files())
    at("alpha", "check", results, "--upload", "always", env=DATASET)
    assert {path: data for path, data in hub.repos["org/perf"].files().items() if path in before} == before


def test_upload_pass_leaves_failed_records_out(at: At, hub: HubServer, results: Path) -> None:
    write_raw(results, number=9, latency=99.0)  # above its own fixed limit
    at("alpha", "check", results, "--upload", "pass", env=DATASET, code=1)
    assert len(hub.repos["org/perf"].files()) == 3
    assert not any("22_10_09" in path for path in hub.repos["org/perf"].files())


def test_upload_never_and_no_dataset_send_nothing(at: At, hub: HubServer, results: Path) -> None:
    at("alpha", "check", results, "--upload", "never", env=DATASET, code=0)
    done = at("alpha", "check", results, "--upload", "always", env={"HF_REPO_ID": ""}, code=0)
    assert "HF_REPO_ID is empty" in done.err and hub.requests == []
    done = at("alpha", "check", results, "--upload", "always", env={"HF_REPO_ID": "not a name"}, code=0)
    assert "HF_REPO_ID" in done.err and hub.requests == []


def test_a_hub_that_is_down_costs_a_warning_and_the_records_wait(
    at: At, hub: HubServer, results: Path, tmp_path: Path
) -> None:
    hub.faults.append(Fault("*", "drop", times=FOREVER))
    done = at("alpha", "check", results, "--upload", "always", env=DATASET, code=0)
    assert "3 record(s) waiting" in done.err and "sync status" in done.err
    status = at("alpha", "sync", "status", "--json", code=0).json
    assert len(status["uploads"]) == 1 and len(status["uploads"][0]["paths"]) == 3
    assert "3 record(s) wait for hf://datasets/org/perf" in at("alpha", "sync", "status", code=0).out
    hub.faults.clear()
    at("alpha", "sync", "push", code=0)
    assert len(hub.repos["org/perf"].files()) == 3 and len(hub.repos["org/perf"].commits) == 2
    assert at("alpha", "sync", "status", "--json", code=0).json["uploads"] == []


def test_the_verdict_keeps_its_exit_code_whatever_the_upload_does(at: At, hub: HubServer, results: Path) -> None:
    write_raw(results, number=9, latency=99.0)
    hub.faults.append(Fault("*", "drop", times=FOREVER))
    assert at("alpha", "check", results, "--upload", "always", env=DATASET).code == 1


def test_an_answer_that_was_lost_is_not_a_second_commit(at: At, hub: HubServer, results: Path) -> None:
    hub.faults.append(Fault("POST */commit/*", "drop_after"))
    at("alpha", "check", results, "--upload", "always", env=DATASET, code=0)
    assert len(hub.repos["org/perf"].commits) == 2 and hub.count("POST */commit/*") == 1


def test_a_record_that_exists_with_other_content_is_never_replaced(at: At, hub: HubServer, results: Path) -> None:
    path = "wan-t2v-1.3b-2gpu/2026-08-21T22_10_01.000000_00_00_0123456789abcdef0123456789abcdef01234567.json"
    hub.repos["org/perf"].commit("by another tool", {path: hub.blob(path, b'{"latency": 1}')})
    done = at("alpha", "check", results, "--upload", "always", env=DATASET, code=0)
    assert "exists in org/perf with other content" in done.err
    assert hub.repos["org/perf"].files() == {path: b'{"latency": 1}'}
    assert at("alpha", "sync", "status", "--json", code=0).json["uploads"] == [], "it cannot succeed by waiting"
    rows = at("alpha", "sql", "SELECT state, code FROM uploads", "--json", code=0).json
    assert {(row["state"], row["code"]) for row in rows} == {("refused", "upload_path_taken")}


def test_a_token_that_may_only_read_is_said_with_the_way_out(at: At, hub: HubServer, results: Path) -> None:
    done = at("alpha", "check", results, "--upload", "always", env=DATASET, token=READ_TOKEN, code=0)
    assert "no permission" in done.err and "write access" in done.err
    assert READ_TOKEN not in done.err + done.out
    pushed = at("alpha", "sync", "push", token=READ_TOKEN)
    assert pushed.code == 4
    at("alpha", "sync", "push", code=0)
    assert len(hub.repos["org/perf"].files()) == 3


def test_two_records_of_one_model_time_and_commit_keep_their_own_files(at: At, hub: HubServer, tmp_path: Path) -> None:
    write_raw(tmp_path / "twins", number=1, latency=20.0)
    write_raw(tmp_path / "twins" / "more", number=1, latency=21.0)
    files = sorted((tmp_path / "twins").rglob("*.json"))
    at("alpha", "check", *files, "--upload", "always", env=DATASET, code=0)
    latencies = sorted(json.loads(data)["latency"] for data in hub.repos["org/perf"].files().values())
    assert latencies == [20.0, 21.0]
