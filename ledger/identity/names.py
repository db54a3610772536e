"""Names of people: two that read the same are the same, and one that reads as somebody else is refused.

Names are compared in NFKC, case folded, with the space around them gone (`normal`). Refused are characters that
cannot be seen or that change the direction of writing, and letters of several scripts in one name, the means by which
one name is made to look like another (Unicode Technical Standard 39, "single script" with the East Asian combinations
of its "highly restrictive" level).
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from ledger.errors import BadInput

# Seen as nothing, or as space, although they are letters or marks by their category.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_UNSEEN = frozenset(("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"))
_HAN = frozenset(("CJK", "IDEOGRAPHIC"))
# Scripts that are written together: Japanese, Chinese and Korean, each with Latin letters between.
_TOGETHER = (
    frozenset(("LATIN", "HAN", "HIRAGANA", "KATAKANA")),
    frozenset(("LATIN", "HAN", "BOPOMOFO")),
    frozenset(("LATIN", "HAN", "HANGUL")),
)
# Letters of other scripts that are drawn as a Latin one (from the confusables of UTS 39), lower case.
_AS_LATIN = frozenset("аеорсухіјѕһԁԛԝӏкмтвнгпα\u03bfνρτικυγаոսհցօզ")


def normal(name: str) -> str:
    """Return a name as it is compared: NFKC, case folded, without space around it and with single spaces inside."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


@lru_cache(maxsize=4096)
def fault(name: str) -> str:
    """Return why a name is refused, as the end of a sentence that begins with the name, or ""."""
    if not normal(name):
        return "is empty"
    for sign in name:
        if unicodedata.category(sign) in _UNSEEN or sign in _BLANK or _selects_a_variant(sign):
            return f"has a character that cannot be seen, {_named(sign)}"
    scripts = {_script(sign) for sign in normal(name) if sign.isalpha()} - {""}
    if len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER):
        return f"mixes letters of several scripts ({', '.join(sorted(scripts)).lower()})"
    letters = {sign for sign in normal(name) if sign.isalpha()}
    if letters and letters <= _AS_LATIN:
        return f"has only {'/'.join(sorted(scripts)).lower()} letters that are drawn as Latin ones"
    return ""


def checked(name: str, *, what: str = "name") -> str:
    """Return a name that may be an approver's. Raises `BadInput`, naming the character, for any other."""
    why = fault(name)
    if why:
        raise BadInput(
            f"the {what} {name!a} {why}; nothing was recorded",
            code="name_refused",
            hint="write it in letters of one script, without invisible characters: --actor NAME",
        )
    return name


def _selects_a_variant(sign: str) -> bool:
    return "\ufe00" <= sign <= "\ufe0f" or "\U000e0100" <= sign <= "\U000e01ef"


def _named(sign: str) -> str:
    return f"U+{ord(sign):04X} {unicodedata.name(sign, 'without a name')}"


def _script(letter: str) -> str:
    """Return the script of a letter by the first word of its name in the Unicode database."""
    first = unicodedata.name(letter, "").split(" ")[0].split("-")[0]
    if first in ("MODIFIER", "FEMININE", "MASCULINE"):
        return ""
    return "HAN" if first in _HAN else first
