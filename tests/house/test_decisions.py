"""The pages of docs/decisions: each short and whole, listed, and the tests they name are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.sources import TOP

FOLDER = TOP / "docs" / "decisions"
PAGES = sorted(FOLDER.glob("0*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_decision_is_a_page_with_problem_choice_rejected_and_tests(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("\n") <= 50, "under one page"
    parts = re.findall(r"^\*\*(\w+)", text, re.MULTILINE)
    assert [part for part in parts if part != "Cost"] == ["Problem", "Choice", "Rejected", "Tests"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_files_a_decision_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests|ledger|projections|commands|gpu_runner|docs)/[\w/.-]*)`", text)
    for name in named:
        assert (TOP / name).exists(), name
    known = {path.name for path in (TOP / "tests").rglob("test_*.py")}
    assert set(re.findall(r"`(test_\w+\.py)`", text)) <= known


def test_the_list_has_every_decision() -> None:
    listed = re.findall(r"\]\((0\d+-[\w-]+\.md)\)", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert listed == [page.name for page in PAGES] and len(listed) >= 6
