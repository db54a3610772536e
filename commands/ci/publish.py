"""`ci publish`: post aggregate statuses, answers to commands and the gate to a GitHub-protocol API."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
import msgspec

from commands.ci.chosen import Chosen, choose_in, policy_option
from commands.ci.work import names, posts
from commands.ci.work.outbox import Outbox, Sent, dry
from commands.cli.app import App, command
from commands.cli.numbers import Finite
from ledger.errors import BadInput
from projections.ci import history
from projections.ci.gate import judge

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from projections.state.state import State


WITHOUT_ONE = "set GITHUB_TOKEN to a token that may write statuses, or use --dry-run"


@dataclass(frozen=True)
class Asked:
    """What the options of `publish` say."""

    sha: str | None
    repository: str | None
    api_url: str
    answers: bool
    comment_on: str | None
    dry_run: bool
    max_wait: float
    policy_name: str | None


@command("publish", asks=Asked)
@click.argument("sha", metavar="[SHA]", required=False)
@click.option("--repository", metavar="OWNER/NAME", envvar="GITHUB_REPOSITORY", help="Where the commit is.")
@click.option("--api-url", default="https://api.github.com", show_default=True, envvar="GITHUB_API_URL", metavar="URL")
@click.option("--answers", is_flag=True, help="Post the answers to slash commands that were not posted yet.")
@click.option("--comment", "comment_on", metavar="PR", help="Comment this pull request's gate, when it changed.")
@click.option("--dry-run", is_flag=True, help="Show exactly what would be posted; nothing is sent or recorded.")
@click.option(
    "--max-wait",
    default=60.0,
    show_default=True,
    type=Finite(0, 3600),
    metavar="SECONDS",
    help="How long to wait in all when the server asks to.",
)
@policy_option
def publish(app: App, asked: Asked) -> int:
    """Post what should stand at GitHub for a commit and does not yet; the token is read from GITHUB_TOKEN.

    Every post is an event before it is sent and another when it is known what became of it. Exit 4: something was
    not posted, run it again. Exit 6: it is not known whether something was; run it again, it looks first.
    """
    if asked.sha is None and not asked.answers and asked.comment_on is None:
        raise BadInput("nothing to publish was named", code="usage", hint="perfledger ci publish SHA, or --answers")
    ledger = app.ledger()
    with app.state(ledger) as state:
        chosen = choose_in(state, asked.policy_name)
        found = (
            names.repository(asked.repository) if asked.repository else _repository(state, asked.sha, asked.comment_on)
        )
        wanted = _wanted(state, ledger, chosen, found, asked)
    from commands.ci.work.api import GitHubApi, check_url, read_token

    destination = check_url(asked.api_url)
    outbox = Outbox(ledger, destination=destination, repository=found, policy=chosen.digest)
    if asked.dry_run:
        sent = [dry(post) for post in outbox.pending(wanted)]
    elif not (todo := outbox.pending(wanted)):
        sent = []
    else:
        api = GitHubApi(destination, read_token(WITHOUT_ONE), wait_s_max=asked.max_wait)
        try:
            sent = outbox.send(api, todo)
        finally:
            api.close()
    counts = Counter(item.outcome for item in sent)
    counts["unchanged"] += len(wanted) - len(sent)
    document = {
        "policy": chosen.document(),
        "repository": found,
        "destination": destination,
        "dry_run": asked.dry_run,
        "posts": [msgspec.to_builtins(item) for item in sent],
        "counts": dict(counts),
    }
    app.emit(document, lambda: _text(sent, counts, destination, chosen.line()))
    if counts["unknown"]:
        return 6
    return 4 if counts["failed"] else 0


def _wanted(state: State, ledger: Ledger, chosen: Chosen, repository: str, asked: Asked) -> list[posts.Post]:
    """Return everything that should stand there."""
    from commands.ci.status import read

    found: list[posts.Post] = []
    sha = asked.sha
    if sha is not None:
        full = history.resolve_sha(state, names.commit(sha))
        if len(full) not in (40, 64):
            raise BadInput(
                f"{sha} is not known here, and too short to be posted to",
                code="unknown_sha",
                hint="give the full sha: git rev-parse HEAD",
                sha=sha,
            )
        contexts, totals, _ = read(chosen.policy, history.of_commits(state, [full]))
        found += posts.status_posts(chosen.policy, repository, full, contexts, totals)
    if asked.comment_on is not None:
        named, number = names.pull(asked.comment_on)
        where = history.find_repository(state, named or repository, number)
        found.append(posts.gate_post(judge(chosen.policy, history.of_pull(state, where, number)), chosen.line()))
    if asked.answers:
        from ledger.events.checks import CommandDecided

        for event in ledger.read_counted(types=["CommandDecided"]):
            payload = event.typed()
            if isinstance(payload, CommandDecided) and payload.repository == repository:
                found += posts.answer_posts(payload, event.event_id)
    return found


def _repository(state: State, sha: str | None, comment_on: str | None) -> str:
    """Return the one repository the ledger knows for this commit or at all. Raises `BadInput`."""
    if comment_on is not None and (named := names.pull(comment_on)[0]):
        return named
    rows: list[dict[str, Any]] = state.rows(
        "SELECT DISTINCT repository FROM (SELECT repository, head_sha AS sha FROM pull_requests "
        "UNION SELECT repository, sha FROM check_reports UNION SELECT repository, '' FROM slash_commands) "
        "WHERE repository IS NOT NULL AND ($sha = '' OR starts_with(sha, $sha)) ORDER BY repository",
        {"sha": names.commit(sha) if sha else ""},
    )
    if len(rows) != 1:
        raise BadInput(
            "the repository is not clear",
            code="no_repository",
            hint="--repository OWNER/NAME",
            known=[row["repository"] for row in rows],
        )
    return str(rows[0]["repository"])


def _text(sent: list[Sent], counts: Counter[str], destination: str, policy: str) -> str:
    lines = []
    for item in sent:
        what = item.body.get("state") or item.body.get("content") or item.body.get("body", "").splitlines()[0]
        note = f": {item.reason}" if item.reason else ""
        lines.append(f"{item.outcome}: {item.kind} {item.subject} {what}{note}")
    said = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()) if number) or "nothing to post"
    return "\n".join([*lines, f"{said} at {destination}; {policy}"])
