"""`ci command`: what a comment with slash commands means, and what its author is told."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import click
import msgspec

from commands.ci.chosen import choose_at, policy_option
from commands.ci.work.names import commit
from commands.cli import streams
from commands.cli.app import App, command
from commands.cli.numbers import Whole
from projections.ci import slash


@dataclass(frozen=True)
class Asked:
    """What the options of `command` say."""

    text: str
    policy_name: str | None
    permission: str | None
    author: str
    number: int | None
    ref: str | None
    sha: str | None


@command("command", reads=True, asks=Asked)
@click.argument("text")
@policy_option
@click.option("--permission", metavar="LEVEL", help="The author's: admin, maintain, write, triage, read, none.")
@click.option("--author", default="", metavar="NAME", help="Who wrote the comment.")
@click.option("--pr", "number", type=Whole(1), metavar="N", help="The pull request of the comment.")
@click.option("--ref", metavar="REF", help="The branch of its head.")
@click.option("--sha", metavar="SHA", help="The commit of its head.")
def command_(app: App, asked: Asked) -> int:
    """Say what a slash command means: `ci command "/test performance"`. TEXT may be a whole comment; - is stdin.

    Without --permission the author is taken to have it. Exit 1 when the permission does not suffice,
    exit 2 with the list when a command is unknown.
    """
    chosen = choose_at(app, asked.policy_name)
    body = sys.stdin.buffer.read().decode("utf-8", "replace") if asked.text == "-" else asked.text
    asker = slash.Asker(author=asked.author, permission=asked.permission or chosen.policy.commands.permissions[0])
    target = slash.Target(number=asked.number, ref=asked.ref, sha=commit(asked.sha) if asked.sha else None)
    decisions = slash.decide_all(chosen.policy, body, asker, target)
    names = slash.names(chosen.policy)
    if not decisions:
        return _nothing(app, body, names, chosen.document())
    unknown = [decision for decision in decisions if not decision.known]
    document: dict[str, Any] = {
        **msgspec.to_builtins(unknown[0] if unknown else decisions[0]),
        "policy": chosen.document(),
        "commands": [msgspec.to_builtins(decision) for decision in decisions],
    }
    if unknown:
        document["names"] = names
        document["error"] = _error("unknown_command", unknown[0].answer, names)
    app.emit(document, "\n".join([*(decision.answer for decision in decisions), chosen.line()]))
    return 2 if unknown else 0 if all(decision.allowed for decision in decisions) else 1


def _nothing(app: App, body: str, names: list[str], policy: dict[str, Any]) -> int:
    """Answer a text that holds no command at all."""
    message = f"no slash command in {body.strip()[:60]!r}; known: {', '.join(names)}"
    document = {
        "known": False,
        "action": None,
        "test_type": None,
        "scope": None,
        "policy": policy,
        "commands": [],
        "names": names,
        "error": _error("unknown_command", message, names),
    }
    if app.as_json:
        app.emit(document)
    else:
        streams.note(f"perfledger: {message}")
    return 2


def _error(code: str, message: str, names: list[str]) -> dict[str, Any]:
    return {"code": code, "message": message, "hint": "write one command a line", "details": {"names": names}}
