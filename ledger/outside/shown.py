"""Text from outside is shown, never obeyed: what a terminal, Markdown, HTML and CSV may get of it.

One function each, used wherever a title, a name or a message of somebody else reaches a reader. They change as little
as they can: ordinary text of any language comes out as it went in.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import cache

# Controls, and what is seen as nothing or turns the direction of writing: the Unicode property
# Default_Ignorable_Code_Point without the two selectors of ordinary emoji (U+FE0E, U+FE0F), the line ends that are
# none of ours, the annotation marks, and halves of surrogate pairs.
_UNSEEN = (
    "\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
# A mark that no data can hold, as it is drawn for this process: behind it stands a colour that we set ourselves.
_OURS = f"\x00{os.urandom(8).hex()}\x00"
_CELL = f"[{_UNSEEN}]"
_LINES = rf"{_OURS}(\x1b\[[0-9;]*m)|(?![\n\t])[{_UNSEEN}]"
_STYLE = rf"{_OURS}\x1b\[[0-9;]*m"
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}

_BREAKS = r"[\r\n\t\v\f\x85\u2028\u2029]+"
_PUNCTUATION = r"!-/:-@\[-`{-~"
# what begins markup, HTML, a link, a mention or a reference, wherever it stands in a line
_MARKUP = rf"""(?x)
         (?P<escape> \\(?=[{_PUNCTUATION}]|$) | [`*<|~$] | \](?=[(:]) | _(?=_*(?:\W|$)) | :(?=//) )
       | (?P<entity> &(?=[\#\w]) )
       | (?P<apart> @(?=\w) | \#(?=[0-9]) | (?i:\bGH-)(?=[0-9]) )
       | (?P<host> (?i:www)\. )"""
_BEGINS_BLOCK = r"(?:>|\[(?=[ xX]\])|[#+=-]+(?=\s|$)|[-=]{3,}|[0-9]{1,9}(?=[.)](?:\s|$)))"
_APART = "&#8203;"  # a space without width, as an entity: readers see nothing, GitHub no mention and no reference

_FORMULA = r"[\s\x00]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern when it is first used: most starts of a command need none."""
    return re.compile(pattern)


def terminal(text: str, *, lines: bool = False) -> str:
    r"""Return text as a terminal may get it: what cannot be seen is written out, `\x1b`, `\u202e`.

    lines: the text is of several lines, so line feeds, tabs and colours set by `styled` stay. Without it the text is
    a cell or a word of a sentence, and a line feed in it is written out as well.
    """
    if text.isascii() and text.isprintable():
        return text
    if lines:
        return _compiled(_LINES).sub(lambda found: found[1] or _written(found[0]), text)
    return _compiled(_CELL).sub(lambda found: _written(found[0]), text)


def text_of(lines: Iterable[str]) -> str:
    """Return lines as one text for a terminal, in which no line is begun by what somebody else wrote."""
    return "\n".join(terminal(line) for line in lines)


def styled(text: str) -> str:
    """Return text whose colours (SGR sequences) are our own: `terminal` leaves them. Data in it is escaped already."""
    return text.replace("\x1b[", f"{_OURS}\x1b[")


def plain(text: str) -> str:
    """Return text without the colours that `styled` marked, for a file."""
    return _compiled(_STYLE).sub("", text)


def json_text(text: str) -> str:
    r"""Return JSON text of the same value in which what cannot be seen is written as `\u202e`."""
    if text.isascii() and "\x7f" not in text:
        return text  # an encoder has escaped the other controls, and line feeds stand between values
    return _compiled(_CELL).sub(lambda found: found[0] if found[0] in "\n\t" else _as_json(found[0]), text)


def markdown(text: str) -> str:
    """Return text for a line or a table cell of Markdown that reads the same and is nothing but text.

    It makes no link, picture, mention, reference, HTML, markup, cell or line of its own, on GitHub neither.
    """
    flat = terminal(_compiled(_BREAKS).sub(" ", text)).strip()
    begins = _compiled(_BEGINS_BLOCK).match(flat)
    if not begins:
        return _compiled(_MARKUP).sub(_defused, flat)
    first, rest = begins[0], _compiled(_MARKUP).sub(_defused, flat[begins.end() :])
    return f"{first}\\{rest}" if first.isdecimal() else f"\\{first}{rest}"


def markdown_code(text: str) -> str:
    """Return text as a code span of Markdown, outside of tables. A backtick is shown as an apostrophe."""
    flat = terminal(_compiled(_BREAKS).sub(" ", text)).replace("`", "'")
    return f"`{flat or ' '}`"


def html(text: str) -> str:
    """Return text for an element or a quoted attribute of HTML."""
    from html import escape

    return escape(terminal(text, lines=True), quote=True)


def csv(text: str) -> str:
    """Return text for a CSV cell that a spreadsheet shows and does not compute: `'` is put before a formula."""
    return f"'{text}" if _compiled(_FORMULA).match(text) else text


def _written(sign: str) -> str:
    if sign in _SHORT:
        return _SHORT[sign]
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _as_json(sign: str) -> str:
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _defused(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "escape":
            return f"\\{found[0]}"
        case "entity":
            return "&amp;"
        case "host":
            return f"{found[0][:-1]}\\."
    return f"{found[0]}{_APART}"
