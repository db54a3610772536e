"""A dataset that other tools write: mirrored, imported, and kept up with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import BadInput, Unavailable
from ledger.remotes.hub_mirror import INDEX_NAME, MARKER_NAME, mirror_dataset
from tests.conftest import Result
from tests.hub_repo import Blob
from tests.hub_server import Fault, HubServer
from tests.ledger.sync.conftest import QUICK

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

At = Callable[..., Result]
URL = "hf://datasets/org/history"


def record(number: int, latency: float = 28.4) -> tuple[str, bytes]:
    """A normalized record without identity, as histories before identities hold them, and its path."""
    sha = f"{number:040x}"
    body = {
        "model_id": "wan-t2v",
        "timestamp": f"2026-06-01T00:00:{number:02d}+00:00",
        "commit_sha": sha,
        "gpu_type": "NVIDIA L40S",
        "latency": latency,
        "throughput": 1.58,
        "memory": 10840.0,
        "success": True,
    }
    return f"wan-t2v/2026-06-01T00_00_{number:02d}_00_00_{sha}.json", json.dumps(body).encode()


@pytest.fixture
def history(hub: HubServer) -> HubServer:
    """A dataset of five records, and files that are none."""
    files = dict(record(number) for number in range(5))
    hub.create(
        "org/history",
        files={**files, "README.md": b"# history", "wan-t2v/plot.png": b"\x89PNG", ".hidden/x.json": b"{}"},
    )
    hub.requests.clear()
    return hub


def records(root: Path) -> dict[str, bytes]:
    """The record files of a mirror."""
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*.json"))}


def test_a_mirror_is_the_datasets_records_to_the_byte(history: HubServer, tmp_path: Path) -> None:
    report = mirror_dataset(URL, tmp_path / "m", policy=QUICK)
    assert records(tmp_path / "m") == dict(record(number) for number in range(5))
    assert (len(report.downloaded), report.unchanged) == (5, 0)
    assert report.revision == history.repos["org/history"].head.oid
    marker = json.loads((tmp_path / "m" / MARKER_NAME).read_text())
    assert (marker["repo_id"], marker["revision"]) == ("org/history", report.revision)
    assert history.count("GET */resolve/*") == 5


def test_only_new_files_travel(history: HubServer, tmp_path: Path) -> None:
    mirror_dataset(URL, tmp_path / "m", policy=QUICK)
    history.repos["org/history"].commit("one more", {record(7)[0]: Blob(record(7)[1])})
    history.requests.clear()
    report = mirror_dataset(URL, tmp_path / "m", policy=QUICK)
    assert report.downloaded == [record(7)[0]] and report.unchanged == 5
    assert len(history.requests) == 3, history.requests
    history.requests.clear()
    assert mirror_dataset(URL, tmp_path / "m", policy=QUICK).unchanged == 6
    assert len(history.requests) == 1, "nothing moved: one question is enough"


def test_files_that_are_there_already_do_not_travel_even_without_our_index(history: HubServer, tmp_path: Path) -> None:
    mirror_dataset(URL, tmp_path / "m", policy=QUICK)
    (tmp_path / "m" / INDEX_NAME).unlink()
    report = mirror_dataset(URL, tmp_path / "m", policy=QUICK)
    assert (report.downloaded, report.unchanged) == ([], 5)


def test_a_file_changed_on_either_side_is_brought_back_to_what_the_dataset_says(
    history: HubServer, tmp_path: Path
) -> None:
    mirror_dataset(URL, tmp_path / "m", policy=QUICK)
    mine, theirs = record(0)[0], record(1)[0]
    (tmp_path / "m" / mine).write_bytes(b"edited by hand")
    history.repos["org/history"].commit("rewritten", {theirs: Blob(record(1, latency=1.0)[1])})
    report = mirror_dataset(URL, tmp_path / "m", policy=QUICK)
    assert sorted(report.downloaded) == sorted([mine, theirs])
    assert records(tmp_path / "m")[mine] == record(0)[1] and b"1.0" in records(tmp_path / "m")[theirs]


def test_a_file_gone_from_the_dataset_goes_and_foreign_files_stay(history: HubServer, tmp_path: Path) -> None:
    mirror_dataset(URL, tmp_path / "m", policy=QUICK)
    (tmp_path / "m" / "wan-t2v" / "local.json").write_bytes(b"{}")
    history.repos["org/history"].commit("removed", {}, delete=(record(2)[0],))
    assert mirror_dataset(URL, tmp_path / "m", policy=QUICK).removed == [record(2)[0]]
    assert (tmp_path / "m" / "wan-t2v" / "local.json").exists() and not (tmp_path / "m" / record(2)[0]).exists()


def test_a_failed_sync_is_an_error_and_leaves_no_marker_of_success(history: HubServer, tmp_path: Path) -> None:
    """The library's own snapshot call reports the old folder as a success here."""
    mirror_dataset(URL, tmp_path / "m", policy=QUICK)
    history.repos["org/history"].commit("one more", {record(7)[0]: Blob(record(7)[1])})
    history.faults.append(Fault("GET */resolve/*", "status", 503, times=10**6))
    with pytest.raises(Unavailable):
        mirror_dataset(URL, tmp_path / "m", policy=QUICK)
    assert not (tmp_path / "m" / MARKER_NAME).exists()
    history.faults.clear()
    assert mirror_dataset(URL, tmp_path / "m", policy=QUICK).downloaded == [record(7)[0]]
    assert (tmp_path / "m" / MARKER_NAME).exists()


