"""perfledger init: create a ledger."""

from __future__ import annotations

from pathlib import Path

import click

from commands.cli.app import App, command
from ledger.errors import BadInput
from ledger.layout import outside_ledger


@command("init")
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(file_okay=False))
@click.option("--origin", metavar="NAME", help="This replica's name. Default: the host's, with a random part.")
def init(app: App, directory: str | None, origin: str | None) -> None:
    """Create a ledger in DIR/.perfledger (default: here).

    Each replica of a ledger has its own origin; two machines never share one. DIR counts more than PERFLEDGER_DIR.
    """
    from ledger.ledger import Ledger

    if directory == "" or origin == "":
        raise BadInput(
            f"{'DIR' if directory == '' else '--origin'} is empty; nothing was created",
            code="usage",
            hint="leave it out for the default: an empty variable of the shell may be behind it",
        )
    place = Path(directory or app.ledger_dir or ".")
    if not (place / "ledger.toml").exists():  # one that is a ledger itself has its own sentence
        outside_ledger(place)
    ledger = Ledger.create(place, origin=origin, actor=app.actor)
    app.emit(
        {"path": str(ledger.path), "origin": ledger.origin},
        f"created {ledger.path} (origin {ledger.origin})\n"
        "next: perfledger import hf-tracking DIR   or   perfledger check results/*.json",
    )
