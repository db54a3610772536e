"""Which files and which commit message an upload has, and what stands in for a dataset that is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from commands.results.judging import Judged
from commands.results.upload_queue import commit_message, record_files
from ledger.ledger import Ledger
from tests.commands.records import TARGET, history, legacy, raw, write


def judged(**record: Any) -> Judged:
    """What an upload reads of a judged result."""
    whole = legacy(1, **record)
    found = SimpleNamespace(
        recorded=SimpleNamespace(target=TARGET, event_id="1@o", measured=SimpleNamespace(record=whole)),
        normalized=lambda: whole,
    )
    return cast(Judged, found)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([{"model_id": "m", "commit_sha": "abcdef0123"}], "Perf: m at abcdef0"),
        ([{"model_id": "m", "commit_sha": None}], "Perf: m at unknown"),
        ([{"model_id": None, "commit_sha": "abcdef0123"}], "Perf: unknown at abcdef0"),
        ([{"model_id": "a\nb  c", "commit_sha": "abcdef0"}], "Perf: a b c at abcdef0"),
        ([{"model_id": "a"}, {"model_id": "b"}], "Perf: 2 records at 0000000"),
        ([{"commit_sha": "a" * 40}, {"commit_sha": "b" * 40}], "Perf: wan-t2v-1.3b-2gpu at 2 commits"),
    ],
)
def test_a_commit_message_is_one_line_that_says_what_and_at_which_commit(
    records: list[dict[str, Any]], message: str
) -> None:
    assert commit_message([judged(**record) for record in records]) == message


def test_two_records_of_one_model_time_and_commit_do_not_replace_each_other() -> None:
    files = record_files([judged(latency=1.0), judged(latency=2.0), judged(latency=3.0)])
    assert len({file.path for file in files}) == 3
    assert [json.loads(file.data)["latency"] for file in files] == [1.0, 2.0, 3.0]
    assert all(file.data.endswith(b"}\n") for file in files)


@pytest.mark.parametrize("model", ["../../etc", "/etc/x", "a/../../b", "..", "a\0b"])
def test_the_name_of_a_model_leads_to_no_folder_outside_the_dataset(model: str) -> None:
    (file,) = record_files([judged(model_id=model)])
    parts = Path(file.path).parts
    assert ".." not in parts and not Path(file.path).is_absolute() and "\0" not in file.path


@pytest.mark.parametrize(
    ("dataset", "told"), [("", "HF_REPO_ID is empty"), ("  ", "HF_REPO_ID is empty"), ("no name", "HF_REPO_ID: ")]
)
def test_a_dataset_that_is_none_costs_a_warning_and_never_the_verdict(
    in_process: Callable[..., Any], tmp_path: Path, dataset: str, told: str
) -> None:
    in_process("init", code=0)
    in_process("import", "hf-tracking", history(tmp_path / "h", [legacy(day) for day in range(1, 8)]), code=0)
    file = write(tmp_path / "perf_a.json", raw())
    found = in_process("check", file, "--upload", "always", env={"HF_REPO_ID": dataset}, code=0)
    assert told in found.err and "no record was queued" in found.err
    assert not list(Ledger.open(tmp_path / ".perfledger").read(types=["UploadQueued"]))
