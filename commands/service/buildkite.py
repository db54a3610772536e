"""Buildkite's webhook payloads, as its public documentation describes them, read into facts.

A job becomes a report of the context that Buildkite posts to GitHub for it: `buildkite/<pipeline>/` and
the step's label in lower case with dashes, its emoji by name: `:microscope: Encoder Tests` is
`buildkite/ci/microscope-encoder-tests`. A build becomes a report of `buildkite/<pipeline>`.
"""

from __future__ import annotations

import re

import msgspec

from commands.service.reading import Fact, Reading, decode, sha, short, time_text
from ledger.events.checks import CheckReported

# A word that is not here is a failure: it must never turn anything green.
_STATES = {
    "passed": "success",
    "running": "pending",
    "scheduled": "pending",
    "assigned": "pending",
    "accepted": "pending",
    "creating": "pending",
    "waiting": "pending",
    "blocked": "pending",
    "limited": "pending",
    "limiting": "pending",
    "canceled": "cancelled",
    "canceling": "cancelled",
    "skipped": "skipped",
    "not_run": "skipped",
}


class _Pipeline(msgspec.Struct):
    slug: str


class _Run(msgspec.Struct, kw_only=True):
    """What builds and jobs have in common: where they are, and since when."""

    state: str
    web_url: str | None = None
    created_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None

    @property
    def at(self) -> str | None:
        """When it got to its state, as far as it says."""
        return self.finished_at or self.started_at or self.created_at


class _Build(_Run, kw_only=True):
    number: int
    commit: str


class _Job(_Run, kw_only=True):
    state: str = ""
    name: str | None = None
    type: str = "script"
    soft_failed: bool = False
    exit_status: int | None = None


class _Event(msgspec.Struct):
    event: str
    build: _Build | None = None
    job: _Job | None = None
    pipeline: _Pipeline | None = None


def read(event: str, body: bytes) -> Reading:
    """Return what a payload of this event says. Raises `BadInput` for one that is not as documented."""
    seen = decode(body, _Event, event)
    if seen.build is None or seen.pipeline is None or not re.fullmatch(r"[0-9a-fA-F]{7,64}", seen.build.commit):
        return Reading([], seen.event)  # `ping`, agent events, and builds of `HEAD` before it is resolved
    if event.startswith("job.") and seen.job is not None:
        return Reading(_job(seen.pipeline, seen.build, seen.job), seen.event)
    if event.startswith("build."):
        return Reading([_build(seen.pipeline, seen.build)], seen.event)
    return Reading([], seen.event)


def slug(label: str) -> str:
    """Return the part of a context that Buildkite makes of a step's label."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")


def _job(pipeline: _Pipeline, build: _Build, job: _Job) -> list[Fact]:
    if job.type not in ("script", "trigger") or not job.name:
        return []  # a wait or a block step is no test
    return [
        _report(
            build,
            job,
            f"buildkite/{pipeline.slug}/{slug(job.name)}",
            source="buildkite:job",
            said=f"build #{build.number}" + (f", exit {job.exit_status}" if job.exit_status else ""),
        )
    ]


def _build(pipeline: _Pipeline, build: _Build) -> Fact:
    return _report(build, build, f"buildkite/{pipeline.slug}", source="buildkite:build", said=f"build #{build.number}")


def _report(build: _Build, run: _Run, context: str, *, source: str, said: str) -> Fact:
    """Return the report of a build, or of one of its jobs."""
    payload = CheckReported(
        sha=sha(build.commit),
        context=short(context, 255),
        state=_STATES.get(run.state, "failure"),
        reported_at=time_text(run.at),
        remote_id=build.number if 0 <= build.number < 2**63 else 0,
        source=source,
        description=said,
        target_url=run.web_url or build.web_url,
        conclusion=short(run.state, 40),
    )
    return Fact(f"check/{payload.sha}", payload)
