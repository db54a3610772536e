"""The outbox of writes to GitHub: each an announced write, one at a time for a subject.

Before anything else is sent for a subject, a plan of an earlier run that has no outcome is looked for and settled.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from commands.ci.work.api import GitHubApi
from commands.ci.work.posts import Post
from ledger.errors import OutcomeUnknown, PerfledgerError, Unavailable
from ledger.event import Event, NewEvent, recorded_order
from ledger.events.checks import Published, PublishFailed, PublishPlanned
from ledger.remotes.retry import Busy
from ledger.sync import announced

if TYPE_CHECKING:
    from ledger.ledger import Ledger

PUBLICATION = announced.Kind("PublishPlanned", frozenset({"Published", "PublishFailed"}), named_by="plan")
TYPES = (PUBLICATION.planned, *PUBLICATION.settled)


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
        known = self._survey(self.ledger.read_counted(types=TYPES))
        return [post for post in posts if not _stands(known.get((post.stream, post.subject)), post)]

    def send(self, api: GitHubApi, posts: Iterable[Post]) -> list[Sent]:
        """Send each post that does not stand there yet; stop nowhere, so that one failure hides no other."""
        found = []
        for post in posts:
            with announced.alone(self.ledger, "publish.lock") as writer:
                found.append(self._send(writer, api, post))
        return found

    def _survey(self, events: Iterable[Event]) -> dict[tuple[str, str], _Subject]:
        """Return the last plan of every (stream, subject) at this destination, and what became of it."""
        subjects: dict[tuple[str, str], _Subject] = {}
        by_plan: dict[str, _Subject] = {}
        for event in sorted(events, key=recorded_order):
            payload = event.typed()
            if isinstance(payload, PublishPlanned):
                if payload.destination == self.destination:
                    by_plan[payload.plan] = subjects[event.stream, payload.subject] = _Subject(payload)
            elif isinstance(payload, (Published, PublishFailed)) and payload.plan in by_plan:
                by_plan[payload.plan].outcome = "published" if isinstance(payload, Published) else "failed"
        return subjects

    def _send(self, writer: announced.Writer, api: GitHubApi, post: Post) -> Sent:
        publication = _Publication(self, api, post)
        known = publication.known
        try:
            if known is not None and known.outcome is None and known.plan != publication.wanted:
                # what should stand there changed since it was planned
                writer.find_out(_Publication(self, api, post, plan=known.plan), reason="it was not found there")
                publication = _Publication(self, api, post)
            if publication.known is not None and _stands(publication.known, post):
                return _sent(post, "unchanged", publication.known.plan.plan)
            landed = writer.carry_out(publication)
        except OutcomeUnknown as error:
            return _sent(post, "unknown", publication.plan_name, error.message)
        except Unavailable as error:
            return _sent(post, "failed", publication.plan_name, _reason(error))
        # what an earlier run sent was only found now
        return _sent(post, "published" if landed.sent else "unchanged", publication.plan_name)

    def wanted(self, post: Post, plan: str) -> PublishPlanned:
        """Return what announces a post under the name `plan`."""
        return PublishPlanned(
            plan=plan,
            kind=post.kind,
            destination=self.destination,
            repository=self.repository,
            subject=post.subject,
            path=post.path,
            body=_marked(post, plan),
            policy=self.policy,
            sha=post.sha,
            number=post.number,
            basis=post.basis,
        )

    def about(self, post: Post, events: Iterable[Event]) -> list[Event]:
        """Return what was planned for a post's subject, with all outcomes, out of its stream's events."""
        return [
            event
            for event in events
            if event.type in PUBLICATION.settled or (event.type == PUBLICATION.planned and self._is_of(event, post))
        ]

    def _is_of(self, event: Event, post: Post) -> bool:
        body = event.body()
        return (body["destination"], body["subject"]) == (self.destination, post.subject)

    def known(self, post: Post, events: Iterable[Event]) -> _Subject | None:
        """Return the last plan of a post's subject, and what became of it."""
        return self._survey(events).get((post.stream, post.subject))


