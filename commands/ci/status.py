"""`ci status SHA`: every context's latest state, the aggregates of the tiers, and what is missing."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from commands.ci.chosen import choose_in, policy_option
from commands.ci.work import names
from commands.cli.app import App, command
from commands.cli.output import table
from projections.ci import history, lanes, statuses
from projections.ci.gate import ChangeSeen, Known
from projections.ci.policy import Policy
from projections.ci.statuses import Aggregate, ContextState, Report


@command("status", reads=True)
@click.argument("sha", metavar="SHA")
@policy_option
def status(app: App, sha: str, policy_name: str | None) -> int:
    """Show the contexts and aggregates of a commit; exit 1 when a tier has failed, 5 when nothing is known.

    The strict aggregate (green only when every lane the change should have started has succeeded on
    this very commit) is shown beside the observed one (all that was reported is success); the policy says which
    one counts.
    """
    with app.state(app.ledger()) as state:
        full = history.resolve_sha(state, names.commit(sha))
        chosen = choose_in(state, policy_name)
        known = history.of_commits(state, [full])
    contexts, totals, files = read(chosen.policy, known)
    document: dict[str, Any] = {
        "policy": chosen.document(),
        "sha": full,
        "mode": chosen.policy.aggregates,
        "contexts": [msgspec.to_builtins(c) for c in contexts.values()],
        "aggregates": {tier: msgspec.to_builtins(modes) for tier, modes in totals.items()},
        "missing": sorted({c for modes in totals.values() for c in modes["strict"].missing}),
        "changed_files": files,
    }
    app.emit(document, lambda: _text(chosen.line(), full, contexts, totals, chosen.policy, files))
    if not known:
        return 5
    return int(any(modes[chosen.policy.aggregates].state == "failure" for modes in totals.values()))


def read(
    policy: Policy,
    known: list[Known],
) -> tuple[dict[str, ContextState], dict[str, dict[str, Aggregate]], list[str] | None]:
    """Return contexts, aggregates by tier and mode, and changed files of one commit."""
    contexts = statuses.latest(k.input for k in known if isinstance(k.input, Report))
    changes = [k.input for k in known if isinstance(k.input, ChangeSeen)]
    change = max(changes, key=lambda c: (c.recorded_at, c.event_id), default=None)
    starts = lanes.started(policy, change.files) if change else None
    totals = statuses.aggregates(policy, contexts, starts, basis=change.event_id if change else None)
    return contexts, totals, change.files if change else None


def _text(
    policy: str,
    sha: str,
    contexts: dict[str, ContextState],
    totals: dict[str, dict[str, Aggregate]],
    rules: Policy,
    files: list[str] | None,
) -> str:
    lines = [f"{sha}; {policy}"]
    if not contexts:
        lines.append("nothing was reported for this commit")
    else:
        lines.append(
            table(
                ["context", "state", "since", "by"], [[c.context, c.state, c.at, c.event_id] for c in contexts.values()]
            )
        )
    for modes in totals.values():
        for mode in ("strict", "observed"):
            counts = " (counts)" if mode == rules.aggregates else ""
            lines.append(f"{modes[mode].context} {mode}: {modes[mode].state}, {modes[mode].description}{counts}")
        lines += [f"  not reported: {context}" for context in modes["strict"].missing]
    if files is None:
        lines.append(f"changed files not known; `perfledger ci lanes --base REF --sha {sha}` records them")
    return "\n".join(lines)
