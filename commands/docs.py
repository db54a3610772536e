"""Files made from code: fact DDL, the event catalogue, the command reference. `--check` says which are stale."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent


def fact_schema() -> str:
    """Return the DDL of every fact table, from the SQLModel classes."""
    from projections.facts.schema import ddl

    return ddl()


def event_catalogue() -> str:
    """Return docs/events.md: every event type with its docstring, fields and schema version."""
    from ledger.event import iter_fields, load_catalogue

    types = load_catalogue()
    lines = [
        "# Event catalogue",
        "",
        "Made by `make docs` from the classes in `ledger/events/`. Every event also has the envelope of "
        "[concepts](concepts.md#event). A field of type `Evidence` is the SHA-256 of bytes in the evidence store: "
        "`verify` demands that they are there.",
        "",
        "An event counts when its type is here, its schema version is not newer than here, and its payload has every "
        "field with its type. A newer version is passed over also where it only adds fields; fields that are not here "
        "are ignored. What does not count is in the view `unread_events`.",
        "",
        f"{len(types)} types: " + ", ".join(f"[{n}](#{n.lower()})" for n in types) + ".",
    ]
    for name, kind in types.items():
        stream = kind.payload.__module__.rsplit(".", 1)[1]
        lines += [
            "",
            f"## {name}",
            "",
            f"Schema version {kind.schema_version}, in `ledger/events/{stream}.py`.",
            "",
            inspect.cleandoc(kind.payload.__doc__ or ""),
            "",
            "| field | type |",
            "|---|---|",
        ]
        lines += [f"| `{field}` | `{_cell(text)}` |" for field, text in iter_fields(kind.payload)]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def cli_reference() -> str:
    """Return docs/cli.md: the `--help` of every command."""
    from commands.main import root

    lines = ["# Command reference", "", "Made by `make docs` from each command's `--help`.", ""]
    for path, command in _walk(root, ("perfledger",)):
        context = click.Context(command, info_name=" ".join(path), terminal_width=100, max_content_width=100)
        lines += [f"{'#' * min(len(path) + 1, 4)} {' '.join(path)}", "", "```", command.get_help(context), "```", ""]
    return "\n".join(lines)


def _walk(command: click.Command, path: tuple[str, ...]) -> Any:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None, (path, name)
            yield from _walk(child, (*path, name))


def error_codes() -> str:
    """Return docs/errors.md: every stable error code, with what to do."""
    from commands.reference import errors

    return errors.page(ROOT)


def environment() -> str:
    """Return docs/environment.md: every environment variable, with what it does."""
    from commands.reference import environment as variables

    return variables.page()


GENERATED = {
    "projections/facts/schema.sql": fact_schema,
    "docs/events.md": event_catalogue,
    "docs/cli.md": cli_reference,
    "docs/errors.md": error_codes,
    "docs/environment.md": environment,
}


def main() -> int:
    """Write the files, or with `--check` compare and name the stale ones (exit 1). Names as arguments pick some."""
    check = "--check" in sys.argv
    picked = [a for a in sys.argv[1:] if not a.startswith("-")]
    stale = []
    for name, make in GENERATED.items():
        if picked and name not in picked:
            continue
        path, text = ROOT / name, make()
        if check:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale:
        sys.stderr.write(f"stale: {', '.join(stale)}; run `make docs`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
