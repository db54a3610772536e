"""Keeps credentials of the environment out of events and evidence: a log may print what a test was given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

NAME = re.compile(r"(?i)TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|ACCESS_?KEY|COOKIE")
LENGTH_MIN = 8  # shorter values ("1", "true") are settings, and would blank out half a log
# tokens that name themselves, wherever they come from
KNOWN = re.compile(rb"\b(?:hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|AKIA[0-9A-Z]{16})\b")
BLANK = b"***"


class Redactor:
    """Blanks the credentials of an environment, and tokens of known shape, out of text and bytes."""

    def __init__(self, env: Mapping[str, str], more: Iterable[str] = ()) -> None:
        values = {value for name, value in env.items() if NAME.search(name) and len(value) >= LENGTH_MIN}
        self._values = sorted((v.encode() for v in values | set(more)), key=len, reverse=True)

    def clean(self, data: bytes) -> bytes:
        """Return the bytes without credentials."""
        for value in self._values:
            data = data.replace(value, BLANK)
        return KNOWN.sub(BLANK, data)

    def text(self, text: str) -> str:
        """Return the text without credentials."""
        return self.clean(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")
