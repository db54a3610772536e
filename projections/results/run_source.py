"""Where a run came from: the pull request, the scheduled main run, a developer, or unknown."""

from __future__ import annotations

from collections.abc import Mapping

PR, LOCAL, SCHEDULED_MAIN, UNKNOWN = "pr", "local", "scheduled_main", "unknown"
RUN_SOURCES = (PR, LOCAL, SCHEDULED_MAIN, UNKNOWN)
UPLOAD_POLICIES = ("never", "pass", "always")
_NO_PULL_REQUEST = frozenset({"false", "0", "None", "none", ""})


def pull_request(value: object) -> str:
    """Return a pull request's number as text, "" for the words CI uses when there is none."""
    text = "" if value is None else str(value)
    return "" if text in _NO_PULL_REQUEST else text


def detect_run_source(env: Mapping[str, str]) -> str:
    """Return the run source an environment describes.

    `PERF_RUN_SOURCE` when it is one of the four; else pull request, then main with the full scope,
    then no commit at all (local), else unknown.
    """
    explicit = env.get("PERF_RUN_SOURCE", "")
    if explicit in RUN_SOURCES:
        return explicit
    if pull_request(env.get("BUILDKITE_PULL_REQUEST")):
        return PR
    if env.get("BUILDKITE_BRANCH") == "main" and env.get("TEST_SCOPE") == "full":
        return SCHEDULED_MAIN
    return UNKNOWN if env.get("BUILDKITE_COMMIT") else LOCAL


def upload_policy(value: str | None) -> str:
    """Return the upload policy a variable names; anything but the three words is `never`."""
    return value if value in UPLOAD_POLICIES else "never"
