"""CONTRIBUTING.md is true of the tree: its excerpts are lines of the files they name, its modules are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
PAGE = (TOP / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXCERPTS = re.findall(r"^ *```(?:python|sql)\n *(?:#|--) (\S+)\n(.*?)^ *```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("file", "excerpt"), EXCERPTS, ids=[file for file, _ in EXCERPTS])
def test_an_excerpt_is_lines_of_its_file(file: str, excerpt: str) -> None:
    written = [line.strip() for line in (TOP / file).read_text(encoding="utf-8").splitlines()]
    lines = [line.strip() for line in excerpt.splitlines() if line.strip() != "..."]
    assert [line for line in lines if line not in written] == []


def test_every_block_of_code_names_its_file() -> None:
    assert len(EXCERPTS) == len(re.findall(r"^ *```(?:python|sql)$", PAGE, re.MULTILINE)) == 6


@pytest.mark.parametrize(("room", "whole"), [("ledger", True), ("projections", False), ("commands", False)])
def test_the_map_names_modules_there_are_and_of_the_ledger_all(room: str, whole: bool) -> None:
    table = PAGE.split(f"| in `{room}/` | |")[1].split("\n\n")[0]
    named = {name for row in table.splitlines()[2:] for name in re.findall(r"`([^`]+)`", row.split("|")[1])}
    for name in named:
        assert list((TOP / room).glob(name.rstrip("/") if name.endswith("/") else f"{name}.py")), name
    modules = {path.stem for path in (TOP / room).glob("*.py") if path.stem != "__init__"}
    if whole:
        assert modules - named == {"errors"}, "which is named where commands are explained"
