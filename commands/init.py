"""perfledger init: create a ledger."""

from __future__ import annotations

import click

from commands.common import App, command


@command("init")
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(file_okay=False))
@click.option("--origin", metavar="NAME", help="This replica's name. Default: the host's, with a random part.")
def init(app: App, directory: str, origin: str | None) -> None:
    """Create a ledger in DIR/.perfledger (default: here).

    Each replica of a ledger has its own origin; two machines never share one.
    """
    from ledger.ledger import Ledger

    ledger = Ledger.create(app.ledger_dir or directory, origin=origin, actor=app.actor)
    app.emit(
        {"path": str(ledger.path), "origin": ledger.origin},
        f"created {ledger.path} (origin {ledger.origin})\n"
        "next: perfledger import hf-tracking DIR   or   perfledger check results/*.json",
    )
