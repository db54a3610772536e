"""Explain what CI decided: a merge gate, an answered command, a post, an adopted policy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from commands.ci.chosen import choose_in
from commands.ci.work import names
from commands.cli.app import App
from commands.explain.command import headline
from ledger.outside import shown
from projections.ci import history

if TYPE_CHECKING:
    from ledger.event import Event
    from ledger.ledger import Ledger


def find_gate(app: App, ledger: Ledger, text: str) -> str | None:
    """Return the newest sight of the pull request that a text like `owner/name#12` names, None for other texts."""
    if not re.fullmatch(r"(#\d{1,18}|\S+/\S+(#|/pull/)\d{1,18}/?)", text.strip()):
        return None
    repository, number = names.pull(text)
    with app.state(ledger) as state:
        found = history.find_repository(state, repository, number)
        rows = state.rows(
            "SELECT event_id FROM pull_requests WHERE repository = $repository AND number = $number",
            {"repository": found, "number": number},
        )
    return str(rows[0]["event_id"])


def explain_gate(app: App, ledger: Ledger, event: Event) -> tuple[dict[str, Any], str]:
    """Explain whether a pull request may be merged: every condition and every event it rests on."""
    from commands.ci.gate import as_document, text
    from projections.ci.gate import judge

    seen = event.body()
    with app.state(ledger) as state:
        chosen = choose_in(state, None)
        verdict = judge(chosen.policy, history.of_pull(state, seen["repository"], seen["number"]))
    document = {"policy": chosen.document(), **as_document(verdict, chosen.policy.aggregates)}
    lines = [headline(event), *text(verdict, chosen.line()).split("\n"), "", "events:"]
    for condition in verdict.conditions:
        lines += [f"  {condition.id:<14} {_event_line(ledger, one)}" for one in condition.event_ids]
    return document, shown.text_of(lines)


def explain_command(_app: App, ledger: Ledger, event: Event) -> tuple[dict[str, Any], str]:
    """Explain a decided command: the comment it stood in, the policy, and what became of the answer."""
    decided = event.body()
    wanted = (decided["repository"], decided["comment_id"])
    comment = next(
        (
            e
            for e in ledger.read_counted(types=["CommentReceived"])
            if (e.body()["repository"], e.body()["comment_id"]) == wanted
        ),
        None,
    )
    policy = next(
        (e for e in ledger.read_counted(types=["CiPolicyAdopted"]) if e.body()["digest"] == decided["policy"]), None
    )
    posts = [e for e in ledger.read_counted(types=["PublishPlanned"]) if event.event_id in e.body()["basis"]]
    document = {
        "comment": comment.as_dict() if comment else None,
        "policy_event_id": policy.event_id if policy else None,
        "posts": [post.as_dict() for post in posts],
    }
    lines = [
        headline(event),
        decided["answer"],
        f"policy   {decided['policy'][:12]}"
        + (f", adopted by {policy.event_id}" if policy else ", the shipped default"),
    ]
    if comment:
        lines.append(f"comment  {comment.event_id} by {comment.body()['author']}: {comment.body()['body'][:200]!r}")
    lines += [f"post     {post.event_id} {post.body()['kind']} {post.body()['subject']}" for post in posts]
    return document, shown.text_of(lines)


def explain_post(_app: App, ledger: Ledger, event: Event) -> tuple[dict[str, Any], str]:
    """Explain a planned post: exactly what was sent, what it rests on, and what is known to have become of it."""
    plan = event.body()
    outcomes = [
        e
        for e in ledger.read_stream(event.stream)
        if e.type in ("Published", "PublishFailed") and e.body()["plan"] == plan["plan"]
    ]
    said = (
        f"{outcomes[-1].type} ({outcomes[-1].event_id})"
        if outcomes
        else ("not known: run the same `perfledger ci publish` again, it looks first")
    )
    lines = [
        headline(event),
        f"POST {plan['destination']}{plan['path']}",
        *(f"  {name}: {value}" for name, value in plan["body"].items()),
        f"outcome  {said}",
        *(f"rests on {_event_line(ledger, one)}" for one in plan["basis"]),
    ]
    return {"outcomes": [outcome.as_dict() for outcome in outcomes]}, shown.text_of(lines)


def _event_line(ledger: Ledger, event_id: str) -> str:
    event = ledger.event(event_id)
    body = event.body()
    what = body.get("context") or body.get("title") or body.get("reviewer") or body.get("target") or event.stream
    state = body.get("state", body.get("status", ""))
    return f"{event.event_id} {event.recorded_at} {event.type} {what} {state}".rstrip()
