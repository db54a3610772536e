"""What the contract of the command line promises of every command, asked of every command there is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from commands.cli.app import LazyGroup
from commands.docs import _walk
from commands.main import root

Cli = Callable[..., Any]
TREE: dict[str, click.Command] = {" ".join(path[1:]): command for path, command in _walk(root, ("perfledger",))}
LEAVES = sorted(name for name, command in TREE.items() if not isinstance(command, click.Group))
# `--as-of WHEN`: "on every reading command", of the groups that this file speaks of
READING = [
    "baseline list",
    "baseline show",
    "baseline history",
    "baseline plot",
    "ci command",
    "ci gate",
    "ci labels",
    "ci lanes",
    "ci lint",
    "ci policy list",
    "ci policy show",
    "ci status",
    "events export",
    "events list",
    "events show",
    "explain",
    "reseed list",
    "reseed show",
    "sql",
    "sync status",
]
# `--dry-run`: "on every command that writes outside the ledger (Hub, test files, GitHub)"
OUTSIDE = ["check", "ci publish", "calibrate apply", "reseed upload", "sync push"]
# what acts for as long as it lives, or on the GPUs of this machine, is not started without its options
NOT_STARTED = {"gpu list", "gpu wait", "gpu sample"}


def options(name: str) -> set[str]:
    """Every spelling of every option of a command."""
    return {text for option in TREE[name].params for text in (*option.opts, *option.secondary_opts)}


@pytest.mark.parametrize("name", LEAVES)
def test_a_command_takes_the_global_options_and_says_what_it_is_for(name: str) -> None:
    assert {"--ledger", "--json", "-q", "--quiet", "--no-color"} <= options(name)
    help_text = TREE[name].help or ""
    assert help_text.strip().splitlines()[0].rstrip().endswith((".", ":", "?")) or "\n" in help_text.strip()
    assert help_text.strip()[0].isupper(), help_text


@pytest.mark.parametrize("name", READING)
def test_a_reading_command_answers_for_any_moment(name: str) -> None:
    assert {"--as-of", "--as-recorded"} <= options(name)


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_command_that_writes_outside_the_ledger_can_show_it_first(name: str) -> None:
    assert "--dry-run" in options(name)


def test_a_command_that_asks_for_a_phrase_takes_it_as_an_option_too() -> None:
    for name in ("reseed approve", "reseed upload", "reseed cleanup", "calibrate apply"):
        assert "--confirm" in options(name)


def test_help_of_a_group_names_each_of_its_commands_with_a_sentence() -> None:
    for name, group in TREE.items():
        if isinstance(group, LazyGroup):
            text = group.get_help(click.Context(group, info_name=name, terminal_width=200, max_content_width=200))
            for child, (_, line) in group.lazy.items():
                assert f"  {child} " in text and line in text and line.endswith((".", ":"))


def test_an_option_has_the_same_meaning_everywhere() -> None:
    """A short letter stands for one long name in all commands, but where a command says its own."""
    letters: dict[str, set[str]] = {}
    for name in LEAVES:
        for option in TREE[name].params:
            longs = [text for text in option.opts if text.startswith("--")]
            for short in (text for text in option.opts if len(text) == 2):
                letters.setdefault(short, set()).update(longs[:1])
    assert letters["-q"] == {"--quiet"} and letters["-o"] <= {"--output", "--output-dir"}
    assert letters["-n"] <= {"--limit", "--lines", "--last", "--count"}, "a number of things, each time"


@pytest.mark.parametrize("name", LEAVES)
def test_a_flag_that_does_not_exist_is_one_document_with_exit_2(in_process: Cli, tmp_path: Path, name: str) -> None:
    done = in_process(*name.split(), "--no-such-flag", "--json", code=2)
    assert done.err == ""
    error = json.loads(done.out)["error"]
    assert error["code"] == "usage" and "--no-such-flag" in error["message"]
    assert error["hint"] == f"perfledger {name} --help"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(set(LEAVES) - NOT_STARTED - {"init", "serve"}))
def test_a_command_in_an_empty_folder_says_one_document_and_writes_nothing(
    in_process: Cli, tmp_path: Path, name: str
) -> None:
    """No ledger, no arguments: whatever the command is, it ends by itself, by the contract's codes, with JSON."""
    done = in_process(*name.split(), "--json")
    assert done.code in (0, 1, 2, 4, 5), f"{done.code}\n{done.out}\n{done.err}"
    documents = json.loads(done.out)
    if done.code in (2, 4):
        assert set(documents["error"]) == {"code", "message", "hint", "details"}
        assert documents["error"]["hint"], "the next step"
        assert "Traceback" not in done.out and "internal" not in documents["error"]["code"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "events", "ci", "ci policy", "gpu", "sync", "baseline", "reseed", "calibrate"])
def test_a_group_without_a_command_is_wrong_usage_and_shows_its_commands(in_process: Cli, name: str) -> None:
    done = in_process(*name.split(), code=2)
    assert done.out == "" and done.err.startswith("Usage: perfledger")
    assert in_process(*name.split(), "--json", code=2).json["error"]["code"] == "usage"


@pytest.mark.parametrize("words", [["evnts"], ["ci", "gates"], ["ci", "policy", "adpot"], ["events", "lst"]])
def test_a_command_that_does_not_exist_is_named(in_process: Cli, words: list[str]) -> None:
    error = in_process(*words, "--json", code=2).json["error"]
    assert error["code"] == "usage" and words[-1] in error["message"]
    assert error["hint"] == " ".join(["perfledger", *words[:-1], "--help"])


@pytest.mark.parametrize("name", LEAVES)
def test_help_asks_for_no_ledger_and_starts_nothing(in_process: Cli, tmp_path: Path, name: str) -> None:
    done = in_process(*name.split(), "--help", code=0)
    assert done.out.startswith(f"Usage: perfledger {name} ") and done.err == ""
    assert list(tmp_path.iterdir()) == []
