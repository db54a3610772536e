"""A rewrite changes the target's characters and no other byte."""

from __future__ import annotations

import builtins
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from commands.literals.finder import Constants, NumberSite, find_constants
from commands.literals.rewriter import Edit, locate, number_text, rewrite
from commands.literals.source import read_source
from ledger.errors import Refused
from tests.commands.literals.sources import FUZZ, files

PATH = Path("tests/test_x_ci.py")
NEW_VALUES = st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6, allow_nan=False))


def found(data: bytes) -> Constants:
    return find_constants(read_source(data, PATH))


@FUZZ
@given(files(), st.data())
def test_non_target_bytes_never_change(data: bytes, choices: st.DataObject) -> None:
    """Property: whatever the file looks like, the bytes outside the edited numbers stay."""
    constants = found(data)
    places = {site.start: site for binding in constants.bindings for site in binding.sites}
    assume(places)
    chosen = choices.draw(st.lists(st.sampled_from(list(places.values())), min_size=1, unique_by=lambda s: s.start))
    edits = [Edit(site, number_text(choices.draw(NEW_VALUES))) for site in chosen]
    after = rewrite(constants, edits)

    # the same splice on bytes: everything between the targets must be found again, in order
    source = constants.source

    def encode(text: str) -> bytes:
        return text.encode(source.encoding)

    rest, at = after, 0
    assert rest.startswith(source.bom)
    rest = rest[len(source.bom) :]
    for edit in sorted(edits, key=lambda each: each.site.start):
        for piece in (encode(source.text[at : edit.site.start]), encode(edit.text)):
            assert rest.startswith(piece)
            rest = rest[len(piece) :]
        at = edit.site.end
    assert rest == encode(source.text[at:])

    values = {site.start: site.value for b in found(after).bindings for site in b.sites}
    for edit in edits:
        assert edit.value in values.values()


class Names(dict[str, object]):
    """Module names for running a random file: what nobody defined is a function that returns 0."""

    def __missing__(self, name: str) -> object:
        if name.startswith("__") or hasattr(builtins, name):
            raise KeyError(name)
        return lambda *_: 0


@FUZZ
@given(files(), st.data())
def test_a_literal_that_is_located_is_the_one_that_counts_when_the_file_runs(
    data: bytes, choices: st.DataObject
) -> None:
    """Python itself is the judge: run the rewritten file and ask the name."""
    constants = found(data)
    edits = []
    for binding in constants.bindings:
        for site in binding.sites:
            subkey, row = (str(site.keys[-1]), site.keys[0]) if site.keys else (None, None)
            try:
                assert locate(constants, site.symbol, subkey, row) == site  # type: ignore[arg-type]
            except Refused:
                continue
            edits.append(Edit(site, number_text(choices.draw(NEW_VALUES))))
    after = rewrite(constants, edits)
    names = Names()
    exec(compile(after, "x.py", "exec"), {}, names)
    for each in edits:
        value = names[each.site.symbol]
        for key in each.site.keys:
            value = value[key]  # type: ignore[index]
        assert value == each.value


@FUZZ
@given(files())
def test_writing_what_stands_there_changes_nothing(data: bytes) -> None:
    constants = found(data)
    sites = {site.start: site for binding in constants.bindings for site in binding.sites}
    assert rewrite(constants, [Edit(site, site.text) for site in sites.values()]) == data


def test_line_ends_mark_cookie_comments_and_missing_last_newline_stay() -> None:
    before = b"\xef\xbb\xbf# caf\xc3\xa9\r\nX_MIN: float = (0.250)  # was 0.3\r\n_P = {16: {'q': 1.0}}"
    constants = found(before)
    edits = [
        Edit(locate(constants, "X_MIN", None, None), "0.3"),
        Edit(locate(constants, "_P", "q", 16), "-2.5"),
    ]
    assert rewrite(constants, edits) == before.replace(b"0.250", b"0.3").replace(b"1.0", b"-2.5")


def test_a_latin_1_file_stays_latin_1() -> None:
    before = "# -*- coding: latin-1 -*-\nX_MIN = 0.5  # été\n".encode("latin-1")
    constants = found(before)
    after = rewrite(constants, [Edit(locate(constants, "X_MIN", None, None), "0.75")])
    assert after == before.replace(b"0.5", b"0.75")


def place(text: str, symbol: str, subkey: str | None = None, concurrency: int | None = None) -> NumberSite:
    return locate(found(text.encode()), symbol, subkey, concurrency)


def test_a_nested_entry_is_found_by_its_concurrency_alone() -> None:
    text = "_P = {\n    8: {'q': 1.0},\n    16: {'q': 2.0, 'r': 3.0},\n}\n"
    assert place(text, "_P", "q", 16).value == 2.0
    assert place(text, "_P", "q", 8).line == 2
    assert place(text, "_P", "r", None).value == 3.0, "the single place that fits"


@pytest.mark.parametrize(
    ("text", "subkey", "concurrency", "code", "says"),
    [
        ("Y = 1", None, None, "no_literal", "no plain assignment"),
        ("X_MIN, Z = 1, 2", None, None, "no_literal", "line 1 binds it in another way"),
        ("X_MIN = 1\nX_MIN = 2", None, None, "ambiguous_literal", "lines 1, 2"),
        ("X_MIN = 1\nif A:\n    X_MIN = 2", None, None, "ambiguous_literal", "lines 1, 2"),
        ("X_MIN = Y_MIN = 1", None, None, "ambiguous_literal", "same literal to Y_MIN"),
        ("X_MIN = 2 + 3", None, None, "not_a_literal", "an expression"),
        ("X_MIN = slack(REF)", None, None, "not_a_literal", "computed from other names"),
        ("X_MIN = 'a'", None, None, "not_a_literal", "not a number"),
        ("X_MIN = {16: {'q': 1}}", None, None, "not_a_literal", "a dictionary"),
        ("X_MIN = {16: {'q': 1}}", "r", 16, "no_literal", "no such number"),
        ("X_MIN = {16: {'q': 1}}", "q", 8, "no_literal", "no such number"),
        ("X_MIN = {8: {'q': 1}, 16: {'q': 1}}", "q", None, "ambiguous_literal", "2 places fit"),
        ("X_MIN = {16: {'q': 1}, 16: {'q': 1}}", "q", 16, "ambiguous_literal", "is duplicated"),
        ("X_MIN = {16: {'q': 1, **OTHER}}", "q", 16, "ambiguous_literal", "`**` may replace"),
    ],
)
def test_what_is_not_one_plain_number_is_refused(
    text: str, subkey: str | None, concurrency: int | None, code: str, says: str
) -> None:
    with pytest.raises(Refused, match="cannot be rewritten") as refusal:
        place(text + "\n", "X_MIN", subkey, concurrency)
    assert refusal.value.code == code
    assert says in refusal.value.message
    assert str(PATH) in refusal.value.message


def test_two_edits_of_one_place_are_refused() -> None:
    constants = found(b"X_MIN = 1\n")
    site = locate(constants, "X_MIN", None, None)
    with pytest.raises(Refused, match="two metrics would write it"):
        rewrite(constants, [Edit(site, "2"), Edit(site, "3")])


@FUZZ
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_written_with_the_fewest_digits_that_read_back(value: float) -> None:
    text = number_text(value)
    assert float(text) == value
    digits = len(text.split("e")[0].replace(".", "").strip("-0")) or 1
    assert digits == 1 or float(f"{value:.{digits - 2}e}") != value, "one digit less says another number"
