"""GitHub's webhook payloads, as its public documentation describes them, read into facts."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from commands.service.reading import COMMENT_MAX, FILES_MAX, Fact, Reading, decode, sha, short, time_text
from ledger.events.checks import CheckReported, CommentReceived, PullRequestObserved, PushObserved, ReviewObserved

# A conclusion that is neither is a failure: an unknown word must never turn anything green.
_CONCLUSIONS = {
    "success": "success",
    "neutral": "neutral",
    "skipped": "skipped",
    "cancelled": "cancelled",
    "stale": "pending",
}
_STATUSES = {"success": "success", "pending": "pending", "failure": "failure", "error": "error"}


class _Named(msgspec.Struct):
    name: str = ""


class _User(msgspec.Struct):
    login: str = ""


class _Repository(msgspec.Struct):
    full_name: str


class _Commit(msgspec.Struct):
    sha: str
    ref: str = ""


class _Envelope(msgspec.Struct):
    """What any event may say, looked at before its own fields are."""

    action: str | None = None
    repository: _Repository | None = None


class _Acted(msgspec.Struct):
    """What every event about something that was done says."""

    action: str
    repository: _Repository


class _Status(msgspec.Struct):
    id: int
    sha: str
    context: str
    state: str
    repository: _Repository
    description: str | None = None
    target_url: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


class _CheckRun(msgspec.Struct):
    id: int
    name: str
    head_sha: str
    status: str
    conclusion: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    details_url: str | None = None


class _CheckRunEvent(_Acted):
    check_run: _CheckRun


class _Pull(msgspec.Struct):
    number: int
    title: str
    state: str
    head: _Commit
    base: _Commit
    draft: bool = False
    merged: bool = False
    mergeable: bool | None = None
    mergeable_state: str | None = None
    labels: list[_Named] = []
    user: _User | None = None
    updated_at: str | None = None


class _PullEvent(_Acted):
    pull_request: _Pull


class _Review(msgspec.Struct):
    id: int
    state: str
    user: _User | None = None
    commit_id: str | None = None
    submitted_at: str | None = None


class _Numbered(msgspec.Struct):
    number: int


class _ReviewEvent(_Acted):
    review: _Review
    pull_request: _Numbered


class _Comment(msgspec.Struct):
    id: int
    body: str | None = None
    user: _User | None = None
    author_association: str = "NONE"
    created_at: str | None = None


class _Issue(msgspec.Struct):
    number: int
    pull_request: dict[str, object] | None = None


class _CommentEvent(_Acted):
    issue: _Issue
    comment: _Comment


class _PushCommit(msgspec.Struct):
    added: list[str] = []
    removed: list[str] = []
    modified: list[str] = []


class _PushEvent(msgspec.Struct):
    ref: str
    before: str
    after: str
    repository: _Repository
    forced: bool = False
    commits: list[_PushCommit] = []


def read(event: str, body: bytes) -> Reading:
    """Return what a payload of this event says. Raises `BadInput` for one that is not as documented."""
    envelope = decode(body, _Envelope, event)
    reader = _READERS.get(event)
    facts = reader(body) if reader else []
    return Reading(facts, envelope.action, envelope.repository.full_name if envelope.repository else None)


def pull_stream(repository: str, number: int) -> str:
    """Return the stream of a pull request."""
    return f"pull/{repository}/{number}"


def _status(body: bytes) -> list[Fact]:
    seen = decode(body, _Status, "status")
    payload = CheckReported(
        sha=sha(seen.sha),
        context=short(seen.context, 255),
        state=_STATUSES.get(seen.state, "error"),
        reported_at=time_text(seen.updated_at or seen.created_at),
        remote_id=_number(seen.id),
        source="github:status",
        repository=seen.repository.full_name,
        description=short(seen.description),
        target_url=seen.target_url,
        conclusion=short(seen.state, 40),
    )
    return [Fact(f"check/{payload.sha}", payload)]


def _check_run(body: bytes) -> list[Fact]:
    seen = decode(body, _CheckRunEvent, "check_run")
    if seen.action not in ("created", "completed"):
        return []  # a rerun that is asked for is reported when it begins
    run = seen.check_run
    done = run.status == "completed"
    payload = CheckReported(
        sha=sha(run.head_sha),
        context=short(run.name, 255),
        state=_CONCLUSIONS.get(run.conclusion or "", "failure") if done else "pending",
        reported_at=time_text(run.completed_at if done else run.started_at),
        remote_id=_number(run.id),
        source="github:check_run",
        repository=seen.repository.full_name,
        target_url=run.details_url,
        conclusion=short(run.conclusion or run.status, 40),
    )
    return [Fact(f"check/{payload.sha}", payload)]


def _pull_request(body: bytes) -> list[Fact]:
    seen = decode(body, _PullEvent, "pull_request")
    pull = seen.pull_request
    payload = PullRequestObserved(
        repository=seen.repository.full_name,
        number=pull.number,
        title=short(pull.title, 1000),
        state=pull.state,
        head_sha=sha(pull.head.sha),
        draft=pull.draft,
        merged=pull.merged,
        mergeable=pull.mergeable,
        mergeable_state=pull.mergeable_state,
        head_ref=pull.head.ref,
        base_ref=pull.base.ref,
        labels=[label.name for label in pull.labels],
        author=_login(pull.user),
        action=seen.action,
        updated_at=time_text(pull.updated_at),
    )
    return [Fact(pull_stream(payload.repository, payload.number), payload)]


def _review(body: bytes) -> list[Fact]:
    seen = decode(body, _ReviewEvent, "pull_request_review")
    state = "dismissed" if seen.action == "dismissed" else seen.review.state.lower()
    payload = ReviewObserved(
        repository=seen.repository.full_name,
        number=seen.pull_request.number,
        reviewer=_login(seen.review.user),
        state=state,
        review_id=_number(seen.review.id),
        sha=sha(seen.review.commit_id) if seen.review.commit_id else None,
        submitted_at=time_text(seen.review.submitted_at),
    )
    return [Fact(pull_stream(payload.repository, payload.number), payload)]


def _comment(body: bytes) -> list[Fact]:
    seen = decode(body, _CommentEvent, "issue_comment")
    if seen.action != "created" or seen.issue.pull_request is None:
        return []  # an edited comment is not a new command, and an issue has nothing to test
    payload = CommentReceived(
        repository=seen.repository.full_name,
        number=seen.issue.number,
        comment_id=_number(seen.comment.id),
        author=_login(seen.comment.user),
        body=short(seen.comment.body, COMMENT_MAX),
        association=seen.comment.author_association,
        created_at=time_text(seen.comment.created_at),
    )
    return [Fact(pull_stream(payload.repository, payload.number), payload)]


def _push(body: bytes) -> list[Fact]:
    seen = decode(body, _PushEvent, "push")
    files = sorted({f for c in seen.commits for f in (*c.added, *c.removed, *c.modified)})
    payload = PushObserved(
        repository=seen.repository.full_name,
        ref=seen.ref,
        before=seen.before,
        after=seen.after,
        forced=seen.forced,
        files=files[:FILES_MAX],
        more_files=max(0, len(files) - FILES_MAX),
        commit_count=len(seen.commits),
    )
    return [Fact(f"push/{payload.repository}", payload)]


def _login(user: _User | None) -> str:
    """Return the name of an account, empty for one that is gone."""
    return user.login if user else ""


def _number(value: int) -> int:
    """Return an id of the sender if it fits 64 bits; else 0, which gives no order."""
    return value if 0 <= value < 2**63 else 0


_READERS: dict[str, Callable[[bytes], list[Fact]]] = {
    "status": _status,
    "check_run": _check_run,
    "pull_request": _pull_request,
    "pull_request_review": _review,
    "issue_comment": _comment,
    "push": _push,
}
