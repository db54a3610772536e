"""Names of approvers: compared in NFKC, case folded and trimmed; unseen characters and mixed scripts are refused.

The rule is row T5 of the design of trust; the classes of characters are those of Unicode Technical Standard 39.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import BadInput
from ledger.identity import names

SAME = [
    ("ann@x.org", "Ann@X.org"),
    ("ann@x.org", "  ann@x.org\t"),
    ("Ann Smith", "ann  smith"),
    ("ann smith", "ann\u00a0smith"),
    ("Jo\u00eb", "Joe\u0308"),
    ("\uff4a\uff4f\uff45", "joe"),
    ("STRASSE", "stra\u00dfe"),
    ("\U0001d400nn", "Ann"),
]
UNSEEN = ["\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202e", "\u2066", "\u061c", "\x07", "\u3164", "\u2800"]
UNSEEN += ["\ufe0f", "\U000e0041", "\U000e0100", "\u034f", "\u115f", "\ue000", "\u2028"]
MIXED = ["\u0430nn@x.org", "\u0430\u043d\u043d\u0430@x.org", "b\u03bfb", "\u0561nn", "ivan\u5c71\u0438"]
ALIKE = ["\u0441\u043e\u0441\u043e", "\u03bd\u03bf", "\u0440\u0430\u0443"]
FINE = [
    "ann@x.org",
    "Anna",
    "\u0410\u043d\u043d\u0430 \u0418\u0432\u0430\u043d\u043e\u0432\u0430",
    "ci-bot[7]",
    "J. O'Neil",
]
FINE += [
    "\u5c71\u7530\u592a\u90ce",
    "\u5c71\u7530 taro",
    "\u3084\u307e\u3060 \u30bf\u30ed\u30a6",
    "\uae40\ucca0\uc218",
    "\u0141ukasz",
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_names_that_read_the_same_are_the_same(one: str, other: str) -> None:
    assert names.normal(one) == names.normal(other)


@pytest.mark.parametrize("sign", UNSEEN, ids=[f"U+{ord(sign):04X}" for sign in UNSEEN])
def test_a_name_with_a_character_that_cannot_be_seen_is_refused_and_the_character_named(sign: str) -> None:
    with pytest.raises(BadInput) as caught:
        names.checked(f"an{sign}n@x.org")
    assert caught.value.code == "name_refused"
    assert f"U+{ord(sign):04X}" in caught.value.message
    assert caught.value.message.isprintable(), "what cannot be seen is not printed either"


@pytest.mark.parametrize("name", MIXED, ids=ascii)
def test_a_name_in_letters_of_several_scripts_is_refused(name: str) -> None:
    assert "mixes letters of several scripts" in names.fault(name)


@pytest.mark.parametrize("name", ALIKE, ids=ascii)
def test_a_name_of_another_script_that_is_drawn_like_a_latin_one_is_refused(name: str) -> None:
    assert "drawn as Latin" in names.fault(name)


@pytest.mark.parametrize("name", FINE, ids=ascii)
def test_names_of_one_script_or_of_scripts_that_are_written_together_are_fine(name: str) -> None:
    assert names.checked(name) == name


@pytest.mark.parametrize("name", ["", " ", "\u3000"], ids=ascii)
def test_an_empty_name_is_refused(name: str) -> None:
    assert names.fault(name) == "is empty"


@given(st.text(max_size=20))
def test_a_name_is_its_own_normal_form_once_normalised(name: str) -> None:
    assert names.normal(names.normal(name)) == names.normal(name)
    assert isinstance(names.fault(name), str)
