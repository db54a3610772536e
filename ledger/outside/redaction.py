"""Credentials are told to nobody and kept nowhere: not in a message, an event, a log or an answer with `--json`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, AnyStr

_NAME = r"(?i)TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|ACCESS_?KEY|COOKIE"
LENGTH_MIN = 8  # shorter values ("1", "true") are settings, and would blank out half a log
# tokens that name themselves, wherever they come from
_KNOWN = rb"\b(?:hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|AKIA[0-9A-Z]{16})\b"
BLANK = b"***"

# What stands between `//` and `@` (`git@` is everybody's), and the values of parameters that are named as secrets are.
# Neither can reach across a quote or an escape, so that JSON stays JSON.
_IN_URL = rb"""(?ix)(?P<user>\b[a-z][a-z0-9+.-]*://)(?!git@)[^\s/?\#"'<>\\]+(?=@)
       | (?P<hub>\bhf://(?:[^\s/?\#"'<>\\]+/)+)[^\s/:?\#"'<>\\]*:[^\s/?\#"'<>\\]+(?=@)
       | (?P<name>[?&;](?:[\w.-]*(?:token|secret|passw(?:or)?d|credential|api[_-]?key|access[_-]?key|signature)[\w.-]*
                       |sig|auth|key)=)[^\s&;\#"'<>\\]+"""


@cache
def _compiled(pattern: AnyStr) -> re.Pattern[AnyStr]:
    """Compile a pattern when it is first used: most starts of a command need none."""
    return re.compile(pattern)


def clean_urls(data: bytes) -> bytes:
    """Return UTF-8 text without the credentials that URLs in it hold."""
    if b"://" not in data:
        return data
    clean: bytes = _compiled(_IN_URL).sub(lambda found: (found["user"] or found["hub"] or found["name"]) + BLANK, data)
    return clean


def without_credentials(text: str) -> str:
    """Return text without the credentials that URLs in it hold."""
    if "://" not in text:
        return text
    return clean_urls(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")


class Redactor:
    """Blanks the credentials of an environment and of URLs, and tokens of known shape, out of text and bytes."""

    def __init__(self, env: Mapping[str, str], more: Iterable[str] = ()) -> None:
        names = _compiled(_NAME)
        values = {value for name, value in env.items() if names.search(name) and len(value) >= LENGTH_MIN}
        self._values = sorted((v.encode("utf-8", "surrogateescape") for v in values | set(more)), key=len, reverse=True)

    def clean(self, data: bytes) -> bytes:
        """Return the bytes without credentials."""
        for value in self._values:
            data = data.replace(value, BLANK)
        return _compiled(_KNOWN).sub(BLANK, clean_urls(data))

    def text(self, text: str) -> str:
        """Return the text without credentials."""
        return self.clean(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")


def told(value: Any) -> Any:
    """Return what a message may tell of a value: its texts without credentials, also those of this environment.

    Texts, and lists and objects of them, are looked through; anything else is returned as it is.
    """
    return _told(value, Redactor(os.environ))


def _told(value: Any, redactor: Redactor) -> Any:
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        clean = redactor.clean(data)
        return value if clean == data else clean.decode("utf-8", "surrogatepass")
    if isinstance(value, list | tuple):
        return [_told(one, redactor) for one in value]
    if isinstance(value, dict):
        return {_told(key, redactor): _told(one, redactor) for key, one in value.items()}
    return value
