"""perfledger reseed: move a baseline on purpose, approved, atomic and reversible."""

from __future__ import annotations

import click

from commands.cli.app import LazyGroup, global_options


@click.group(
    "reseed",
    cls=LazyGroup,
    lazy={
        "plan": ("reseed.plan:plan", "Read sources, back up, compute what would move."),
        "show": ("reseed.show:show", "One reseed: its plan, steps and what is next."),
        "list": ("reseed.show:list_", "All reseeds and the step of each."),
        "approve": ("reseed.approve:approve", "Approve exactly the plan shown."),
        "prepare": ("reseed.prepare:prepare", "Write the seed records."),
        "upload": ("reseed.upload:upload", "Put them into the dataset in one commit."),
        "cleanup": ("reseed.cleanup:cleanup", "Remove the folders this reseed created."),
        "abort": ("reseed.cleanup:abort", "Give up; everything stays on disk."),
        "supersede": ("reseed.supersede:supersede", "Correct a bad seed by a reviewed corrective record."),
        "policy": ("reseed.policy:policy", "How many approvers, and whose signatures."),
        "run": ("reseed.run:run", "All of it at a terminal, resumable."),
    },
)
@global_options
def reseed() -> None:
    """Move a baseline on purpose: plan, approve, prepare, upload, clean up. Every step is an event."""
