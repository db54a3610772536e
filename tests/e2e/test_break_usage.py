"""Wrong flags, odd names and outputs in the wrong place: one sentence, the right exit code, nothing lost."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger

HEADER = "commit,committed_at,pr,file,symbol,change,old,new\n"
EDIT = "abc1234,2026-01-01T00:00:00Z,{pr},f.py,X_MIN,changed,{old},2\n"

SAMPLE = Path(__file__).parents[2] / "examples/calibration_sample"
Cli = Callable[..., Any]


@pytest.mark.parametrize(
    "command",
    [
        ["events", "export", "-o"],
        ["verify", "--write-checkpoint"],
        ["sql", "FROM events", "-o"],
        ["gpu", "sample", "-o"],
        ["gpu", "sample", "--record", "-o"],
        ["calibrate", "merge", "a", "b", "--output-dir"],
        ["calibrate", "precheck", "--output-dir"],
    ],
)
def test_no_output_goes_into_the_ledger(command: list[str], cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    before = (ledger.path / "ledger.toml").read_bytes()
    for name in (".perfledger/ledger.toml", ".perfledger/../.perfledger/new", str(ledger.path / "log" / "x")):
        refused = cli(*command, name, "--json", code=2)
        assert refused.json["error"]["code"] == "output_in_ledger"
    assert cli("init", ledger.path / "log", "--json", code=2).json["error"]["code"] == "output_in_ledger"
    (tmp_path / "door").symlink_to(ledger.path)
    cli(*command, "door/ledger.toml", code=2)
    assert (ledger.path / "ledger.toml").read_bytes() == before
    cli("verify", code=0)


@pytest.mark.parametrize(
    "command",
    [
        ["discover", "--output"],
        ["discover", "--dry-run", "--output"],
        ["run", "--output-dir"],
        ["run", "--resume", "--output-dir"],
    ],
)
def test_no_output_of_a_calibration_goes_into_any_ledger(
    command: list[str],
    cli: Cli,
    ledger: Ledger,
    tmp_path: Path,
) -> None:
    """`discover` opens no ledger at all; what it must not write into is still one."""
    project = Path(shutil.copytree(SAMPLE, tmp_path / "project"))
    cli("init", project, code=0)
    for folder in (ledger.path, project / ".perfledger"):
        held = sorted(p.name for p in folder.rglob("*"))
        for name in ("log/new", "stages.yaml"):
            error = cli("calibrate", *command, folder / name, "--json", cwd=project, code=2).json["error"]
            assert error["code"] == "output_in_ledger"
        assert sorted(p.name for p in folder.rglob("*")) == held


def test_a_folder_inside_a_ledger_is_no_remote(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    Ledger.create(tmp_path / "other", origin="other", actor="b")
    for folder in (ledger.path, ledger.path / "log" / "new", tmp_path / "other" / ".perfledger"):
        for asked in (["push", "--create"], ["push", "--dry-run"], ["pull"], ["status"]):
            error = cli("sync", *asked, "--remote", folder.as_uri(), "--json", code=2).json["error"]
            assert error["code"] == "output_in_ledger"
    assert not (ledger.path / "log" / "new").exists()
    cli("sync", "push", "--create", "--remote", (tmp_path / "share").as_uri(), code=0)


def test_the_events_group_takes_the_global_options(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    out = cli("events", "--ledger", tmp_path, "--json", "list", cwd=elsewhere, code=0).out
    assert json.loads(out)["type"] == "LedgerCreated"


def test_events_show_export_and_explain_keep_to_the_moment_asked_for(cli: Cli, ledger: Ledger) -> None:
    event = "1@testbed"
    for command in (["events", "show", event], ["explain", event]):
        for moment in (["--as-of", "2001-01-01T00:00:00Z"], ["--as-recorded", "2001-01-01T00:00:00Z"]):
            refused = cli(*command, *moment, "--json", code=2)
            assert refused.json["error"]["code"] == "not_known_then"
        cli(*command, "--as-of", event, code=0)
    for listing in ("list", "export"):
        assert cli("events", listing, "--as-of", "2001-01-01T00:00:00Z", code=0).out == ""
        assert cli("events", listing, "--as-recorded", "2001-01-01T00:00:00Z", code=0).out == ""
        assert cli("events", listing, "--as-of", event, code=0).out != ""


def test_init_takes_the_folder_named_before_the_one_in_the_environment(cli: Cli, tmp_path: Path) -> None:
    made = cli("init", "here", "--json", env={"PERFLEDGER_DIR": str(tmp_path / "there")}, code=0).json
    assert made["path"] == "here/.perfledger" and not (tmp_path / "there").exists()
    cli("init", env={"PERFLEDGER_DIR": str(tmp_path / "there")}, code=0)
    assert (tmp_path / "there" / ".perfledger" / "ledger.toml").is_file()


@pytest.mark.parametrize("arguments", [[""], ["x", "--origin", ""]])
def test_init_refuses_an_empty_name(arguments: list[str], cli: Cli, tmp_path: Path) -> None:
    assert cli("init", *arguments, "--json", code=2).json["error"]["message"].endswith("nothing was created")
    assert list(tmp_path.iterdir()) == []


def test_a_path_no_file_can_have_is_bad_input(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for name in ("loop", "x" * 300):
        error = cli("record", name, "--json", code=2).json["error"]
        assert error["code"] == "file_not_found" and name in error["message"]
    cli("init", "loop", code=2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("origin = 'o'\ncreated = 'x'\n", "'format' is missing"),
        ("format = [1]\norigin = 'o'\ncreated = 'x'\n", "is not a ledger description"),
        ("", "'format' is missing"),
    ],
)
def test_a_damaged_description_says_what_is_missing(text: str, says: str, cli: Cli, ledger: Ledger) -> None:
    (ledger.path / "ledger.toml").write_text(text)
    assert says in cli("events", "list", "--json", code=2).json["error"]["message"]


@pytest.mark.parametrize(("pr", "old", "field"), [("²", "1", "pr"), ("9" * 30, "1", "pr"), ("1", "9" * 30, "old")])
def test_a_threshold_history_names_line_and_field(
    pr: str, old: str, field: str, cli: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    (tmp_path / "h.csv").write_text(HEADER + EDIT.format(pr=pr, old=old), encoding="utf-8")
    error = cli("import", "threshold-history", "h.csv", "--json", code=2).json["error"]
    assert error["details"]["field"] == field and error["details"]["line"] == 2
    assert ledger.head().position == 1


def test_a_threshold_history_saved_by_a_spreadsheet_is_read(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text(
        "\ufeff" + (HEADER + EDIT.format(pr="7", old="1")).replace("\n", "\r\n"), encoding="utf-8", newline=""
    )
    assert cli("import", "threshold-history", "h.csv", "--json", code=0).json["recorded"] == 1


RESULT = {"model_id": "m", "gpu_type": "G", "timestamp": "2026-05-01T00:00:00Z", "latency": 1.5, "success": True}


@pytest.mark.parametrize("command", ["record", "check"])
def test_an_empty_file_name_is_not_the_folder_here(command: str, cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "perf_x.json").write_text(json.dumps(RESULT))
    assert cli(command, "", "--json", code=2).json["error"]["code"] == "usage"
    assert ledger.head().position == 1


def test_a_pattern_stands_for_files_only(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(RESULT))
    (tmp_path / "folder.json").mkdir()
    assert cli("record", "*.json", "--json", code=0).json["recorded"] == 1


def test_a_file_name_that_is_not_unicode_is_named(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    name = b"r\xff.json"
    (Path(os.fsdecode(bytes(tmp_path) + b"/" + name))).write_text(json.dumps(RESULT))
    error = cli("record", os.fsdecode(name), "--json", code=2).json["error"]
    assert error["code"] == "bad_file_name" and "r\\udcff.json" in error["message"]


def test_a_field_name_that_is_not_unicode_loses_no_result(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(RESULT).rstrip("}") + ', "\\udc00k": 1}')
    error = cli("record", "r.json", "--json", code=0)
    assert error.json["recorded"] == 1


@pytest.mark.parametrize("option", [["--markdown", ".perfledger/ledger.toml"], ["--normalized-dir", ".perfledger/log"]])
def test_a_check_writes_nothing_into_the_ledger_by_name(
    option: list[str],
    cli: Cli,
    ledger: Ledger,
    tmp_path: Path,
) -> None:
    (tmp_path / "r.json").write_text(json.dumps(RESULT))
    assert cli("check", "r.json", *option, "--json", code=2).json["error"]["code"] == "output_in_ledger"
    variable = {"--markdown": "GITHUB_STEP_SUMMARY", "--normalized-dir": "PERF_REPORTS_DIR"}[option[0]]
    refused = cli("check", "r.json", "--json", env={variable: option[1]}, code=2)
    assert refused.json["error"]["code"] == "output_in_ledger"
    assert ledger.head().position == 1
    cli("verify", code=0)