@dataclass(frozen=True)
class _Absent:
    """A write that is not there."""

    plan: PublishPlanned

    @property
    def paths(self) -> list[str]:
        return [self.plan.path]


class _Publication(announced.Announced[_Absent]):
    """One post. plan: end this earlier plan of the same subject instead."""

    def __init__(self, outbox: Outbox, api: GitHubApi, post: Post, *, plan: PublishPlanned | None = None) -> None:
        self.words = announced.Words(outbox.destination, f"{post.kind} {post.subject}", "perfledger ci publish")
        self.policy = api.policy
        events = outbox.ledger.read_stream(post.stream)
        own = [event.position for event in events if event.origin == outbox.ledger.origin]
        self.seen = {post.stream: max(own, default=0)}
        self._events = outbox.about(post, events)
        self.known = outbox.known(post, self._events)
        unended = self.known is not None and self.known.outcome is None
        name = self.known.plan.plan if self.known is not None and unended else uuid.uuid4().hex
        self.wanted = plan or outbox.wanted(post, name)
        self._api = api
        self._stream = post.stream
        self._sent = False  # whether it may be there, so that it must be looked for
        self._landed: Published | None = None

    @property
    def plan_name(self) -> str:
        """The name of the plan, which pairs it with its outcome."""
        return self.wanted.plan

    def unsettled(self) -> Event | None:
        """Return the last plan of the subject that has no outcome."""
        left = announced.unsettled(reversed(self._events), PUBLICATION)
        self._sent = left is not None
        return left

    def look(self) -> _Absent | None:
        """Ask the API whether it is there, unless that is certain. Only the newest status of a context counts."""
        if self._landed is None and self._sent:
            row = self._find()
            if row is None:
                self._sent = False
            else:
                self._landed = _published(self.wanted, row, status=None)
        return None if self._landed else _Absent(self.wanted)

    def planned(self, missing: _Absent) -> NewEvent:
        """Announce exactly what is sent."""
        return NewEvent(stream=self._stream, payload=missing.plan)

    def send(self, missing: _Absent) -> list[str]:
        """Post it; an answer that accepts it is enough."""
        try:
            answer = self._api.post(missing.plan.path, missing.plan.body)
        except Busy as failure:
            self._sent = failure.sent
            raise
        self._landed = _published(missing.plan, answer.document, status=answer.http_status)
        return missing.paths

    def settle(self, landed: announced.Landed[_Absent]) -> list[NewEvent]:
        """Say that it happened."""
        del landed
        assert self._landed is not None
        return [self._outcome(self._landed)]

    def refused(self, error: PerfledgerError) -> list[NewEvent]:
        """Say that it did not happen; it may be planned anew."""
        if self.plan is None:
            return []
        status = error.details.get("http_status")
        return [self._outcome(PublishFailed(plan=self.plan_name, reason=_reason(error)[:500], http_status=status))]

    def _outcome(self, payload: Published | PublishFailed) -> NewEvent:
        return NewEvent(stream=self._stream, payload=payload, key=f"publication/{self.plan_name}/outcome")

    def _find(self) -> dict[str, Any] | None:
        plan = self.wanted
        statuses = f"/repos/{plan.repository}/commits/{plan.sha}/statuses"
        rows = self._api.items(statuses if plan.kind == "status" else plan.path)
        if plan.kind == "status":
            # newest first: an older one of the same content does not tell what GitHub shows now
            rows = [row for row in rows if row.get("context") == plan.subject][:1]
        same = _has_marker if plan.kind == "comment" else _same_content
        return next((row for row in rows if same(plan, row)), None)


def _published(plan: PublishPlanned, document: object, *, status: int | None) -> Published:
    """status: of the answer that accepted it; None when it was found there."""
    row = document if isinstance(document, dict) else {}
    remote_id, url = row.get("id"), row.get("html_url") or row.get("url")
    return Published(
        plan=plan.plan,
        http_status=status or 0,
        found=status is None,
        remote_id=remote_id if isinstance(remote_id, int) and 0 <= remote_id < 2**63 else 0,
        url=str(url or "")[:500],
    )


def _reason(error: PerfledgerError) -> str:
    return str(error.details.get("reason", error.message))


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
