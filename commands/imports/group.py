"""`perfledger import`: histories that exist elsewhere become events."""

from __future__ import annotations

import click

from commands.cli.app import LazyGroup, global_options


@click.group(
    "import",
    cls=LazyGroup,
    lazy={
        "hf-tracking": (
            "imports.hf_tracking:hf_tracking",
            "A history of normalized records, a folder or a Hub dataset.",
        ),
        "threshold-history": (
            "imports.threshold_history:threshold_history",
            "A CSV of how threshold literals moved.",
        ),
        "github-action-benchmark": (
            "imports.series:github_action_benchmark",
            "The data.js of github-action-benchmark.",
        ),
        "asv": ("imports.series:asv", "The results folder of airspeed velocity."),
    },
)
@global_options
def imports() -> None:
    """Import an existing history. Importing again adds only what is new, and says what changed."""
