"""`ci lanes`: which lanes a change starts, which file matched which pattern; kept with --sha."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click
import msgspec

from commands.ci import changed as changes
from commands.ci.chosen import Chosen, choose_at, policy_option
from commands.cli.app import App, command
from commands.cli.output import table
from ledger.errors import BadInput
from ledger.outside.shown import terminal
from projections.ci import lanes as rules


@dataclass(frozen=True)
class Asked(changes.Changed):
    """What the options of `lanes` say."""

    policy_name: str | None
    tier: str | None
    sha: str | None


@command("lanes", reads=True, asks=Asked)
@changes.changed_options
@policy_option
@click.option("--tier", metavar="NAME", help="Only the lanes of this tier.")
@click.option(
    "--sha", metavar="SHA", help="Record that this commit changes these files; HEAD means the current commit."
)
def lanes(app: App, asked: Asked) -> None:
    """Show which lanes a change starts, and which file matched which pattern.

    With --sha the changed files are recorded for that commit: the strict aggregates and the gate
    then know which lanes it should have started.
    """
    files = changes.required(changes.collect(asked))
    if asked.sha and (app.as_of or app.as_recorded):
        raise BadInput(
            "--sha keeps what a commit changes, now; --as-of asks about another moment",
            code="usage",
            hint="leave one of them out",
        )
    ledger = app.ledger() if asked.sha else None
    chosen = choose_at(app, asked.policy_name)
    _known_tier(chosen, asked.tier)
    starts = rules.started(chosen.policy, files)
    shown = [start for start in starts if asked.tier in (None, start.tier)]
    running = {start.test_type for start in starts}
    lone = [name for name in files if not rules.started(chosen.policy, [name])]
    document: dict[str, Any] = {
        "policy": chosen.document(),
        "changed": files,
        "lanes": [msgspec.to_builtins(start) for start in shown],
        "tiers": {t.name: [s.test_type for s in starts if s.tier == t.name] for t in chosen.policy.tiers if t.scope},
        "not_started": [
            lane.test_type
            for lane in chosen.policy.lanes
            if lane.tier and asked.tier in (None, lane.tier) and lane.test_type not in running
        ],
        "unwatched": lone,
    }
    if asked.sha:
        assert ledger is not None
        document["sha"], document["event_id"] = _keep(ledger, asked.sha, files, asked.base, asked.repo_dir)
    app.emit(document, lambda: _text(chosen.line(), files, shown, document))


def _known_tier(chosen: Chosen, tier: str | None) -> None:
    names = [each.name for each in chosen.policy.tiers]
    if tier is not None and tier not in names:
        raise BadInput(
            f"the policy {chosen.policy.name} has no tier {tier!r}",
            code="no_such_tier",
            hint=f"one of {', '.join(names)}",
        )


def _keep(ledger: Any, sha: str, files: list[str], base: str | None, repo_dir: str) -> tuple[str, str]:
    """Record what a commit changes; the last word counts, because its base may move."""
    from commands.ci.work.names import commit
    from ledger.event import NewEvent
    from ledger.events.checks import ChangeObserved

    full = changes.head_sha(repo_dir) if sha == "HEAD" else commit(sha)
    payload = ChangeObserved(sha=full, files=files, base=base)
    receipt = ledger.append([NewEvent(stream=f"check/{full}", payload=payload)])[0]
    return full, receipt.event_id


def _text(policy: str, files: list[str], shown: list[rules.LaneStart], document: dict[str, Any]) -> str:
    rows = []
    for start in shown:
        first = start.matches[0]
        more = f" and {start.match_count - 1} more" if start.match_count > 1 else ""
        rows.append(
            [
                start.tier,
                start.name,
                start.test_type,
                start.timeout_minutes,
                f"{first.file} ~ {first.pattern} ({first.how}){more}",
            ]
        )
    lines = [f"{len(files)} changed files start {len(shown)} lanes; {policy}"]
    if rows:
        lines.append(table(["tier", "lane", "TEST_TYPE", "min", "because"], rows, right=["min"]))
    if document["unwatched"]:
        names = document["unwatched"]
        some = terminal(", ".join(names[:5])) + (" ..." if names[5:] else "")
        lines.append(f"no lane watches {len(names)} of them: {some}")
    return "\n".join(lines)
