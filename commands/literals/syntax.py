"""Python's own parser, quiet about the style of other people's files, and the names its statements assign."""

from __future__ import annotations

import ast
import warnings


def parse_python(text: str) -> ast.Module:
    """Parse a file's text. Raises what `ast.parse` raises, and warns of nothing.

    An invalid escape in a test file is neither an error nor reported here.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def named_values(statement: ast.stmt) -> list[tuple[str, ast.expr]]:
    """Return (name, value) for each plain name that `A = B = value` or `A: T = value` binds; else nothing."""
    targets: list[ast.expr]
    if isinstance(statement, ast.Assign):
        targets, value = statement.targets, statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets, value = [statement.target], statement.value
    else:
        return []
    return [(target.id, value) for target in targets if isinstance(target, ast.Name)]
