"""`perfledger baseline`: list, show, history, plot, pin."""

from __future__ import annotations

import click

from commands.cli.app import LazyGroup, global_options


@click.group(
    "baseline",
    cls=LazyGroup,
    lazy={
        "list": (
            "results.baseline_reading:list_baselines",
            "Every target: medians, and how many results they rest on.",
        ),
        "show": (
            "results.baseline_reading:show",
            "One target: medians, window, and why results count or not.",
        ),
        "history": ("results.baseline_history:history", "One target's results in order."),
        "plot": ("results.baseline_history:plot", "One metric over time, in the terminal."),
        "pin": (
            "results.baseline_pinning:pin",
            "Name a fixed baseline to compare with, in addition to the rolling one.",
        ),
        "unpin": ("results.baseline_pinning:unpin", "Drop a pinned baseline."),
    },
)
@global_options
def baseline() -> None:
    """Baselines: the medians a result is judged against."""
