"""The history of literals, over git repositories made up at random: a second computation says the same.

Python itself says which values a version binds: each version is executed, and what differs between two of them on the
mainline is what must be reported.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from commands.literals.archaeology import walk_history
from commands.literals.finder import find_constants
from commands.literals.rewriter import Edit, number_text, rewrite
from commands.literals.source import read_source
from ledger.ledger import Ledger
from tests.commands.hardship import refusal, tree
from tests.conftest import Result

Cli = Callable[..., Result]
NAMES = ["A_MIN", "B_WER_MAX_CORPUS", "_LATENCY_P95_MAX", "UTMOS_REFERENCE", "CONCURRENCY", "LABEL", "SAMPLES"]
# names that bound something, by their words; the others are constants too, and no thresholds
BOUNDS = {"A_MIN", "B_WER_MAX_CORPUS", "_LATENCY_P95_MAX", "UTMOS_REFERENCE"}
TABLE = "_SPEED_P95"
Bound = dict[str, str]  # place -> number as Python writes it


@dataclass
class Made:
    """A repository and what its mainline held after each commit: file -> (place -> number)."""

    root: Path
    states: list[dict[str, Bound]] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)


def source(chance: random.Random) -> str:
    """One version of a file: constants in any order, written in any way, some of them twice."""
    lines = []
    for name in chance.sample(NAMES, chance.randrange(1, len(NAMES) + 1)):
        value = chance.choice(
            ["0.5", "1e-2", "16", "1_000", "-3", "(0.25)", "0.5  # was 0.4", '"text"', "None", "2.50"]
        )
        lines.append(f"{name}{chance.choice(['', ': float'])} = {value}")
    if chance.random() < 0.2:
        lines.append("A_MIN = 0.125")
    if chance.random() < 0.7:
        rows = ", ".join(
            f"{row}: {{'qps': {chance.choice([1.5, 2.5, 45.634])}, 'latency_mean_s': {chance.choice([1, 2])}}}"
            for row in chance.sample([4, 8, 16], chance.randrange(1, 4))
        )
        lines.append(f"{TABLE} = {{{rows}}}")
    chance.shuffle(lines)
    return "\n".join([*lines, "def test():", "    A_MIN = 9", "    return A_MIN"]) + "\n"


def bound(text: str) -> Bound:
    """What a version bounds, by running it."""
    names: dict[str, Any] = {}
    exec(compile(text, "version.py", "exec"), names)
    found = {name: repr(names[name]) for name in BOUNDS if isinstance(names.get(name), int | float)}
    for row, entries in names.get(TABLE, {}).items():
        found |= {f"{TABLE}[{row}][{key!r}]": repr(value) for key, value in entries.items()}
    return found


def make(root: Path, seed: int) -> Made:
    """A repository of about a dozen commits over two files, with merges, removals and versions that are not Python."""
    chance = random.Random(seed)
    made = Made(root)
    files: dict[str, str] = {}
    held: dict[str, Bound] = {}
    root.mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=root, env=env, check=True)
    stream, mark = [], 0
    for step in range(chance.randrange(8, 14)):
        name = chance.choice(["tests/test_a.py", "tests/b_config.py"])
        kind = chance.randrange(10)
        if kind == 0 and name in files:
            del files[name]
            held[name] = {}
        elif kind == 1:
            files[name] = "A_MIN = = 0.5\n"  # not Python: it changes nothing
        else:
            files[name] = source(chance)
            held[name] = bound(files[name])
        made.states.append({path: dict(places) for path, places in held.items()})
        branches = 2 if chance.random() < 0.3 and mark else 1
        parent = mark
        for branch in range(branches):  # the work on a side branch reaches the mainline with its merge
            mark += 1
            ref = "refs/heads/side" if branch < branches - 1 else "refs/heads/main"
            message = f"Step {step} (#{step + 1})"
            head = f"commit {ref}\nmark :{mark}\ncommitter n <a@example.org> {1780000000 + mark * 60} +0000\n"
            head += f"data {len(message)}\n{message}\n"
            head += f"from :{parent}\n" if parent else ""
            head += f"merge :{mark - 1}\n" if branch else ""
            changes = "deleteall\n" + "".join(
                f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}\n" for path, text in sorted(files.items())
            )
            stream.append(head + changes)
    subprocess.run(["git", "fast-import", "--quiet"], cwd=root, env=env, input="\n".join(stream).encode(), check=True)
    log = ["git", "log", "--first-parent", "--reverse", "--format=%H", "main"]
    made.commits = subprocess.run(log, cwd=root, env=env, capture_output=True, text=True, check=True).stdout.split()
    return made


def moves(made: Made) -> list[tuple[str, str, str, str | None, str | None]]:
    """Every (commit, file, place, old, new) of the mainline."""
    found = []
    before: dict[str, Bound] = {}
    for commit, after in zip(made.commits, made.states, strict=True):
        for path in sorted({*before, *after}):
            old, new = before.get(path, {}), after.get(path, {})
            found += [
                (commit, path, place, old.get(place), new.get(place))
                for place in sorted({*old, *new})
                if old.get(place) != new.get(place)
            ]
        before = after
    return found


@pytest.mark.parametrize("seed", range(8))
def test_every_move_of_a_literal_is_what_running_both_versions_says(seed: int, tmp_path: Path) -> None:
    made = make(tmp_path / "repo", seed)
    edits = list(walk_history(made.root, paths=[], since=None))
    assert sorted((e.commit, e.file, e.literal, e.old, e.new) for e in edits) == sorted(moves(made))
    order = {commit: n for n, commit in enumerate(made.commits)}
    assert [order[e.commit] for e in edits] == sorted(order[e.commit] for e in edits), "oldest first"
    for edit in edits:
        assert edit.change == ("added" if edit.old is None else "removed" if edit.new is None else "changed")
        assert edit.pr == order[edit.commit] + 1


@pytest.mark.parametrize("seed", range(3))
def test_an_imported_history_adds_up_to_the_literals_of_today(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    made = make(tmp_path / "repo", seed)
    held = tree(made.root)
    first = in_process("import", "threshold-history", "--repo", made.root, "--json", code=0).json
    assert first["recorded"] == len(moves(made))
    assert tree(made.root) == held, "a history is read"
    position = Ledger.open(ledger.path).head().position
    again = in_process("import", "threshold-history", "--repo", made.root, "--json", code=0).json
    assert (again["recorded"], again["known"]) == (0, first["recorded"])
    assert Ledger.open(ledger.path).head().position == position
    rows = in_process("sql", "SELECT file, literal, value FROM thresholds", "--format", "json", code=0).json
    wanted = {(path, place): float(number) for path, b in made.states[-1].items() for place, number in b.items()}
    assert {(row["file"], row["literal"]): float(row["value"]) for row in rows} == wanted


@pytest.mark.parametrize("seed", range(3))
def test_a_walk_since_a_commit_tells_exactly_what_came_after_it(seed: int, tmp_path: Path) -> None:
    made = make(tmp_path / "repo", seed)
    middle = len(made.commits) // 2
    later = [move for move in moves(made) if move[0] in made.commits[middle + 1 :]]
    edits = list(walk_history(made.root, paths=[], since=made.commits[middle]))
    found = {(e.commit, e.file, e.literal, e.new) for e in edits}
    # a file that was not Python at the start has no known old side; what it says from then on is told all the same
    assert {(commit, path, place, new) for commit, path, place, _, new in later} <= found
    assert {e.commit for e in edits} <= set(made.commits[middle + 1 :])


@pytest.mark.parametrize("seed", range(20))
def test_a_rewrite_changes_what_running_the_file_binds_and_nothing_else(seed: int) -> None:
    chance = random.Random(seed)
    text = source(chance)
    constants = find_constants(read_source(text.encode(), Path("f.py")))
    sites = [
        site
        for binding in constants.bindings
        for site in binding.sites
        if site.value is not None and len(constants.of(binding.symbol)) == 1
    ]
    if not sites:
        return
    site = chance.choice(sites)
    new = round(chance.uniform(-5, 5), 4)
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    exec(text, before)
    exec(rewrite(constants, [Edit(site, number_text(new))]).decode(), after)
    expected: Any = before[site.symbol]
    if site.keys:
        expected[site.keys[0]][site.keys[1]] = new
    else:
        before[site.symbol] = new
    names = [name for name in before if name.strip("_")[:1].isupper()]
    assert {name: after[name] for name in names} == {name: before[name] for name in names}


@pytest.mark.parametrize("wrong", ["no repository", "no commit", "revision", "both", "neither", "folder", "missing"])
def test_a_history_that_cannot_be_read_is_one_sentence_and_records_nothing(
    wrong: str, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "h.csv").write_text("commit\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    subprocess.run(["git", "init", "-q", str(empty)], check=True)
    arguments = {
        "no repository": ["--repo", "plain"],
        "no commit": ["--repo", "empty"],
        "revision": ["--repo", str(make(tmp_path / "repo", 1).root), "--since", "nonesuch"],
        "both": ["h.csv", "--repo", "plain"],
        "neither": [],
        "folder": ["plain"],
        "missing": ["nowhere.csv"],
    }[wrong]
    refusal(in_process("import", "threshold-history", *arguments, "--json"), 2)
    assert Ledger.open(ledger.path).head().position == ledger.head().position
