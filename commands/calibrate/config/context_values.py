"""The context of a stage: the literals its test passes as sample, token and concurrency limits."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

from commands.literals.syntax import named_values

CONTEXT_KEYWORDS = ("max_samples", "max_tokens", "max_new_tokens", "max_concurrency")
Literal = int | float | str | None


def context_values(test_file: Path, names: Sequence[str]) -> dict[str, Literal]:
    """Return the literal of each constant in `names`, under the keyword it is passed as.

    Read from the assignments at the top of the test file, plain or annotated. A constant that is not
    found there is None, and so is every one when the file cannot be read. A name that is never
    passed under one of `CONTEXT_KEYWORDS` keeps its own name as the key.
    """
    if not names:
        return {}
    try:
        tree = ast.parse(test_file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return dict.fromkeys(names)
    keywords: dict[str, str] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.keyword) or node.arg not in CONTEXT_KEYWORDS:
            continue
        if isinstance(node.value, ast.Name):
            keywords.setdefault(node.value.id, node.arg)
    literals = _top_literals(tree)
    values: dict[str, Literal] = {}
    for name in names:
        keyword = keywords.get(name, name)
        # two constants under one keyword: the second keeps its own name
        values[name if keyword in values else keyword] = literals.get(name)
    return values


def _top_literals(tree: ast.Module) -> dict[str, Literal]:
    found: dict[str, Literal] = {}
    for name, value in (pair for statement in tree.body for pair in named_values(statement)):
        try:
            literal = ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, MemoryError):
            continue
        if isinstance(literal, (int, float, str)) and not isinstance(literal, bool):
            found[name] = literal
    return found
