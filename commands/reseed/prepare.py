"""perfledger reseed prepare: write the seed records to a staging folder, byte for byte as planned."""

from __future__ import annotations

import click

from commands.cli.app import App, command
from commands.reseed.work.staging import write
from projections.reseed import fold as decider


@command("prepare")
@click.argument("reseed_id", metavar="ID")
def prepare(app: App, reseed_id: str) -> None:
    """Write the seed records where a person can look at them before the upload."""
    ledger = app.ledger()
    state = write(ledger, decider.load(ledger, reseed_id))
    made = state.prepared
    assert made is not None
    app.emit(
        {"id": state.id, "folder": made.folder, "paths": made.paths, "next": decider.next_step(state)},
        "\n".join(
            [
                f"{len(made.paths)} seed records in {made.folder}:",
                *(f"  {p}" for p in made.paths),
                f"next: {decider.next_step(state)}",
            ]
        ),
    )
