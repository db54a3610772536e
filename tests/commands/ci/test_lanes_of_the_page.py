"""Which fastcheck lanes a change starts, against the table of the contributor page, over generated changes.

The table and the three lines that read it are written here from the page once more: a lane starts when one changed
name lies below one of its folders, or begins with one of the names it watches whole.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

Invoke = Callable[..., Any]
FOLDERS = {
    "encoder": ["fastvideo/models/encoders", "fastvideo/models/loader", "fastvideo/tests/encoders"],
    "vae": ["fastvideo/models/vaes", "fastvideo/models/loader", "fastvideo/tests/vaes"],
    "transformer": [
        "fastvideo/models/dits",
        "fastvideo/models/loader",
        "fastvideo/tests/transformers",
        "fastvideo/layers",
        "fastvideo/attention",
    ],
    "kernel_tests": ["fastvideo-kernel"],
    "unit_test": ["fastvideo", ".buildkite", ".github"],
}
WHOLE_NAMES = ["pyproject.toml", "docker/Dockerfile.python3.12"]
STEPS = ["a", "b.py", "c d.txt", "ü.md", "models", "tests", "__init__.py", "x-y"]
NEAR_MISSES = [
    "fastvideo2/models/encoders/a.py",
    "xfastvideo/a.py",
    "fastvideo-kernel2/a.cu",
    "docs/fastvideo/a.md",
    "docker/Dockerfile",
    "docker/Dockerfile.python3.11",
    "sub/pyproject.toml",
    "README.md",
    "fastvideo.py",
    ".githubx/a",
]


def starts(files: list[str]) -> list[str]:
    """The fastcheck lanes that a change starts, by the page."""
    return [
        lane
        for lane, folders in FOLDERS.items()
        if any(
            any(name == folder or name.startswith(f"{folder}/") for folder in folders)
            or name.startswith(tuple(WHOLE_NAMES))
            for name in files
        )
    ]


def change(chance: random.Random) -> list[str]:
    """Some changed names: below watched folders, beside them, and the watched names themselves."""
    found = []
    for _ in range(chance.randrange(4)):
        kind = chance.random()
        if kind < 0.5:
            folder = chance.choice([one for folders in FOLDERS.values() for one in folders])
            found.append("/".join([folder, *chance.sample(STEPS, chance.randrange(1, 4))]))
        elif kind < 0.8:
            found.append(chance.choice(NEAR_MISSES))
        else:
            found.append(chance.choice(WHOLE_NAMES) + chance.choice(["", "", ".bak"]))
    return found


def asked(invoke: Invoke, files: list[str]) -> dict[str, Any]:
    """`ci lanes --json` for the names, each given as an option of its own."""
    names = [word for name in files for word in ("--changed", name)]
    found: dict[str, Any] = invoke("ci", "lanes", *names, "--policy", "fastvideo-page", "--json", code=0).json
    return found


@pytest.mark.parametrize("seed", range(40))
def test_a_change_starts_the_lanes_of_the_page_and_no_other(invoke: Invoke, seed: int) -> None:
    files = change(random.Random(f"lanes/{seed}")) or ["README.md"]
    found = asked(invoke, files)
    assert found["tiers"]["fastcheck"] == starts(files), files
    assert found["changed"] == sorted(set(files))


@pytest.mark.parametrize("seed", range(10))
def test_every_lane_that_starts_says_which_file_and_pattern_and_the_rest_is_named_too(
    invoke: Invoke, seed: int
) -> None:
    files = change(random.Random(f"why/{seed}")) + NEAR_MISSES[:3]
    found = asked(invoke, files)
    for lane in found["lanes"]:
        assert lane["matches"] and lane["match_count"] >= len({match["file"] for match in lane["matches"]}) > 0
        assert {match["file"] for match in lane["matches"]} <= set(files)
        assert {match["how"] for match in lane["matches"]} <= {"glob", "prefix"}
    started = {lane["test_type"] for lane in found["lanes"]}
    assert started.isdisjoint(found["not_started"])
    assert {name for names in found["tiers"].values() for name in names} == started
    for name in found["unwatched"]:
        assert asked(invoke, [name])["lanes"] == []
    for name in set(files) - set(found["unwatched"]):
        assert asked(invoke, [name])["lanes"] != []


@pytest.mark.parametrize("seed", range(5))
def test_the_lanes_of_a_change_are_those_of_its_files_together(invoke: Invoke, seed: int) -> None:
    """No file takes away what another starts, so a large change starts at least what each part starts."""
    files = change(random.Random(f"union/{seed}")) + change(random.Random(f"more/{seed}")) + ["fastvideo/layers/a.py"]
    alone = [{lane["test_type"] for lane in asked(invoke, [name])["lanes"]} for name in files]
    assert {lane["test_type"] for lane in asked(invoke, files)["lanes"]} == set().union(*alone)


def test_the_order_and_the_repetition_of_names_do_not_matter(invoke: Invoke) -> None:
    files = ["fastvideo/layers/a.py", "fastvideo-kernel/b.cu", "README.md"]
    first = asked(invoke, files)
    assert asked(invoke, [*reversed(files), *files]) == first


def test_a_tier_that_the_policy_does_not_have_is_refused_with_those_it_has(invoke: Invoke) -> None:
    error = invoke("ci", "lanes", "--changed", "a", "--tier", "fastchek", "--json", code=2).json["error"]
    assert error["code"] == "no_such_tier" and "fastcheck" in error["hint"] and "full" in error["hint"]


def test_what_is_told_to_people_is_what_is_told_to_scripts(invoke: Invoke) -> None:
    words = ("ci", "lanes", "--changed", "fastvideo-kernel/a.cu", "--changed", "docs/a.md")
    document = json.loads(invoke(*words, "--json", code=0).out)
    text = invoke(*words, code=0).out
    assert text.startswith(f"2 changed files start {len(document['lanes'])} lanes; policy fastvideo-page ")
    for lane in document["lanes"]:
        row = next(line for line in text.splitlines() if lane["name"] in line)
        assert lane["test_type"] in row and lane["matches"][0]["file"] in row
    assert text.splitlines()[-1] == "no lane watches 1 of them: docs/a.md"
