"""`perfledger ci`: lanes, labels, slash commands, statuses and the merge gate."""

from __future__ import annotations

import click

from commands.cli.app import LazyGroup, global_options

COMMANDS = {
    "lanes": ("ci.lanes:lanes", "Which lanes a change starts, and why."),
    "labels": ("ci.labels:labels", "The labels a pull request gets; checks its title."),
    "command": ("ci.command:command_", "What a slash command means."),
    "report": ("ci.report:report", "Record the state of a context of a commit."),
    "receive": ("service.receive:receive", "Record what a webhook payload in a file says."),
    "status": ("ci.status:status", "Every context of a commit, its aggregates, what is missing."),
    "gate": ("ci.gate:gate", "Every merge condition, met or not, and why."),
    "publish": ("ci.publish:publish", "Post aggregate statuses and answers to GitHub."),
    "lint": ("ci.lint:lint", "Patterns that match nothing, lanes that miss what they judge."),
    "policy": ("ci.policy:policy", "Show, check and adopt the CI policy."),
}


@click.group("ci", cls=LazyGroup, lazy=COMMANDS)
@global_options
def ci() -> None:
    """The CI gate: lanes, labels, slash commands, statuses and merge conditions.

    All rules are in one policy: the one adopted in the ledger, or with --policy a file or a shipped one
    (fastvideo-page, fastvideo-2026-08). Every answer names the version of the policy it used.
    """
