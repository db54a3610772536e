"""Path filters as Buildkite's monorepo-diff plugin v1.4.0 reads them.

The rule, from its source: a pattern that contains `*` is tried as a glob over the whole name;
otherwise, *and also* when the glob did not match, the pattern is tried as a plain prefix. So
`docker/Dockerfile` matches `docker/Dockerfile.rocm`. The glob is doublestar's: `**` as a whole path
part matches any number of parts, also none; `*` and `?` stay within one part; `[...]` is a class,
`[!...]` or `[^...]` its opposite; `{a,b}` are alternatives; a backslash takes away a special meaning.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ledger.errors import BadInput

MATCHER = "monorepo-diff-1.4.0"


def match_how(pattern: str, name: str) -> str | None:
    """Return `glob` or `prefix`, by which of the two the name matches the pattern; None when neither."""
    if "*" in pattern and _compiled(pattern).fullmatch(name):
        return "glob"
    return "prefix" if name.startswith(pattern) else None


def to_regex(pattern: str) -> str:
    """Return the regular expression (with the same meaning in RE2 and in Python) of a glob, to match a whole name.

    Raises `BadInput` for a glob that is not closed: `[` without `]`, `{` without `}`, a last backslash.
    """
    parts = _path_parts(pattern)
    out = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        after_any = index > 0 and parts[index - 1] == "**"
        if part != "**":
            out += ("" if index == 0 or after_any else "/") + _translate(part, pattern)
        elif last:
            # `a/**` matches a and all below it; a bare `**` matches everything
            out += "(?:/.*)?" if index else ".*"
        else:
            # `**/x` matches x itself, `a/**/b` matches a/b
            out += ("/" if index else "") + "(?:.*/)?"
    return out


def _path_parts(pattern: str) -> list[str]:
    """Split at the slashes outside braces; several `**` in a row say no more than one."""
    parts = [""]
    depth = 0
    escaped = False
    for sign in pattern:
        if sign == "/" and depth == 0 and not escaped:
            parts.append("")
            continue
        if not escaped:
            depth += (sign == "{") - (sign == "}" and depth > 0)
        escaped = sign == "\\" and not escaped
        parts[-1] += sign
    return [part for index, part in enumerate(parts) if not (part == "**" and index and parts[index - 1] == "**")]


def _translate(text: str, pattern: str) -> str:
    """Translate a piece of a glob that holds no `**` part."""
    out: list[str] = []
    depth = 0
    index = 0
    while index < len(text):
        sign = text[index]
        index += 1
        if sign == "\\":
            if index == len(text):
                raise _unclosed(pattern, "ends in a backslash")
            out.append(re.escape(text[index]))
            index += 1
        elif sign == "*":
            while index < len(text) and text[index] == "*":
                index += 1  # `a**` is `a*`: two stars inside a part say no more than one
            out.append("[^/]*")
        elif sign == "?":
            out.append("[^/]")
        elif sign == "[":
            piece, index = _char_class(text, index, pattern)
            out.append(piece)
        elif sign == "{":
            depth += 1
            out.append("(?:")
        elif sign == "}" and depth:
            depth -= 1
            out.append(")")
        elif sign == "," and depth:
            out.append("|")
        else:
            out.append(re.escape(sign))
    if depth:
        raise _unclosed(pattern, "has a `{` without `}`")
    return "".join(out)


def _char_class(text: str, start: int, pattern: str) -> tuple[str, int]:
    """Translate the class whose `[` stands just before `start`; return it and where it ends."""
    index = start
    negated = text[index : index + 1] in ("!", "^")
    index += negated
    body = ""
    while True:
        if index >= len(text):
            raise _unclosed(pattern, "has a `[` without `]`")
        sign = text[index]
        if sign == "]" and body:
            break
        if sign == "\\" and index + 1 < len(text):
            index += 1
            body += re.escape(text[index])
        elif sign == "-":
            body += "-"
        else:
            body += re.escape(sign)
        index += 1
    # a class never takes the slash, not even a negated one
    return (f"[^/{body}]" if negated else f"[{body}]"), index + 1


def _unclosed(pattern: str, fault: str) -> BadInput:
    return BadInput(
        f"the pattern {pattern!r} {fault}",
        code="bad_pattern",
        hint="write a backslash before a character that is meant literally",
        pattern=pattern,
    )


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    # DOTALL: a name may hold a newline, and `**` covers it
    return re.compile(to_regex(pattern), re.DOTALL)
