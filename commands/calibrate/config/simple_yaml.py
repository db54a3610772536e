"""Reads the subset of YAML that generated files stay within, line by line.

The subset: `key:`, `key: value` and `- value` lines indented by spaces, whole-line comments, values
without quotes made of letters, digits and `_./@+:=-`, values in double quotes without escapes, `{}`
and `[]`. Within it this reader and a full YAML parser agree; outside it this one returns None.
"""

from __future__ import annotations

import re
from typing import Any

from commands.calibrate.config.scalars import plain_scalar

_WORD = r"[A-Za-z0-9_][A-Za-z0-9_./@+=-]*(?::[A-Za-z0-9_./@+=-]+)*"
_KEY = r"[A-Za-z_][A-Za-z0-9_.-]*(?: [A-Za-z0-9_.-]+)*"
_LINE = re.compile(
    rf"(?P<indent> *)(?:(?P<item>- )|(?P<key>{_KEY}):(?: |$))"
    rf"(?:(?P<empty>\{{\}}|\[\])|\"(?P<quoted>[^\"\\]*)\"|(?P<word>{_WORD}))?"
)
# other line ends, tabs and controls are left to the full parser
_LEFT_OUT = re.compile("[^\n -~\u00a0-\u2027\u202a-\ud7ff]")
_COMMENT = re.compile(r" *(#.*)?")

_Container = dict[str, Any] | list[Any]


def parse_simple(text: str) -> dict[str, Any] | None:
    """Return the mapping a text holds, or None when it leaves the subset anywhere."""
    if _LEFT_OUT.search(text):
        return None
    root: dict[str, Any] = {}
    # open containers with the indent of their entries; None until the first entry says it
    stack: list[tuple[int, _Container]] = [(0, root)]
    pending: tuple[int, dict[str, Any], str] | None = None
    for line in text.split("\n"):
        if _COMMENT.fullmatch(line):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        indent = len(match["indent"])
        if pending is not None and indent > pending[0]:
            _, owner, key = pending
            child: _Container = [] if match["item"] else {}
            owner[key] = child
            stack.append((indent, child))
        pending = None
        while stack and stack[-1][0] > indent:
            stack.pop()
        if not stack or stack[-1][0] != indent:
            return None
        container = stack[-1][1]
        if match["item"]:
            if not isinstance(container, list) or not _has_value(match):
                return None
            container.append(_value(match))
            continue
        key = match["key"]
        if not isinstance(container, dict) or key in container:
            return None
        container[key] = _value(match)
        if not _has_value(match):
            pending = (indent, container, key)
    return root


def _has_value(match: re.Match[str]) -> bool:
    return any(match[name] is not None for name in ("empty", "quoted", "word"))


def _value(match: re.Match[str]) -> Any:
    if match["empty"]:
        return {} if match["empty"] == "{}" else []
    if match["quoted"] is not None:
        return match["quoted"]
    # a key with nothing below it is an empty mapping for the existing reader
    return plain_scalar(match["word"]) if match["word"] is not None else {}