def test_a_pinned_revision_is_that_revision(history: HubServer, tmp_path: Path) -> None:
    old = history.repos["org/history"].head.oid
    history.repos["org/history"].commit("one more", {record(7)[0]: Blob(record(7)[1])})
    assert len(mirror_dataset(f"{URL}@{old}", tmp_path / "m", policy=QUICK).downloaded) == 5
    with pytest.raises(BadInput, match="full commit id"):
        mirror_dataset(f"{URL}@main", tmp_path / "m", policy=QUICK)
    with pytest.raises(BadInput, match="no such commit"):
        mirror_dataset(f"{URL}@{'0' * 40}", tmp_path / "m", policy=QUICK)


def test_a_folder_of_a_dataset_is_mirrored_without_its_prefix(history: HubServer, tmp_path: Path) -> None:
    mirror_dataset(f"{URL}/wan-t2v", tmp_path / "m", policy=QUICK)
    assert sorted(records(tmp_path / "m")) == sorted(record(number)[0].partition("/")[2] for number in range(5))


def test_import_from_the_hub_and_again_after_the_history_moved(history: HubServer, at: At) -> None:
    first = at("alpha", "import", "hf-tracking", URL, "--json", code=0).json
    assert (first["recorded"], first["source"]) == (5, URL)
    history.repos["org/history"].commit(
        "moves on",
        {record(7)[0]: Blob(record(7)[1]), record(1)[0]: Blob(record(1, latency=30.0)[1])},
        delete=(record(2)[0],),
    )
    again = at("alpha", "import", "hf-tracking", URL, "--json", code=0).json
    assert (again["recorded"], again["rewritten"], again["vanished"]) == (2, [record(1)[0]], [record(2)[0]])


def test_sync_pull_keeps_up_with_an_imported_dataset(history: HubServer, at: At) -> None:
    at("alpha", "import", "hf-tracking", URL, code=0)
    history.repos["org/history"].commit("one more", {record(7)[0]: Blob(record(7)[1])})
    history.requests.clear()
    done = at("alpha", "sync", "pull", "--json", code=0).json
    assert [(row["source"], row["recorded"], row["unchanged"]) for row in done["datasets"]] == [(URL, 1, 5)]
    assert history.count("GET */resolve/*") == 1
