"""Facts about CI: reports, pull requests, reviews, changes, commands, posts, deliveries, CI policies."""

from __future__ import annotations

from datetime import datetime

from projections.facts.base import Fact


class FactCheck(Fact, table=True):
    """One report of one context of one commit.

    reported_at: when it counts from: the source's own time, or ours when it gave none or one in the future.
    """

    __tablename__ = "fact_check"
    sha: str
    context: str
    state: str
    reported_at: datetime
    remote_id: int
    source: str
    repository: str | None
    description: str
    target_url: str | None


class FactPullRequest(Fact, table=True):
    """A pull request as it was seen. `labels` is a JSON list. seen_at: the source's time, as in `fact_check`."""

    __tablename__ = "fact_pull_request"
    repository: str
    number: int
    title: str
    state: str
    draft: bool
    merged: bool
    mergeable: bool | None
    mergeable_state: str | None
    head_sha: str
    head_ref: str
    base_ref: str
    labels: str
    author: str
    seen_at: datetime


class FactReview(Fact, table=True):
    """One word of one reviewer."""

    __tablename__ = "fact_review"
    repository: str
    number: int
    reviewer: str
    state: str
    review_id: int
    sha: str | None
    submitted_at: datetime


class FactChange(Fact, table=True):
    """What a commit changes against its base. `files` is a JSON list."""

    __tablename__ = "fact_change"
    sha: str
    files: str
    base: str | None
    repository: str | None
    number: int | None


class FactCommand(Fact, table=True):
    """One slash command, decided and answered."""

    __tablename__ = "fact_command"
    repository: str
    number: int
    comment_id: int
    entry: int
    text: str
    known: bool
    allowed: bool
    action: str | None
    test_type: str | None
    scope: str | None
    ref: str | None
    sha: str | None
    answer: str
    reaction: str
    policy: str


class FactPost(Fact, table=True):
    """One step of a write to the outside: planned, published or failed."""

    __tablename__ = "fact_post"
    plan: str
    step: str
    kind: str | None
    repository: str | None
    subject: str | None
    sha: str | None
    number: int | None
    body: str | None
    http_status: int | None
    reason: str | None


class FactDelivery(Fact, table=True):
    """One webhook delivery that was accepted."""

    __tablename__ = "fact_delivery"
    source: str
    delivery: str
    event: str
    action: str | None
    repository: str | None
    body_sha256: str
    body_bytes: int
    understood: bool


class FactCiPolicy(Fact, table=True):
    """A CI policy adopted. `policy` is JSON with every rule spelled out, `globs` its patterns as expressions.

    replaces: digest of the one it took over from. replaces_events: the event ids of those, as JSON; null when it
    names none.
    """

    __tablename__ = "fact_ci_policy"
    name: str
    digest: str
    policy: str
    globs: str
    reason: str
    replaces: str | None
    replaces_events: str | None
    number: int


class FactReseedSource(Fact, table=True):
    """A source result of a reseed, by the digest of its bytes: through it a reseed belongs to a commit."""

    __tablename__ = "fact_reseed_source"
    reseed: str
    sha256: str
