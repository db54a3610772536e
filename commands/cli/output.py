"""How results look: JSON with stable keys, and tables for people."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ledger import canonical
from ledger.outside import shown


def to_json(document: Any) -> str:
    """Return one indented JSON document; raises on NaN rather than writing null for it.

    What cannot be seen in a text is written as an escape: the same value, and no command to a terminal.
    """
    return shown.json_text(msgspec.json.format(_encoded(document), indent=2).decode())


def to_json_line(document: Any) -> str:
    """Return one compact line for a stream of JSON lines."""
    return shown.json_text(_encoded(document).decode())


def _encoded(document: Any) -> bytes:
    canonical.check_storable(document)
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:
        return msgspec.json.encode(_escaped(msgspec.to_builtins(document)))


def _escaped(value: Any) -> Any:
    """Return JSON values with what is no Unicode (of an argument or a file name) as an escape, like on stderr."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [_escaped(one) for one in value]
    if isinstance(value, dict):
        return {_escaped(key): _escaped(one) for key, one in value.items()}
    return value


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = (), title: str = "") -> str:
    """Return a text table; `right` names the columns aligned right. None shows as `-`.

    Colour and box characters follow the terminal; piped output is plain and as wide as it needs.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(
        box=box.SIMPLE_HEAD, title=shown.terminal(title) or None, title_justify="left", pad_edge=False, show_edge=False
    )
    for column in columns:
        grid.add_column(Text(shown.terminal(column)), justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(cell if isinstance(cell, Text) else Text(_cell(cell)) for cell in row))
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else 10_000
    console = Console(
        width=width,
        force_terminal=terminal and not os.environ.get("NO_COLOR"),
        color_system="auto" if terminal else None,
        legacy_windows=False,
    )
    with console.capture() as capture:
        console.print(grid, crop=False)
    return shown.styled("\n".join(line.rstrip() for line in capture.get().split("\n")).rstrip("\n"))


def _cell(value: Any) -> str:
    """Return a value for people. A text is of one line: whoever wrote it cannot add a row or colour one."""
    if value is None:
        return "-"
    if value is True:
        return "yes"
    if value is False:
        return "no"
    return shown.terminal(str(value))
