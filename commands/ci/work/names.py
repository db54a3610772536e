"""Names people give on the command line: commits, states, pull requests."""

from __future__ import annotations

import re

from ledger.errors import BadInput
from projections.ci.statuses import STATES

_ALIASES = {
    "passed": "success",
    "pass": "success",
    "failed": "failure",
    "fail": "failure",
    "canceled": "cancelled",
    "running": "pending",
    "queued": "pending",
    "in_progress": "pending",
    "timed_out": "failure",
}


def commit(text: str) -> str:
    """Return a commit's name in lower case. Raises `BadInput` for what is not hexadecimal."""
    sha = text.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{4,64}", sha):
        raise BadInput(f"not a commit: {text!r}", code="bad_sha", hint="git rev-parse HEAD", sha=text)
    return sha


def state(text: str) -> str:
    """Return a state as the ledger spells it. Raises `BadInput` with the list."""
    word = text.strip().lower()
    word = _ALIASES.get(word, word)
    if word not in STATES:
        raise BadInput(f"not a state: {text!r}", code="bad_state", hint=f"one of {', '.join(STATES)}", state=text)
    return word


def pull(text: str) -> tuple[str | None, int]:
    """Return (repository or None, number) of `12`, `#12`, `owner/name#12` or a pull request's URL."""
    found = re.fullmatch(r"(?:(?:https?://[^/]+/)?([^/\s#]+/[^/\s#]+?)(?:/pull/|#))?#?(\d{1,18})/?", text.strip())
    if not found:
        raise BadInput(
            f"not a pull request: {text!r}",
            code="bad_pull_request",
            hint="12, owner/name#12 or its URL",
            pull_request=text,
        )
    return found[1], int(found[2])


def repository(text: str) -> str:
    """Return `owner/name`. Raises `BadInput`."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", text.strip()):
        raise BadInput(f"not a repository: {text!r}", code="bad_repository", hint="owner/name", repository=text)
    return text.strip()
