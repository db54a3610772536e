"""What continuous integration said and was told: statuses, pull requests, reviews, commands, posts.

Streams: `check/<sha>` for what is known of one commit, `pull/<owner>/<repo>/<number>` for one pull
request, `comment/...` and `publication/...` for one comment and one post, `webhook/<source>` for
deliveries. Times with the suffix `_at` are the source's own clock, ISO 8601; null when it gave none.
"""

from __future__ import annotations

from ledger.event import EventPayload, event_type


@event_type()
class CheckReported(EventPayload):
    """Someone reported the state of one context of one commit.

    sha: the commit, lower-case hex. context: the status name, for example
    `buildkite/ci/microscope-encoder-tests`. state: success, failure, error, pending, cancelled, neutral or
    skipped. reported_at: when the source says so. remote_id: the source's own rising number, 0 without;
    of two reports with one time the larger counts. source: `github:status`, `github:check_run`,
    `buildkite:job`, `buildkite:build` or `cli`. conclusion: the source's own word for the state.
    """

    sha: str
    context: str
    state: str
    reported_at: str | None = None
    remote_id: int = 0
    source: str = "cli"
    repository: str | None = None
    description: str = ""
    target_url: str | None = None
    conclusion: str | None = None


@event_type()
class ChangeObserved(EventPayload):
    """The files that a commit changes against its base became known, so that its lanes can be told.

    files: every changed name, sorted, old names of renames too. base: what it was compared with.
    repository and number: the pull request it belongs to, if that was named.
    """

    sha: str
    files: list[str]
    base: str | None = None
    repository: str | None = None
    number: int | None = None


@event_type()
class PullRequestObserved(EventPayload):
    """A pull request looked like this at `updated_at`.

    state: open or closed. mergeable: false means a conflict with the base, null that GitHub has not
    worked it out yet. labels: the names it carried. action: what the source said had happened.
    """

    repository: str
    number: int
    title: str
    state: str
    head_sha: str
    draft: bool = False
    merged: bool = False
    mergeable: bool | None = None
    mergeable_state: str | None = None
    head_ref: str = ""
    base_ref: str = ""
    labels: list[str] = []
    author: str = ""
    action: str = ""
    updated_at: str | None = None


@event_type()
class ReviewObserved(EventPayload):
    """A reviewer said something about a pull request.

    state: approved, changes_requested, commented, dismissed or pending. sha: the commit that was reviewed.
    """

    repository: str
    number: int
    reviewer: str
    state: str
    review_id: int = 0
    sha: str | None = None
    submitted_at: str | None = None


@event_type()
class CommentReceived(EventPayload):
    """A comment on a pull request arrived, whole up to 65,536 characters (GitHub's own limit).

    association: what the author is to the repository in GitHub's words (OWNER, MEMBER, COLLABORATOR, ...).
    """

    repository: str
    number: int
    comment_id: int
    author: str
    body: str
    association: str = "NONE"
    created_at: str | None = None


@event_type()
class CommandDecided(EventPayload):
    """A slash command was decided: what it means, whether its author may, and what the author is told.

    item: its place in the comment, from 1. action: `trigger`, `merge` or null. test_type and scope: the
    TEST_TYPE and TEST_SCOPE of the build to start. ref and sha: what the build runs on, as known at the
    decision. allowed: whether the author's association suffices. known: whether the command exists.
    answer: the reply; there always is one. reaction: the emoji name put on the comment, empty for none.
    policy: digest of the policy it was decided by.
    """

    repository: str
    number: int
    comment_id: int
    item: int
    text: str
    known: bool
    allowed: bool
    answer: str
    policy: str
    action: str | None = None
    test_type: str | None = None
    scope: str | None = None
    ref: str | None = None
    sha: str | None = None
    labels_removed: list[str] = []
    labels_added: list[str] = []
    reaction: str = ""


@event_type()
class PushObserved(EventPayload):
    """A branch moved. files: what the pushed commits touched, which is not the difference to a base.

    more_files: how many further names there were beyond the first 5,000.
    """

    repository: str
    ref: str
    before: str
    after: str
    forced: bool = False
    files: list[str] = []
    more_files: int = 0
    commit_count: int = 0


@event_type()
class WebhookReceived(EventPayload):
    """A delivery with a right signature was accepted; the facts in it are the events beside it.

    source: github or buildkite. delivery: the sender's id of it. body_sha256, body_bytes: the exact body.
    understood: false for kinds of deliveries that carry nothing the ledger keeps (for example `ping`).
    """

    source: str
    delivery: str
    event: str
    body_sha256: str
    body_bytes: int
    action: str | None = None
    repository: str | None = None
    understood: bool = True


@event_type()
class PublishPlanned(EventPayload):
    """A write to a GitHub-protocol API is about to be tried.

    kind: status, comment or reaction. destination: the API's base URL. subject: the context of a status,
    else what the comment or reaction is about. body: exactly what is sent. policy: digest of the policy
    the content was decided by. basis: ids of the events it rests on.
    """

    plan: str
    kind: str
    destination: str
    repository: str
    subject: str
    path: str
    body: dict[str, str]
    policy: str
    sha: str | None = None
    number: int | None = None
    basis: list[str] = []


@event_type()
class Published(EventPayload):
    """A planned write is known to have happened. found: it was found there, not seen to be accepted."""

    plan: str
    http_status: int
    remote_id: int = 0
    url: str = ""
    found: bool = False


@event_type()
class PublishFailed(EventPayload):
    """A planned write is known not to have happened; it may be planned anew. reason: one sentence."""

    plan: str
    reason: str
    http_status: int | None = None
