"""How every threshold literal of a repository moved, read from its git history."""

from __future__ import annotations

import ast
import hashlib
import math
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from commands.literals.finder import CONSTANT_NAME
from commands.literals.git_history import BlobReader, Commit, FileChange, mainline
from commands.literals.source import read_source
from commands.literals.syntax import named_values, parse_python
from ledger.errors import BadInput

DEFAULT_PATHS = ["*.py"]
# A name contains a word for a bound, or the number is in a table of bounds (`_MMSU_P95[16]['rtf_mean']`).
BOUND_NAME = re.compile(r"(?:.*_)?(?:MIN|MAX|REF|REFERENCE|LIMIT|BUDGET|THRESHOLD|SLACK)(?:_.*)?\Z")
_BLOBS_KEPT = 512

Place = tuple[str, tuple[int | str, ...]]  # symbol, keys


class ThresholdEdit(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one literal on the mainline.

    `change`: `added`, `changed` or `removed`; `old` and `new` are the numbers as Python writes them,
    None on the missing side. `literal` is the whole place, `subkey` the last text key in a table.
    `author_hash`: SHA-256 of the author's e-mail in lower case.
    """

    commit: str
    committed_at: str
    author_hash: str
    pr: int | None
    file: str
    symbol: str
    subkey: str | None
    literal: str
    change: str
    old: str | None
    new: str | None


def walk_history(repo: Path, *, paths: list[str], since: str | None) -> Iterator[ThresholdEdit]:
    """Yield every change of a threshold literal, oldest commit first, in file and source order.

    `paths` are git pathspecs (default `*.py`); `since` a revision after which to begin. A file that
    is not valid Python at some commit changes nothing there; the next version that is, is compared
    with the last one that was. Raises `BadInput` for no repository or an unknown revision.
    """
    last_known: dict[str, Mapping[Place, str]] = {}
    with BlobReader(repo) as blobs:
        values = _Values(blobs)
        for commit in mainline(repo, paths or DEFAULT_PATHS, since):
            for change in commit.changes:
                if not change.path.endswith(".py"):
                    continue
                before = last_known.get(change.path)
                if before is None:
                    before = values.of(change.old_blob, change.path) or {}
                after = values.of(change.new_blob, change.path)
                last_known[change.path] = before if after is None else after
                yield from _edits(commit, change, before, last_known[change.path])


def _edits(
    commit: Commit, change: FileChange, before: Mapping[Place, str], after: Mapping[Place, str]
) -> Iterator[ThresholdEdit]:
    author = hashlib.sha256(commit.author_email.strip().lower().encode("utf-8", "replace"))
    for place in dict.fromkeys([*after, *before]):
        old, new = before.get(place), after.get(place)
        if old == new:
            continue
        symbol, keys = place
        texts = [key for key in keys if isinstance(key, str)]
        yield ThresholdEdit(
            commit=commit.id,
            committed_at=commit.committed_at,
            author_hash=author.hexdigest(),
            pr=commit.pull_request,
            file=change.path,
            symbol=symbol,
            subkey=texts[-1] if texts else None,
            literal=symbol + "".join(f"[{key!r}]" for key in keys),
            change="added" if old is None else "removed" if new is None else "changed",
            old=old,
            new=new,
        )


class _Values:
    """Threshold values by blob; the newest few hundred blobs are remembered."""

    def __init__(self, blobs: BlobReader) -> None:
        self.blobs = blobs
        self.known: OrderedDict[str, Mapping[Place, str] | None] = OrderedDict()

    def of(self, blob: str | None, path: str) -> Mapping[Place, str] | None:
        """Return the values of a blob: empty without one, None when it is not Python."""
        if blob is None:
            return {}
        if blob not in self.known:
            self.known[blob] = threshold_values(self.blobs.read(blob), Path(path))
            if len(self.known) > _BLOBS_KEPT:
                self.known.popitem(last=False)
        return self.known[blob]


def threshold_values(data: bytes, path: Path) -> dict[Place, str] | None:
    """Return the threshold numbers of a Python file as text, by place; None when it does not parse.

    Plain and annotated top-level assignments; of a name bound twice the last counts, as in Python.
    The built-in parser reads whole histories; rewriting needs every byte and uses `finder.py`.
    """
    try:
        tree = parse_python(read_source(data, path).text)
    except (BadInput, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    values: dict[Place, str] = {}
    integers: dict[str, int] = {}
    for statement in tree.body:
        for name, value in named_values(statement):
            if not CONSTANT_NAME.match(name):
                continue
            number = _number(value)
            for place in [place for place in values if place[0] == name]:
                del values[place]
            integers.pop(name, None)
            if isinstance(number, int):
                integers[name] = number
            if number is not None and BOUND_NAME.match(name.lstrip("_")):
                values[name, ()] = repr(number)
            elif isinstance(value, ast.Dict):
                values.update(_table(name, (), value, integers))
    return values


def _table(
    name: str, above: tuple[int | str, ...], table: ast.Dict, integers: Mapping[str, int]
) -> Iterator[tuple[Place, str]]:
    """Yield the numbers of a table of bounds: text keys, below at most one row key.

    A number as row key (a concurrency) marks such a table; else its name must suggest a bound.
    """
    by_row = bool(above) and isinstance(above[0], int)
    for key_node, value in zip(table.keys, table.values, strict=True):
        key = _key(key_node, integers)
        if key is None:
            continue
        keys = (*above, key)
        if isinstance(value, ast.Dict) and not above:
            yield from _table(name, keys, value, integers)
        elif isinstance(key, str) and (by_row or BOUND_NAME.match(name.lstrip("_"))):
            number = _number(value)
            if number is not None:
                yield (name, keys), repr(number)


def _key(node: ast.expr | None, integers: Mapping[str, int]) -> int | str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, int)):
        return None if isinstance(node.value, bool) else node.value
    if isinstance(node, ast.Name):
        return integers.get(node.id)
    return None


def _number(node: ast.expr) -> int | float | None:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) else None
