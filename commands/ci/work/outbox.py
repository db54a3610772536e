"""The outbox of writes to GitHub: planned, sent, and known or not known to have happened, as events.

A plan without an outcome was cut off (or its answer was lost). Before anything new is sent for the
same subject, the outbox looks whether it is there: so a crash at any moment neither loses nor
doubles a write.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from commands.ci.work.api import GitHubApi, Outcome
from commands.ci.work.posts import Post
from ledger.event import Event, NewEvent
from ledger.events.checks import Published, PublishFailed, PublishPlanned
from ledger.log import lock

if TYPE_CHECKING:
    from ledger.ledger import Ledger

TYPES = ("PublishPlanned", "Published", "PublishFailed")


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one post. outcome: published, unchanged, planned (dry run), failed or unknown."""

    kind: str
    subject: str
    outcome: str
    path: str
    body: dict[str, str]
    plan: str | None = None
    reason: str = ""


class _Subject(msgspec.Struct):
    """The outbox's knowledge of one subject: the last plan, and what became of it."""

    plan: PublishPlanned
    outcome: str | None = None


class Outbox:
    """The outbox of one repository at one destination."""

    def __init__(self, ledger: Ledger, *, destination: str, repository: str, policy: str) -> None:
        self.ledger = ledger
        self.destination = destination
        self.repository = repository
        self.policy = policy

    def pending(self, posts: Iterable[Post]) -> list[Post]:
        """Return the posts that are not known to stand there already; one pass over the log for all of them."""
        known = self._survey(self.ledger.read(types=TYPES))
        return [post for post in posts if not _stands(known.get((post.stream, post.subject)), post)]

    def send(self, api: GitHubApi, posts: Iterable[Post]) -> list[Sent]:
        """Send each post that does not stand there yet; stop nowhere, so that one failure hides no other.

        One at a time on this machine: another process's plan that is on its way looks just like one that was lost.
        """
        found = []
        for post in posts:
            with lock.exclusive(self.ledger.path / "publish.lock"):
                found.append(self._send(api, post))
        return found

    def _survey(self, events: Iterable[Event]) -> dict[tuple[str, str], _Subject]:
        """Return the last plan of every (stream, subject) at this destination, and what became of it."""
        subjects: dict[tuple[str, str], _Subject] = {}
        by_plan: dict[str, _Subject] = {}
        for event in sorted(events, key=lambda e: (e.recorded_at, e.origin, e.position)):
            payload = event.typed()
            if isinstance(payload, PublishPlanned):
                if payload.destination == self.destination:
                    by_plan[payload.plan] = subjects[event.stream, payload.subject] = _Subject(payload)
            elif isinstance(payload, (Published, PublishFailed)) and payload.plan in by_plan:
                by_plan[payload.plan].outcome = "published" if isinstance(payload, Published) else "failed"
        return subjects

    def _known(self, post: Post) -> tuple[_Subject | None, int]:
        """Return the last plan of a post's subject, and the stream's last own position."""
        events = self.ledger.read_stream(post.stream)
        position = max((event.position for event in events if event.origin == self.ledger.origin), default=0)
        subjects = self._survey(event for event in events if event.type in TYPES)
        return subjects.get((post.stream, post.subject)), position

    def _send(self, api: GitHubApi, post: Post) -> Sent:
        known, position = self._known(post)
        if known is not None and known.outcome is None:
            found = self._look(api, known.plan)
            if found is None:
                return _sent(
                    post, "unknown", known.plan.plan, "an earlier try may have happened, and it cannot be looked up now"
                )
            known.outcome = self._settle(post, known.plan.plan, found, reason="it was not found there")
            _, position = self._known(post)
        if known is not None and _stands(known, post):
            return _sent(post, "unchanged", known.plan.plan)
        plan = self._plan(post, position)
        outcome = api.post(plan.path, plan.body, repeatable=plan.kind != "comment")
        if outcome.state == "unknown":
            found = self._look(api, plan)
            if found is None:
                return _sent(post, "unknown", plan.plan, outcome.reason)
            result = self._settle(post, plan.plan, found, reason=outcome.reason)
        else:
            result = self._settle(post, plan.plan, outcome, reason=outcome.reason)
        return _sent(post, result, plan.plan, outcome.reason if result == "failed" else "")

    def _plan(self, post: Post, position: int) -> PublishPlanned:
        plan_id = uuid.uuid4().hex
        plan = PublishPlanned(
            plan=plan_id,
            kind=post.kind,
            destination=self.destination,
            repository=self.repository,
            subject=post.subject,
            path=post.path,
            body=_marked(post, plan_id),
            policy=self.policy,
            sha=post.sha,
            number=post.number,
            basis=post.basis,
        )
        self.ledger.append([NewEvent(stream=post.stream, payload=plan)], seen={post.stream: position})
        return plan

    def _settle(self, post: Post, plan: str, outcome: Outcome, *, reason: str) -> str:
        """Record what is known of a plan; return `published` or `failed`."""
        done = outcome.state == "done"
        row = outcome.document if isinstance(outcome.document, dict) else {}
        remote_id, url = row.get("id"), row.get("html_url") or row.get("url")
        payload = (
            Published(
                plan=plan,
                http_status=outcome.http_status or 0,
                found=outcome.http_status is None,
                remote_id=remote_id if isinstance(remote_id, int) and 0 <= remote_id < 2**63 else 0,
                url=str(url or "")[:500],
            )
            if done
            else PublishFailed(plan=plan, reason=reason[:500], http_status=outcome.http_status)
        )
        self.ledger.append([NewEvent(stream=post.stream, payload=payload, key=f"publication/{plan}/outcome")])
        return "published" if done else "failed"

    def _look(self, api: GitHubApi, plan: PublishPlanned) -> Outcome | None:
        """Look whether a plan's write is there. None when that cannot be found out."""
        statuses = f"/repos/{plan.repository}/commits/{plan.sha}/statuses"
        rows = api.items(statuses if plan.kind == "status" else plan.path)
        if rows is None:
            return None
        if plan.kind == "status":
            # newest first: an older one of the same content says nothing of what stands there now
            rows = [row for row in rows if row.get("context") == plan.subject][:1]
        same = _has_marker if plan.kind == "comment" else _same_content
        hit = next((row for row in rows if same(plan, row)), None)
        return Outcome(state="done", document=hit) if hit else Outcome(state="not_done")


def _stands(known: _Subject | None, post: Post) -> bool:
    """Whether the last plan is known to have happened and says the same."""
    return known is not None and known.outcome == "published" and known.plan.body == _marked(post, known.plan.plan)


def _marked(post: Post, plan: str) -> dict[str, str]:
    """Return the body as it is sent: a comment carries its plan, invisible, so that it can be found again."""
    if post.kind != "comment":
        return post.body
    return {"body": f"{post.body['body']}\n\n<!-- perfledger {plan} -->"}


def _has_marker(plan: PublishPlanned, row: dict[str, object]) -> bool:
    return f"<!-- perfledger {plan.plan} -->" in str(row.get("body", ""))


def _same_content(plan: PublishPlanned, row: dict[str, object]) -> bool:
    return all(row.get(name) == value for name, value in plan.body.items())


def _sent(post: Post, outcome: str, plan: str | None = None, reason: str = "") -> Sent:
    return Sent(
        kind=post.kind, subject=post.subject, outcome=outcome, path=post.path, body=post.body, plan=plan, reason=reason
    )


def dry(post: Post) -> Sent:
    """What a dry run says of a post."""
    return _sent(post, "planned")
