"""Text from outside reads the same in a terminal, in Markdown, in HTML and in a spreadsheet, and does nothing there."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.outside import shown
from tests.ledger.outside.hostile import FORGED, FORMULAS, HOSTILE, STORABLE, Elements, live, obeyed, rendered

ORDINARY = [
    "wan-t2v-1.3b-2gpu@NVIDIA L40S",
    "Qwen3-ASR (short), 50 samples",
    "_P95[16]['throughput_qps']",
    "p95 < 3 s & more",
    "größer, 延迟, العربية, ❤️, a_b_c, C:\\dir\\file",
    "3.4 * 2 | 5",
    "- 1. # > x",
]
STRANGE = st.text(st.sampled_from("\\`*_[]()<>#|~@:/&;.!-+=$ \n\t1a\u202e\x1bw") | st.characters(), max_size=40)


def test_a_cell_has_nothing_that_a_terminal_obeys() -> None:
    cell = shown.terminal(HOSTILE)
    assert obeyed(cell) == [] and "\n" not in cell and "\t" not in cell
    assert cell.startswith("x\\x1b]52;c;ZXZpbA==\\x07\\x1b[2J\\x1b[8m\\x9b1A\\u202eabc\\u200b\\u2066\\U000e0041\\r\\n")


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_of_any_language_stays_as_it_is_in_a_terminal(text: str) -> None:
    assert shown.terminal(text) == text == shown.terminal(text, lines=True)


def test_only_colours_that_we_set_ourselves_reach_a_terminal() -> None:
    ours = shown.styled("\x1b[31mred\x1b[0m")
    assert shown.terminal(f"{ours} \x1b[31m", lines=True) == "\x1b[31mred\x1b[0m \\x1b[31m"
    assert shown.plain(ours) == "red"


@given(STRANGE)
def test_json_keeps_the_value_and_shows_what_cannot_be_seen(text: str) -> None:
    encoded = shown.json_text(json.dumps([text], ensure_ascii=False))
    assert json.loads(encoded) == [text]
    assert obeyed(encoded) == []


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_reads_the_same_in_markdown(text: str) -> None:
    page = rendered(f"| a |\n|---|\n| {shown.markdown(text)} |")
    assert page.text.replace("\u200b", "").strip().split("\n")[-1].strip() == text
    assert rendered(f"- {shown.markdown(text)}").names == {"ul", "li"}


@given(STRANGE)
def test_any_text_is_one_cell_and_one_item_of_markdown_that_link_and_mention_nothing(text: str) -> None:
    cell = shown.markdown(text)
    table = rendered(f"| a | b |\n|---|---|\n| {cell} | end |\n")
    assert table.text.split("end")[-1].strip() == "" and table.text.count("end") >= 1
    for page in (table, rendered(f"- {cell}\n"), rendered(f"**by** {cell}\n"), rendered(f"# {cell}\n")):
        assert live(page) == [], cell
    assert rendered(f"- {cell}\n").names <= {"ul", "li", "em", "strong"}


@given(STRANGE)
def test_any_text_is_one_code_span(text: str) -> None:
    page = rendered(f"- {shown.markdown_code(text)} end\n")
    assert page.names == {"ul", "li", "code"} and page.text.strip() == "end"


def test_markdown_of_a_hostile_text_is_nothing_but_text() -> None:
    page = rendered(f"| a |\n|---|\n| {shown.markdown(STORABLE)} |\n\n- {shown.markdown(STORABLE)}\n")
    assert live(page) == []
    assert page.names == {"table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
    assert "https://evil.example www.evil.example" in page.text and f"{FORGED} 1@" in page.text


@given(STRANGE)
def test_html_holds_the_text_and_no_element_of_it(text: str) -> None:
    page = Elements(f'<p title="{shown.html(text)}">{shown.html(text)}</p>')
    assert page.names == {"p"} and page.attributes == {"title"}
    assert page.text == shown.terminal(text, lines=True)


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_text_in_csv(text: str) -> None:
    assert shown.csv(text) == f"'{text}"


@pytest.mark.parametrize("text", [*ORDINARY[:-1], "", "a=b", "x@y"])
def test_other_text_is_exact_in_csv(text: str) -> None:
    assert shown.csv(text) == text
