"""A client for GitHub-protocol APIs: one request each, and what its failure means for a write.

It never follows a redirect, because the token would go with it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx2
import msgspec

from ledger.errors import BadInput, Unavailable
from ledger.remotes.retry import Allowance, Busy, RetryPolicy, Unsure, asked_to_wait

TRY_COUNT_MAX = 4
PAGES_MAX = 20
PER_PAGE = 100
BACKOFF_SECONDS = 0.5
WITHOUT_A_TIME_SECONDS = 60.0  # GitHub's advice for a rate limit without a time
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Answered(msgspec.Struct, frozen=True):
    """A write that was accepted: the status, and the document that describes it."""

    http_status: int
    document: Any = None


class GitHubApi:
    """One API with one token. `wait_s_max`: how long all waits together may be, under `policy`.

    Each method is one try. Raises `Busy` for what may pass, `Unsure` for a write whose answer was lost, `Unavailable`
    (code `github_refused`) for what the API refuses.
    """

    def __init__(self, base_url: str, token: str, *, wait_s_max: float, timeout_s: float = 30.0) -> None:
        self.base_url = check_url(base_url)
        self.policy = RetryPolicy(
            tries_max=TRY_COUNT_MAX, wait_s=BACKOFF_SECONDS, wait_total_max_s=wait_s_max, shared=Allowance(wait_s_max)
        )
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(timeout_s, connect=min(10.0, timeout_s)),
            follow_redirects=False,
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                "User-Agent": "perfledger",
            },
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def post(self, path: str, body: dict[str, str]) -> Answered:
        """Send a write."""
        try:
            answer = self._ask("POST", path, body)
        except Busy as failure:
            if failure.sent:
                raise Unsure(failure.reason, retry_after=failure.retry_after) from None
            raise
        return Answered(answer.status_code, _document(answer))

    def items(self, path: str) -> list[dict[str, Any]]:
        """Return all rows of a list in the order served. Raises `Unavailable` when it is too long to be read."""
        rows: list[dict[str, Any]] = []
        sign = "&" if "?" in path else "?"
        for page in range(1, PAGES_MAX + 1):
            found = _document(self._ask("GET", f"{path}{sign}per_page={PER_PAGE}&page={page}"))
            if not isinstance(found, list):
                raise self._refusal("sent an answer that is not a list", None)
            rows += [row for row in found if isinstance(row, dict)]
            if len(found) < PER_PAGE:
                return rows
        raise self._refusal(f"lists more than {PAGES_MAX * PER_PAGE:,} rows", None)

    def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> httpx2.Response:
        try:
            answer = self._client.request(method, self.base_url + path, json=body)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise Busy(f"cannot be reached: {error}", sent=False) from None
        except httpx2.TransportError as error:
            raise Busy(f"gave no answer ({type(error).__name__})") from None
        if answer.is_success:
            return answer
        status, said = answer.status_code, _said(answer)
        limit = rate_limit_wait(answer.headers, status, now=time.time())
        if limit is not None:
            # not before the next step of our own, however early it says
            asked = max(limit, BACKOFF_SECONDS)
            raise Busy(f"is at its rate limit and asks to wait {limit:.0f} s: {said}", retry_after=asked, sent=False)
        if status >= 500:
            raise Busy(f"answered {status}: {said}")
        raise self._refusal(f"answered {status}: {said}", status)

    def _refusal(self, reason: str, status: int | None) -> Unavailable:
        return Unavailable(
            f"{self.base_url} {reason}",
            code="github_refused",
            hint="look at the token's permissions, then run it again",
            reason=reason,
            http_status=status,
        )


def check_url(url: str) -> str:
    """Return a base URL without its last slash. Raises `BadInput` where a token would be sent unencrypted."""
    parts = _taken_apart(url)
    if parts is None:
        raise BadInput(f"not an API URL: {url!r}", code="bad_url", hint="--api-url https://api.github.com")
    if "@" in parts.netloc:
        raise BadInput(
            "the API URL holds a name or password; the token is read from GITHUB_TOKEN only",
            code="bad_url",
            hint="--api-url https://api.github.com",
        )
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise BadInput(
            f"{url} is not https: the token would be sent unencrypted", code="bad_url", hint="--api-url https://..."
        )
    return url.rstrip("/")


def _taken_apart(url: str) -> SplitResult | None:
    """Return the parts of an http or https URL, None for what is none: a port or a host name that cannot be one."""
    try:
        parts = urlsplit(url)
        name, port = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:  # UnicodeError, for a host name, is one
        return None
    well_formed = url.isprintable() and " " not in url and name and port != 0
    return parts if well_formed and parts.scheme in ("https", "http") else None


def read_token(hint: str) -> str:
    """Return the token of GITHUB_TOKEN. Raises `BadInput` when there is none, or one that no header can carry."""
    token = os.environ.get("GITHUB_TOKEN", "").strip()
    if not token:
        raise BadInput("GITHUB_TOKEN is not set; nothing was sent", code="no_token", hint=hint)
    if not (token.isascii() and token.isprintable()):
        raise BadInput(
            "GITHUB_TOKEN is not printable ASCII, so it is no token; nothing was sent", code="bad_token", hint=hint
        )
    return token


def rate_limit_wait(headers: Mapping[str, str], status: int, *, now: float) -> float | None:
    """Return how long a refused request is asked to wait, None when it was not refused for its rate.

    GitHub answers 429, or 403 with `Retry-After` or with no calls remaining until `X-RateLimit-Reset`.
    """
    if status not in (403, 429, 503):
        return None
    asked = asked_to_wait(status, headers, now=now)
    if asked is not None:
        return asked
    limited = status == 429 or "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
    return WITHOUT_A_TIME_SECONDS if limited else None


def _document(answer: httpx2.Response) -> Any:
    try:
        return msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        return None


def _said(answer: httpx2.Response) -> str:
    document = _document(answer)
    said = document.get("message") if isinstance(document, dict) else None
    return str(said or answer.reason_phrase or "no reason given")[:200]
