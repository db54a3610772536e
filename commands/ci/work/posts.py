"""What GitHub should show for a commit: its aggregate statuses, answers to commands, a gate comment."""

from __future__ import annotations

import msgspec

from ledger.events.checks import CommandDecided
from ledger.outside import shown
from projections.ci.gate import GateVerdict
from projections.ci.policy import Policy
from projections.ci.statuses import Aggregate, ContextState

OWN_CONTEXTS = ("perfledger/baseline", "perfledger/calibration")
# GitHub statuses know four states; what is neither a yes nor a no stays open
_GITHUB_STATES = {"success": "success", "failure": "failure", "error": "error", "cancelled": "error"}


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """One write that should happen. subject: what it is about, unique within its stream."""

    kind: str
    stream: str
    subject: str
    path: str
    body: dict[str, str]
    basis: list[str] = []
    sha: str | None = None
    number: int | None = None


def status_posts(
    policy: Policy,
    repository: str,
    sha: str,
    contexts: dict[str, ContextState],
    totals: dict[str, dict[str, Aggregate]],
) -> list[Post]:
    """Return the statuses of a commit: one per aggregate, and one per verdict of our own."""
    found = []
    for modes in totals.values():
        total = modes[policy.aggregates]
        found.append(_status(repository, sha, total.context, total.state, total.description, total.event_ids))
    for name in OWN_CONTEXTS:
        if name in contexts:
            own = contexts[name]
            found.append(_status(repository, sha, name, own.state, own.description, [own.event_id]))
    return found


def _status(repository: str, sha: str, context: str, state: str, said: str, basis: list[str]) -> Post:
    short = said if len(said) <= 140 else said[:139] + "…"  # GitHub's limit
    return Post(
        kind="status",
        stream=f"publication/{repository}/{sha}",
        subject=context,
        sha=sha,
        basis=basis,
        path=f"/repos/{repository}/statuses/{sha}",
        body={"state": _GITHUB_STATES.get(state, "pending"), "context": context, "description": short},
    )


def answer_posts(decided: CommandDecided, event_id: str) -> list[Post]:
    """Return the reaction to a comment and the reply to its author."""
    stream = f"publication/{decided.repository}/comment-{decided.comment_id}"
    found = []
    if decided.reaction:
        found.append(
            Post(
                kind="reaction",
                stream=stream,
                subject=f"reaction {decided.item}",
                number=decided.number,
                basis=[event_id],
                path=f"/repos/{decided.repository}/issues/comments/{decided.comment_id}/reactions",
                body={"content": decided.reaction},
            )
        )
    found.append(
        Post(
            kind="comment",
            stream=stream,
            subject=f"answer {decided.item}",
            number=decided.number,
            basis=[event_id],
            path=f"/repos/{decided.repository}/issues/{decided.number}/comments",
            body={"body": decided.answer},
        )
    )
    return found


def gate_post(verdict: GateVerdict, policy_line: str) -> Post:
    """Return a comment that shows every condition of a pull request."""
    pull = verdict.pull
    assert pull is not None
    lines = [
        f"**{'Ready to merge' if verdict.mergeable else 'Not ready to merge'}** at `{pull.head_sha[:12]}`",
        "",
        "| met | condition | why | since |",
        "|---|---|---|---|",
    ]
    for c in verdict.conditions:
        met = ("yes" if c.met else "**no**") + (" (advisory)" if c.advisory else "")
        lines.append(f"| {met} | {shown.markdown(c.id)} | {shown.markdown(c.why)} | {(c.since or '')[:19]} |")
    lines += ["", f"<sub>{shown.markdown(policy_line)}</sub>"]
    return Post(
        kind="comment",
        stream=f"publication/{pull.repository}/pull-{pull.number}",
        subject="gate",
        number=pull.number,
        sha=pull.head_sha,
        path=f"/repos/{pull.repository}/issues/{pull.number}/comments",
        body={"body": "\n".join(lines)},
        basis=[c.by for c in verdict.conditions if c.by],
    )
