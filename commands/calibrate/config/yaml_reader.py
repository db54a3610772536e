"""YAML as the existing configuration files mean it, read with a real YAML library.

tune.py reads its files with a reader of its own, and files grew up around that reader. ruamel.yaml
does the parsing here, so comments after values, single quotes, `[a, b]` and block scalars work; the
meaning of a scalar stays what those files were written for:

* in double quotes only `\\"` and `\\\\` are escapes, so `"^\\d+$"` is the regular
  expression it looks like;
* `null`, `~` and nothing are None, `true` and `false` booleans; a number with a point is a float, a
  number without one an int; everything else is text (`1e5`, `yes`, hashes and time stamps too);
* a line YAML itself refuses, like `description: TTS: all` or `- *_ci.py`, is read as plain text.

Generated files are thousands of lines of the simplest YAML there is; those that stay within it are
read by `simple_yaml.py` at some twenty times the speed. A test holds the two readers to each other.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from commands.calibrate.config.scalars import plain_scalar
from commands.calibrate.config.simple_yaml import parse_simple
from ledger.errors import BadInput

_ITEM = re.compile(r"^(?P<head> *- +)(?P<value>.*?) *$")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_BACKSLASH = re.compile(r"\\(.)")


def parse_yaml(data: bytes, path: Path) -> dict[str, Any]:
    """Return the mapping a file holds; `path` is only named in errors.

    Raises `BadInput` naming file and line for text that is not UTF-8, for a duplicate key in one
    mapping, and for what neither YAML nor the existing reader understands.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _bad(path, data[: error.start].count(b"\n") + 1, "is not UTF-8 text") from None
    simple = parse_simple(text)
    if simple is not None:
        return simple
    try:
        node = _compose(text)
    except Exception as first:  # ruamel has a dozen classes for "not YAML"
        if not _is_yaml_error(first):
            raise
        text = "\n".join(_tolerated(line) for line in text.splitlines())
        try:
            node = _compose(text)
        except Exception as error:
            if not _is_yaml_error(error):
                raise
            raise _bad(path, _line_of(first), _problem_of(first)) from None
    if node is None:
        return {}
    try:
        document = _Values(text, path).of(node)
    except RecursionError:
        raise _bad(path, 1, "contains itself, or nests too deep") from None
    if not isinstance(document, dict):
        raise _bad(path, 1, "must be a mapping of keys to values")
    return document


def _compose(text: str) -> Any:
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).compose(text)


def _is_yaml_error(error: Exception) -> bool:
    from ruamel.yaml.error import YAMLError

    return isinstance(error, YAMLError)


def _tolerated(line: str) -> str:
    """Return a line YAML accepts: a value or key that is no YAML of its own becomes quoted text."""
    if not line.strip() or line.lstrip().startswith("#"):
        return line
    item = _ITEM.match(line)
    if item:
        return item["head"] + _quote_unless_yaml(item["value"])
    indent = line[: len(line) - len(line.lstrip())]
    key, colon, value = line.strip().partition(":")
    if not colon:
        return line
    return f"{indent}{_quote_unless_yaml(key.strip())}: {_quote_unless_yaml(value.strip())}"


def _quote_unless_yaml(text: str) -> str:
    if text in ("", "|", ">", "|-", ">-") or text.startswith("#"):
        return text
    text = _QUOTED.sub(_keep_backslashes, text) if text.startswith('"') else text
    try:
        node = _compose(text)
    except Exception as error:
        if not _is_yaml_error(error):
            raise
        node = None
    if node is None or (node.id == "mapping" and not text.startswith("{")):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return text


def _keep_backslashes(match: re.Match[str]) -> str:
    """Double every backslash of a quoted value that YAML would take for an escape of its own."""
    return _BACKSLASH.sub(lambda m: m.group(0) if m.group(1) in '"\\' else "\\\\" + m.group(1), match.group(0))


class _Values:
    """Plain values of a parsed document; `text` is what the marks of its nodes point into."""

    def __init__(self, text: str, path: Path) -> None:
        self.text, self.path = text, path

    def of(self, node: Any) -> Any:
        if node.id == "scalar":
            return self.scalar(node)
        if node.id == "sequence":
            return [self.of(item) for item in node.value]
        return self.mapping(node)

    def scalar(self, node: Any) -> Any:
        if node.style is None:
            return plain_scalar(node.value)
        raw = self.text[node.start_mark.index : node.end_mark.index]
        if node.style == '"' and "\\" in raw and "\n" not in raw:
            # YAML would read "^\\bx" as a backspace; the files mean the two characters
            return _BACKSLASH.sub(lambda m: m.group(1) if m.group(1) in '"\\' else m.group(0), raw[1:-1])
        return node.value

    def merged(self, node: Any) -> dict[str, Any]:
        """What `<<: *base` or `<<: [*one, *two]` brings; the first one wins, own keys win over all."""
        found: dict[str, Any] = {}
        for source in node.value if node.id == "sequence" else [node]:
            if source.id != "mapping":
                raise _bad(self.path, node.start_mark.line + 1, "merges something that is not a mapping")
            found = {**self.of(source), **found}
        return found

    def mapping(self, node: Any) -> dict[str, Any]:
        result: dict[str, Any] = {}
        below: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.id != "scalar":
                raise _bad(self.path, line, "has a key that is not one word")
            key = str(key_node.value)
            if key == "<<" and key_node.style is None:
                below |= self.merged(value_node)
                continue
            if key in result:
                raise _bad(self.path, line, f"gives the key {key!r} twice in one mapping")
            # `key:` with nothing below it is an empty mapping for the existing reader
            empty = value_node.id == "scalar" and value_node.style is None and value_node.value == ""
            result[key] = {} if empty else self.of(value_node)
        return {**below, **result}


def _line_of(error: Exception) -> int:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return 1 if mark is None else int(mark.line) + 1


def _problem_of(error: Exception) -> str:
    return f"is not valid YAML: {getattr(error, 'problem', None) or 'cannot be read'}"


def _bad(path: Path, line: int, problem: str) -> BadInput:
    return BadInput(
        f"{path}: line {line} {problem}",
        code="bad_yaml",
        hint=f"correct {path}",
        file=str(path),
        line=line,
    )
