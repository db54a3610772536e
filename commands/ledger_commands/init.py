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
@click.option(
    "--approval-policy",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Pin this approval policy, as `reseed policy --pin` wrote it on another machine.",
)
def init(app: App, directory: str | None, origin: str | None, approval_policy: str | None) -> None:
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
    if approval_policy is not None:
        from commands.ledger_commands import policy_pin

        document = policy_pin.from_file(approval_policy)
        ledger = Ledger.create(place, origin=origin, actor=app.actor)
        pinned = policy_pin.pin(ledger, document, file=approval_policy).sha256
    else:
        ledger, pinned = Ledger.create(place, origin=origin, actor=app.actor), None
    app.emit(
        {"path": str(ledger.path), "origin": ledger.origin, "approval_policy": pinned},
        f"created {ledger.path} (origin {ledger.origin})\n"
        + (f"approval policy pinned: {pinned}\n" if pinned else "")
        + "next: perfledger import hf-tracking DIR   or   perfledger check results/*.json",
    )
