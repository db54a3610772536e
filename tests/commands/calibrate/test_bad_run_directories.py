"""A folder that is no run directory: every command says so in one sentence, exits 2, and nothing was touched."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger
from tests.commands.calibrate.generated_run import generate
from tests.commands.hardship import refusal, tree
from tests.conftest import Result

Cli = Callable[..., Result]

# every command that takes a run directory, as it is called on RUN
COMMANDS: dict[str, list[str]] = {
    "audit": ["audit", "RUN"],
    "status": ["status", "RUN"],
    "report": ["report", "RUN"],
    "plan-apply": ["plan-apply", "RUN"],
    "apply": ["apply", "RUN", "--mode", "full", "--confirm", "apply thresholds"],
    "pr-body": ["pr-body", "RUN"],
    "purge": ["purge", "RUN", "--incomplete", "--stale"],
    "compare": ["compare", "RUN", "RUN"],
    "merge": ["merge", "RUN", "RUN", "--output-dir", "merged"],
    "import": ["import", "RUN"],
}


def changed_plan(**changes: Any) -> Callable[[Path], object]:
    """Write plan.json with some fields changed; None leaves one out."""

    def spoil(folder: Path) -> None:
        plan = json.loads((folder / "plan.json").read_text()) | changes
        kept = {k: v for k, v in plan.items() if v is not None}
        (folder / "plan.json").write_text(json.dumps(kept))

    return spoil


def text_plan(data: bytes) -> Callable[[Path], object]:
    """Write other bytes as plan.json."""
    return lambda folder: (folder / "plan.json").write_bytes(data)


def folder_as_plan(folder: Path) -> None:
    (folder / "plan.json").unlink()
    (folder / "plan.json").mkdir()


def file_as_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("not a folder")


def loop(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(folder)


def schema(text: str) -> Callable[[Path], object]:
    """Write another stages.yaml."""
    return lambda folder: (folder.parent / "run.stages.yaml").write_text(text)


# what is wrong: (how it comes about, what the sentence has to name)
WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (shutil.rmtree, "run"),
    "a file": (file_as_folder, "run"),
    "a link to itself": (loop, "run"),
    "no plan": (lambda folder: (folder / "plan.json").unlink(), "plan.json"),
    "a folder as plan": (folder_as_plan, "plan.json"),
    "an empty plan": (text_plan(b""), "plan.json"),
    "half a plan": (text_plan(b'{"model": "m", "sta'), "plan.json"),
    "a plan that is no text": (text_plan(b"\xff\xfe\x00"), "plan.json"),
    "a plan that is a list": (text_plan(b"[]"), "plan.json"),
    "a plan with a key twice": (text_plan(b'{"model": "m", "model": "n"}'), "model"),
    "no model": (changed_plan(model=None), "model"),
    "a model that is a number": (changed_plan(model=3), "model"),
    "no stages": (changed_plan(stages=None), "stages"),
    "stages that are a text": (changed_plan(stages="s0"), "stages"),
    "stages that are numbers": (changed_plan(stages=[1]), "stages"),
    "no repeats": (changed_plan(repeats=None), "repeats"),
    "repeats that are a text": (changed_plan(repeats="5"), "repeats"),
    "repeats that are a truth value": (changed_plan(repeats=True), "repeats"),
    "repeats that are half": (changed_plan(repeats=2.5), "repeats"),
    "no repeat at all": (changed_plan(repeats=0), "repeats"),
    "a negative number of repeats": (changed_plan(repeats=-1), "repeats"),
    "more repeats than anybody runs": (changed_plan(repeats=10**12), "repeats"),
    "a stage twice": (lambda folder: changed_plan(stages=[*stages_of(folder), *stages_of(folder)])(folder), "stages"),
    "a stage that the schema lacks": (changed_plan(stages=["nobody"]), "nobody"),
    "a schema that is gone": (lambda folder: (folder.parent / "run.stages.yaml").unlink(), "stages.yaml"),
    "a schema that is no mapping": (schema("- a\n- b\n"), "stages.yaml"),
    "a schema that is no YAML": (schema("s: [1, \n"), "stages.yaml"),
    "a schema whose stage is a text": (schema("s0_utmos: text\n"), "s0_utmos"),
    "a precheck that is no JSON": (lambda folder: (folder / "precheck.json").write_text("{"), "precheck.json"),
}


def stages_of(folder: Path) -> list[str]:
    """The stages of a plan."""
    found: list[str] = json.loads((folder / "plan.json").read_text())["stages"]
    return found


@pytest.mark.parametrize("wrong", WRONG)
def test_every_command_names_what_is_wrong_with_a_run_directory_and_touches_nothing(
    wrong: str, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    spoil, named = WRONG[wrong]
    folder = generate(9, spoiled=0.0, absent=0.0).write(tmp_path / "run")
    spoil(folder)
    held = tree(tmp_path, without=(".perfledger",)) if wrong != "a link to itself" else {}
    position = ledger.head().position
    for command in COMMANDS.values():
        error = refusal(in_process("calibrate", *(a.replace("RUN", "run") for a in command), "--json"), 2)
        assert named in error["message"], (command, error)
        assert "\n" not in error["message"]
    assert Ledger.open(ledger.path).head().position == position, "nothing was recorded"
    assert not (tmp_path / "merged").exists()
    if held:
        assert tree(tmp_path, without=(".perfledger",)) == held


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_ledger_every_command_says_how_to_make_one(command: str, in_process: Cli, tmp_path: Path) -> None:
    """design, cli.md: none found is exit 2, "no ledger here; run `perfledger init`"."""
    folder = generate(9, spoiled=0.0, absent=0.0).write(tmp_path / "run")
    held = tree(tmp_path)
    arguments = [a.replace("RUN", str(folder)) for a in COMMANDS[command]]
    error = refusal(in_process("calibrate", *arguments, "--json"), 2)
    assert "perfledger init" in error["message"] + error["hint"]
    assert tree(tmp_path) == held


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_option_is_wrong_usage_and_does_nothing(
    command: str, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    folder = generate(9, spoiled=0.0, absent=0.0).write(tmp_path / "run")
    arguments = [a.replace("RUN", str(folder)) for a in COMMANDS[command]]
    position = ledger.head().position
    too_many = [] if command == "merge" else [["one", "too", "many"]]
    for wrong in (["--nonesuch"], ["--stages-yaml"] if command != "compare" else ["--repo-root"], *too_many):
        error = refusal(in_process("calibrate", "--json", *arguments, *wrong), 2)
        assert error["code"] == "usage"
    refusal(in_process("calibrate", COMMANDS[command][0], "--json"), 2)
    assert Ledger.open(ledger.path).head().position == position


@pytest.mark.parametrize("key", ["../outside", "/outside", "a/b", ".."])
def test_no_stage_leads_out_of_the_run_directory(key: str, in_process: Cli, ledger: Ledger, tmp_path: Path) -> None:
    """A plan names folders: one that is not below the run directory is neither read nor removed from."""
    run = generate(9, spoiled=0.0, absent=0.0)
    (tmp_path / "deep").mkdir()
    folder = run.write(tmp_path / "deep" / "run")
    place = key.replace("/outside", str(tmp_path / "outside")) if key.startswith("/") else key
    yaml = (tmp_path / "deep" / "run.stages.yaml").read_text().replace(run.stages[0].key + ":", f'"{place}":', 1)
    (tmp_path / "deep" / "run.stages.yaml").write_text(yaml)
    changed_plan(stages=[place])(folder)
    target = Path(os.path.normpath(folder / place))
    target.mkdir(parents=True, exist_ok=True)
    (target / "run1.json").write_text("precious")
    for command in COMMANDS.values():
        arguments = [a.replace("RUN", str(folder)) for a in command]
        error = refusal(in_process("calibrate", *arguments, "--json"), 2)
        assert place in error["message"]
    assert (target / "run1.json").read_text() == "precious"
    assert ledger.head().position == Ledger.open(ledger.path).head().position


def test_a_run_file_that_is_a_folder_is_named(in_process: Cli, ledger: Ledger, tmp_path: Path) -> None:
    run = generate(9, spoiled=0.0, absent=0.0)
    folder = run.write(tmp_path / "run")
    path = folder / run.stages[0].key / "run1.json"
    path.unlink()
    path.mkdir()
    for command in COMMANDS.values():
        arguments = [a.replace("RUN", str(folder)) for a in command]
        error = refusal(in_process("calibrate", *arguments, "--json"), 2)
        assert "run1.json" in error["message"]
    assert path.is_dir()


def test_watching_needs_a_run_directory_and_no_ledger(in_process: Cli, tmp_path: Path) -> None:
    folder = generate(9, spoiled=0.0, absent=0.0).write(tmp_path / "run")
    held = tree(tmp_path)
    error = refusal(in_process("calibrate", "watch", folder, "--wait", "0", "--json"), 5)
    assert error["code"] == "nothing_running" and f"calibrate status {folder}" in error["hint"]
    for wrong in (["--interval", "0"], ["--wait", "-1"], ["--interval", "soon"]):
        assert refusal(in_process("calibrate", "watch", folder, *wrong, "--json"), 2)["code"] == "usage"
    assert tree(tmp_path) == held
