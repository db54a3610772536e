"""`ci gate`: every merge condition, met or not, why, since when, and by which event."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from commands.ci.chosen import choose_at, choose_in, policy_option
from commands.ci.work import names
from commands.cli.app import App, command
from commands.cli.output import table
from ledger.errors import BadInput
from projections.ci.actions import due
from projections.ci.gate import GateVerdict, judge


@command("gate", reads=True)
@click.argument("pull_request", metavar="[PR]", required=False)
@click.option("--file", "file", metavar="FILE", help="Judge the pull request this JSON or YAML describes.")
@policy_option
def gate(app: App, pull_request: str | None, file: str | None, policy_name: str | None) -> int:
    """Say whether a pull request may be merged; exit 0 only when every condition is met.

    PR is a number, owner/name#number or a URL. `--as-of 2026-06-01T14:00Z` asks what held at that time.
    """
    if (pull_request is None) == (file is None):
        raise BadInput("name a pull request or give --file, not both", code="usage", hint="perfledger ci gate 12")
    if file is not None:
        from commands.ci.work.gate_file import read

        chosen = choose_at(app, policy_name)
        verdict = judge(chosen.policy, read(file), posted_counts=True)
    else:
        from projections.ci import history

        repository, number = names.pull(pull_request or "")
        with app.state(app.ledger()) as state:
            chosen = choose_in(state, policy_name)
            found = history.find_repository(state, repository, number)
            verdict = judge(chosen.policy, history.of_pull(state, found, number))
    todo = due(chosen.policy, verdict, verdict.files, conflict=verdict.conflict)
    document = {
        "policy": chosen.document(),
        **as_document(verdict, chosen.policy.aggregates),
        "actions": [msgspec.to_builtins(action) for action in todo],
    }
    app.emit(
        document,
        lambda: "\n".join(
            [text(verdict, chosen.line()), *(f"due: {action.action} {action.what} ({action.why})" for action in todo)]
        ),
    )
    return 0 if verdict.mergeable else 1


def as_document(verdict: GateVerdict, mode: str) -> dict[str, Any]:
    """Return a verdict as JSON values; the aggregates in both modes, the one that counts named."""
    return {
        "mergeable": verdict.mergeable,
        "pull_request": msgspec.to_builtins(verdict.pull),
        "conditions": [msgspec.to_builtins(c) for c in verdict.conditions],
        "unmet": [c.id for c in verdict.conditions if not c.met and not c.advisory],
        "mode": mode,
        "aggregates": {tier: msgspec.to_builtins(modes) for tier, modes in verdict.aggregates.items()},
        "contexts": [msgspec.to_builtins(c) for c in verdict.contexts.values()],
    }


def text(verdict: GateVerdict, policy: str) -> str:
    """Return a verdict for people."""
    pull = verdict.pull
    name = f"{pull.repository}#{pull.number} at {pull.head_sha[:12]}" if pull else "this pull request"
    rows = [
        [("yes" if c.met else "no") + (" (advisory)" if c.advisory else ""), c.id, c.why, c.since, c.by]
        for c in verdict.conditions
    ]
    lines = [
        f"{name} may {'' if verdict.mergeable else 'not '}be merged; {policy}",
        table(["met", "condition", "why", "since", "by event"], rows),
    ]
    for modes in verdict.aggregates.values():
        strict, observed = modes["strict"], modes["observed"]
        if strict.state != observed.state:
            lines.append(
                f"{strict.context}: strict {strict.state} ({strict.description}), "
                f"observed {observed.state} ({observed.description})"
            )
    return "\n".join(lines)
