"""Text as an attacker writes it, and what must be left of it where it is shown."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import cmarkgfm  # type: ignore[import-untyped]

FORGED = "FORGED-LINE"
HOSTILE = (
    "x\x1b]52;c;ZXZpbA==\x07\x1b[2J\x1b[8m\x9b1A\u202eabc\u200b\u2066\U000e0041\r"
    f"\n{FORGED} 1@o ok\n\n# {FORGED}\n| @everyone [x](javascript:alert(1)) ![i](http://evil.example/i.png) "
    "<img src=x onerror=alert(1)> </td></table><script>alert(1)</script> https://evil.example www.evil.example "
    "mail@evil.example #12 ` \"'>=HYPERLINK(1) \ud800 \\"
)
STORABLE = HOSTILE.replace("\ud800", "\ufffd")  # half of a surrogate pair is no Unicode text, and no event holds one
FORMULAS = ("=HYPERLINK(1)", "+1+1", "-1+cmd|x", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\uff1d1+1", " =1")

_OWN_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\U000e0000-\U000e007f]")


def obeyed(text: str) -> list[str]:
    """Return what a terminal would obey in an output, or not show; line ends and plain colours are not in it."""
    plain = _OWN_COLOUR.sub("", text.replace("\r\n", "\n"))
    return sorted({hex(ord(sign)) for sign in _OBEYED.findall(plain)} | ({"conceal"} if "\x1b[8m" in text else set()))


class Elements(HTMLParser):
    """The elements, the attributes and the text of a page. code: the text in code spans, which mentions nobody."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self._in_code = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element and the names of its attributes."""
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self._in_code = self._in_code or tag == "code"

    def handle_endtag(self, tag: str) -> None:
        """Note where code ends."""
        self._in_code = self._in_code and tag != "code"

    def handle_data(self, data: str) -> None:
        """Keep text outside of code."""
        if not self._in_code:
            self.text += data


def rendered(markdown: str) -> Elements:
    """Return what GitHub's own renderer makes of Markdown, HTML in it let through as it is."""
    options = cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE
    return Elements(cmarkgfm.github_flavored_markdown_to_html(markdown, options))


def live(page: Elements) -> list[str]:
    """Return what a rendered page would do for somebody whose text is in it."""
    found = sorted(page.names & {"a", "img", "script", "input", "iframe", "style"})
    return found + re.findall(r"(?:^|[^\w])@\w+|#[0-9]+", page.text)
