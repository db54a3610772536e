"""Importing an existing history of records: idempotent, nothing hidden, nothing updated silently."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands.records import MODEL, TARGET, history, legacy, modern, write

Cli = Callable[..., Any]


@pytest.fixture
def cli(in_process: Cli) -> Cli:
    in_process("init", code=0)
    return in_process


def test_a_history_with_all_its_oddities_comes_in_whole(cli: Cli, tmp_path: Path) -> None:
    root = tmp_path / "h"
    older = {k: v for k, v in legacy(1).items() if not k.endswith("_time_s")}
    write(root / MODEL / "a.json", older)
    write(root / MODEL / "nested" / "b.json", modern(2, baseline_seed=True, baseline_seed_reason="first"))
    write(root / MODEL / "c.json", legacy(3, timestamp="2026-06-03"))
    write(root / MODEL / "d.json", legacy(4, latency="28.1", throughput=None, some_future_field={"x": [1]}))
    write(root / ".hidden" / "e.json", legacy(5))
    write(root / MODEL / ".f.json", legacy(6))
    write(root / MODEL / "notes.txt", "no record")
    for name, data in {
        "bad": b"{oops",
        "list": b"[1]",
        "empty": b"",
        "bom": b"\xef\xbb\xbf{}",
        "latin": b'{"a":"\xff"}',
        "twice": b'{"model_id": "m", "latency": 1, "latency": 2}',
    }.items():
        (root / f"{name}.json").write_bytes(data)
    write(root / "nan.json", legacy(7, memory=float("nan")))
    found = cli("import", "hf-tracking", root, "--json", code=0).json
    assert {k: found[k] for k in ("files", "recorded", "unchanged", "rewritten", "vanished", "targets")} == {
        "files": 11,
        "recorded": 5,
        "unchanged": 0,
        "rewritten": [],
        "vanished": [],
        "targets": 2,
    }
    assert {row["path"]: row["reason"].split(":")[0] for row in found["skipped"]} == {
        "bad.json": "not JSON",
        "list.json": "a JSON array, not an object",
        "empty.json": "the file is empty",
        "bom.json": "the file starts with a byte order mark",
        "latin.json": "not UTF-8 at byte 6",
        "twice.json": 'the key "latency" is given twice in one object',
    }
    assert found["unusable"] == [{"path": "nan.json", "field": "memory", "reason": "NaN"}]
    rows = cli(
        "sql",
        "SELECT path, latency, memory, counted, seeded, dit_time_s FROM results ORDER BY path",
        "--format",
        "json",
    ).json
    assert [(row["path"], row["counted"]) for row in rows] == [
        ("nan.json", True),
        (f"{MODEL}/a.json", True),
        (f"{MODEL}/c.json", True),
        (f"{MODEL}/d.json", True),
        (f"{MODEL}/nested/b.json", True),
    ]
    assert (rows[0]["memory"], rows[1]["dit_time_s"], rows[3]["latency"], rows[4]["seeded"]) == (None, None, 28.1, True)


def test_importing_again_adds_nothing_and_says_what_is_broken_again(cli: Cli, tmp_path: Path) -> None:
    root = history(tmp_path / "h", [legacy(day) for day in range(1, 6)])
    (root / "bad.json").write_text("{oops")
    cli("import", "hf-tracking", root, code=0)
    before = cli("events", "list", "--json", code=0).out
    for remove_cache in (False, True):
        if remove_cache:
            for file in (tmp_path / ".perfledger" / "cache").iterdir():
                file.unlink()
        again = cli("import", "hf-tracking", root, "--json", code=0).json
        assert (again["recorded"], again["unchanged"], len(again["skipped"])) == (0, 5, 1)
    assert cli("events", "list", "--json", code=0).out == before


def test_a_rewritten_file_is_an_event_and_only_its_new_content_counts(cli: Cli, tmp_path: Path) -> None:
    root = history(tmp_path / "h", [legacy(day) for day in range(1, 4)])
    first, second = legacy(2, latency=20.0), legacy(2)
    cli("import", "hf-tracking", root, code=0)
    for content, latency in ((first, 20.0), (second, 28.4), (first, 20.0)):  # also back to what it was
        write(root / "records" / "001.json", content)
        found = cli("import", "hf-tracking", root, "--json", code=0).json
        assert found["rewritten"] == ["records/001.json"]
        rows = cli(
            "sql", "SELECT latency FROM baseline_windows WHERE path = 'records/001.json'", "--format", "json"
        ).json
        assert rows == [{"latency": latency}]
    changes = cli("sql", "SELECT change, path FROM record_changes ORDER BY recorded_at", "--format", "json").json
    assert changes == [{"change": "rewritten", "path": "records/001.json"}] * 3
    assert "its file has other content now" in cli("baseline", "show", TARGET, code=0).out


def test_a_vanished_file_is_an_event_once_and_its_result_stays(cli: Cli, tmp_path: Path) -> None:
    root = history(tmp_path / "h", [legacy(day) for day in range(1, 4)])
    cli("import", "hf-tracking", root, code=0)
    (root / "records" / "000.json").unlink()
    assert cli("import", "hf-tracking", root, "--json", code=0).json["vanished"] == ["records/000.json"]
    assert cli("import", "hf-tracking", root, "--json", code=0).json["vanished"] == []
    assert cli("baseline", "show", TARGET, "--json", code=0).json["n"] == 3


def test_a_folder_without_a_record_is_refused_unless_its_records_went(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty" / "below").mkdir(parents=True)
    write(tmp_path / "empty" / "below" / "notes.txt", "no record")
    for folder in (tmp_path / "empty", Path("/dev")):
        error = cli("import", "hf-tracking", folder, "--json", code=2).json["error"]
        assert error["code"] == "nothing_to_import"
        assert str(folder) in error["message"] and "*.json" in error["message"]
    # for `check` it is a history that has nothing yet, as it is for the existing tool
    result = write(tmp_path / "new.json", legacy(1))
    done = cli("check", result, "--tracking-root", tmp_path / "empty", "--json", code=0)
    assert (done.json["records"][0]["baseline_n"], done.err) == (0, "")

    root = history(tmp_path / "h", [legacy(1)])
    cli("import", "hf-tracking", root, code=0)
    (root / "records" / "000.json").unlink()
    for vanished in (["records/000.json"], []):
        assert cli("import", "hf-tracking", root, "--json", code=0).json["vanished"] == vanished


def test_the_same_history_from_another_folder_counts_once(cli: Cli, tmp_path: Path) -> None:
    records = [legacy(day) for day in range(1, 4)]
    for name in ("one", "two"):
        cli("import", "hf-tracking", history(tmp_path / name, records), code=0)
    assert cli("baseline", "show", TARGET, "--json", code=0).json["n"] == 3


def test_a_mirror_of_a_dataset_is_known_by_the_datasets_name(cli: Cli, tmp_path: Path) -> None:
    root = history(tmp_path / "mirror", [legacy(1)])
    (root / ".hf_sync_complete").write_text(
        json.dumps({"repo_id": "team/performance-tracking", "synced_at": "2026-06-01"})
    )
    assert (
        cli("import", "hf-tracking", root, "--json", code=0).json["source"] == "hf://datasets/team/performance-tracking"
    )
    moved = tmp_path / "elsewhere"
    root.rename(moved)
    found = cli("import", "hf-tracking", moved, "--json", code=0).json
    assert (found["recorded"], found["unchanged"], found["vanished"]) == (0, 1, [])


def test_the_original_bytes_are_kept_as_evidence(cli: Cli, tmp_path: Path) -> None:
    from ledger.ledger import Ledger

    root = tmp_path / "h"
    text = '{"model_id": "m",   "memory": NaN, "latency": 2}\n'
    write(root / "x.json", {}).write_text(text)
    cli("import", "hf-tracking", root, code=0)
    event = next(iter(Ledger.open(tmp_path).read(types=["ResultRecorded"]))).body()
    assert Ledger.open(tmp_path).evidence.get(event["sha256"]) == text.encode()
    assert event["record"]["latency"] == 2.0


def test_links_are_followed_once_and_odd_file_names_are_kept_readable(cli: Cli, tmp_path: Path) -> None:
    root = history(tmp_path / "h", [legacy(1)])
    (root / "loop").symlink_to(root)
    odd = os.fsencode(root) + b"/\xff name.json"
    with open(odd, "w") as file:
        json.dump(legacy(2), file)
    found = cli("import", "hf-tracking", root, "--json", code=0).json
    assert found["recorded"] == 2
    paths = cli("sql", "SELECT path FROM results ORDER BY path", "--format", "json").json
    assert [row["path"] for row in paths] == [r"\xff name.json", "records/000.json"]


def test_a_folder_that_is_none_is_wrong_usage(cli: Cli, tmp_path: Path) -> None:
    assert "not a folder" in cli("import", "hf-tracking", tmp_path / "none", code=2).err


def test_a_thousand_records_come_in_with_one_bar_and_equal_what_replay_builds(cli: Cli, tmp_path: Path) -> None:
    root = tmp_path / "h"
    for index in range(1_000):
        write(
            root / f"m{index % 7}" / f"{index:04d}.json",
            legacy(1 + index % 28, model_id=f"m{index % 7}", commit_sha=f"{index:x}"),
        )
    assert cli("import", "hf-tracking", root, "--json", code=0).json["recorded"] == 1_000
    assert len(cli("baseline", "list", "--json", code=0).json["baselines"]) == 7
    cli("replay", "--check", code=0)
    cli("verify", code=0)
