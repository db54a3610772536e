"""`ci labels`: the labels a pull request gets, and whether its title is valid."""

from __future__ import annotations

from dataclasses import dataclass

import click
import msgspec

from commands.ci import changed as changes
from commands.ci.chosen import choose_at, policy_option
from commands.cli.app import App, command
from ledger.outside.shown import text_of
from projections.ci import labels as rules


@dataclass(frozen=True)
class Asked(changes.Changed):
    """What the options of `labels` say."""

    title: str
    current: tuple[str, ...]
    conflict: bool | None
    policy_name: str | None


@command("labels", reads=True, asks=Asked)
@click.option("--title", required=True, metavar="TEXT", help="The pull request's title.")
@changes.changed_options
@click.option("--current", multiple=True, metavar="LABEL", help="A label it carries; stale ones are listed.")
@click.option("--conflict/--no-conflict", default=None, help="Whether it conflicts with its base.")
@policy_option
def labels(app: App, asked: Asked) -> int:
    """Work out a pull request's labels from its title and files; exit 1 on a bad title."""
    files = changes.collect(asked) or []
    chosen = choose_at(app, asked.policy_name)
    plan = rules.plan(chosen.policy, title=asked.title, files=files, current=asked.current, conflict=asked.conflict)
    document = {"policy": chosen.document(), **msgspec.to_builtins(plan)}
    app.emit(document, lambda: _text(plan, chosen.line()))
    return 0 if plan.title.valid else 1


def _text(plan: rules.LabelPlan, policy: str) -> str:
    lines = [f"title: {'ok, tag ' + str(plan.title.tag) if plan.title.valid else 'not valid'}; {policy}"]
    if not plan.title.valid:
        lines.append(plan.title.message)
    for label in plan.labels:
        file = plan.because.get(label)
        lines.append(f"{label}" + (f"   because of {file}" if file else ""))
    lines += [f"stale: {label}" for label in plan.stale]
    return text_of(lines)
