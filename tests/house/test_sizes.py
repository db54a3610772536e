"""The sizes CONTRIBUTING sets ("The house"): what is larger is listed with its size, and the list may only shrink."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.house.sources import ROOMS, TOP, sources

FILE_LINES, FUNCTION_LINES, PARAMETERS, LINE_LENGTH = 400, 60, 6, 120
EXCEPTIONS = Path(__file__).with_name("exceptions.toml")
SOURCE = sources(TOP, "perfledger", *ROOMS)
TESTS = sources(TOP, "tests")
DIRECTIVE = re.compile(r"\s*# (noqa|type: ignore).*")
FUNCTIONS = [function for file in SOURCE for function in file.functions]


def listed(section: str) -> dict[str, int]:
    """Return the exceptions of one kind: where, and the size it has today."""
    found: dict[str, int] = tomllib.loads(EXCEPTIONS.read_text(encoding="utf-8")).get(section, {})
    return found


def too_large(sizes: Iterator[tuple[str, int]], limit: int) -> dict[str, int]:
    """Return what is over the limit, the largest of each name."""
    found: dict[str, int] = {}
    for name, size in sizes:
        if size > limit:
            found[name] = max(size, found.get(name, 0))
    return found


def test_a_file_has_at_most_400_lines() -> None:
    assert too_large(((file.path, file.lines) for file in SOURCE + TESTS), FILE_LINES) == listed("file_lines")


def test_a_function_has_at_most_60_lines() -> None:
    assert too_large(((f.where, f.lines) for f in FUNCTIONS), FUNCTION_LINES) == listed("function_lines")


def test_a_function_has_at_most_6_parameters() -> None:
    assert too_large(((f.where, f.parameters) for f in FUNCTIONS), PARAMETERS) == listed("parameters")


def test_a_line_has_at_most_120_characters() -> None:
    # a directive to a checker has to stand on the line it is for; what is read is the line before it
    lines = ((file.path, len(DIRECTIVE.sub("", line))) for file in SOURCE + TESTS for line in file.text.splitlines())
    assert too_large(lines, LINE_LENGTH) == listed("line_length")


def test_every_public_function_says_what_it_does_and_what_it_returns() -> None:
    public = [function for function in FUNCTIONS if function.public]
    assert len(public) > 500, "the walk finds the functions"
    assert [f.where for f in public if not f.documented] == []
    assert [f.where for f in public if not f.returns] == []
