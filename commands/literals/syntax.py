"""Python's own parser, quiet about the style of other people's files."""

from __future__ import annotations

import ast
import warnings


def parse_python(text: str) -> ast.Module:
    """Parse a file's text. Raises what `ast.parse` raises, and warns of nothing.

    An invalid escape in somebody's test file is neither an error nor news here.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)
