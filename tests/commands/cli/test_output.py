"""What stdout carries: JSON without NaN, plain tables, and nothing a terminal would obey."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from commands.cli.output import table, to_json, to_json_line
from ledger.outside.shown import styled, terminal


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: {"a": v}, lambda v: [{"a": [v]}]])
def test_a_number_that_json_does_not_have_is_refused_and_never_written_as_null(value: float, wrap: Any) -> None:
    for write in (to_json, to_json_line):
        with pytest.raises(Exception, match=r"(?i)nan|inf|finite"):
            write(wrap(value))


@pytest.mark.parametrize("document", [{}, [], {"a": {"b": [1, 1.5, None, True, "ä\n\u2028"]}}, "text", 0])
def test_a_document_is_one_value_and_a_line_is_one_line(document: Any) -> None:
    assert json.loads(to_json(document)) == document
    line = to_json_line(document)
    assert json.loads(line) == document and "\n" not in line


def test_keys_keep_their_order() -> None:
    assert list(json.loads(to_json({"b": 1, "a": 2}))) == ["b", "a"]


@pytest.mark.parametrize(
    ("cell", "shown"), [(None, "-"), (True, "yes"), (False, "no"), (0, "0"), ("", ""), (1.5, "1.5"), ("[b]x", "[b]x")]
)
def test_a_cell_shows_its_value_and_markup_of_a_stranger_is_text(cell: Any, shown: str) -> None:
    last = table(["name", "value"], [["row", cell]]).splitlines()[-1]
    assert last.split() == ["row", *([shown] if shown else [])]


def test_a_piped_table_is_as_wide_as_it_needs_and_has_no_colour_and_no_blanks_at_the_end() -> None:
    lines = table(["name", "number"], [["x" * 500, 1], ["y", 22]], right=["number"]).splitlines()
    assert lines[2].startswith("x" * 500) and lines[2].endswith(" 1") and lines[3].endswith("22")
    assert len(lines[2]) == len(lines[3])
    assert all(line == line.rstrip() and "\x1b" not in line for line in lines)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä\ttab\n", "plain ä\ttab\n"),
        ("\x1b[8mhidden\x1b[0m", "\\x1b[8mhidden\\x1b[0m"),
        ("a\u202eb\u200b\u2028\U000e0041", "a\\u202eb\\u200b\\u2028\\U000e0041"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x1b]52;c;AAAA\x1b\\", "\\x1b]52;c;AAAA\\x1b\\"),
        ("a\rb", "a\\rb"),
        ("a\bb", "a\\x08b"),
        ("\x00", "\\x00"),
        ("\x9b31m", "\\x9b31m"),
        ("\x7f", "\\x7f"),
    ],
)
def test_a_terminal_obeys_our_own_colours_and_line_ends_only(text: str, shown: str) -> None:
    assert terminal(text, lines=True) == shown
    assert terminal(styled("\x1b[31mred\x1b[0m") + text, lines=True) == "\x1b[31mred\x1b[0m" + shown
