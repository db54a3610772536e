"""A client for GitHub-protocol APIs that knows three outcomes of a write: done, not done, not known.

It waits as the server asks (`Retry-After`, `X-RateLimit-Reset`), within a budget; it never follows a
redirect, because the token would go with it.
"""

from __future__ import annotations

import time
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx2
import msgspec

from ledger.errors import BadInput

TRY_COUNT_MAX = 4
PAGES_MAX = 20
PER_PAGE = 100
BACKOFF_SECONDS = 0.5
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a write. state `unknown`: it was sent, and no answer said what happened."""

    state: Literal["done", "not_done", "unknown"]
    http_status: int | None = None
    document: Any = None
    reason: str = ""


class GitHubApi:
    """One API with one token. `wait_s_max`: how long all waits together may be."""

    def __init__(self, base_url: str, token: str, *, wait_s_max: float, timeout_s: float = 30.0) -> None:
        self.base_url = check_url(base_url)
        self.waited_s = 0.0
        self.wait_s_max = wait_s_max
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

    def post(self, path: str, body: dict[str, str], *, repeatable: bool) -> Outcome:
        """Send a write. `repeatable`: doing it twice is the same as once, so a lost answer is tried again."""
        sent_once = False
        last = Outcome(state="not_done", reason="never tried")
        for attempt in range(TRY_COUNT_MAX):
            last, wait = self._try(path, body, attempt)
            sent_once = sent_once or last.state == "unknown"
            if last.state == "done" or wait is None or (last.state == "unknown" and not repeatable):
                break
            if attempt == TRY_COUNT_MAX - 1:
                break
            if not self._wait(wait):
                last = msgspec.structs.replace(
                    last, reason=f"{last.reason}; it asks to wait {wait:.0f} s more than --max-wait allows"
                )
                break
        # one try that may have happened makes the whole uncertain, whatever the later ones said
        return msgspec.structs.replace(last, state="unknown") if sent_once and last.state == "not_done" else last

    def _try(self, path: str, body: dict[str, str], attempt: int) -> tuple[Outcome, float | None]:
        """Send once. Return the outcome and how many seconds to wait before another try, None for no more."""
        backoff = BACKOFF_SECONDS * 2**attempt
        try:
            answer = self._client.post(self.base_url + path, json=body)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            return Outcome(state="not_done", reason=f"cannot connect: {error}"), backoff
        except httpx2.TransportError as error:
            return Outcome(state="unknown", reason=f"no answer: {type(error).__name__}"), backoff
        status = answer.status_code
        if answer.is_success:
            return Outcome(state="done", http_status=status, document=_document(answer)), None
        said = _said(answer)
        if (limit := rate_limit_wait(answer.headers, status, now=time.time())) is not None:
            return Outcome(state="not_done", http_status=status, reason=f"rate limit: {said}"), max(limit, backoff)
        if status >= 500:
            return Outcome(state="unknown", http_status=status, reason=f"answered {status}: {said}"), backoff
        return Outcome(state="not_done", http_status=status, reason=f"answered {status}: {said}"), None

    def items(self, path: str) -> list[dict[str, Any]] | None:
        """Return all rows of a list in the order served; None when it cannot be read to its end."""
        rows: list[dict[str, Any]] = []
        for page in range(1, PAGES_MAX + 1):
            found = self._page(path, page)
            if found is None:
                return None
            rows += found
            if len(found) < PER_PAGE:
                return rows
        return None

    def _page(self, path: str, page: int) -> list[dict[str, Any]] | None:
        sign = "&" if "?" in path else "?"
        for attempt in range(TRY_COUNT_MAX):
            wait = BACKOFF_SECONDS * 2**attempt
            try:
                answer = self._client.get(f"{self.base_url}{path}{sign}per_page={PER_PAGE}&page={page}")
            except httpx2.TransportError:
                answer = None
            if answer is not None and answer.is_success:
                rows = _document(answer)
                return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else None
            if answer is not None:
                limit = rate_limit_wait(answer.headers, answer.status_code, now=time.time())
                if limit is None and answer.status_code < 500:
                    return None
                wait = max(wait, limit or 0.0)
            if attempt == TRY_COUNT_MAX - 1 or not self._wait(wait):
                return None
        return None

    def _wait(self, seconds: float) -> bool:
        """Sleep if the budget allows it."""
        if self.waited_s + seconds > self.wait_s_max:
            return False
        self.waited_s += seconds
        time.sleep(seconds)
        return True


def check_url(url: str) -> str:
    """Return a base URL without its last slash. Raises `BadInput` where a token would travel in the open."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise BadInput(f"not an API URL: {url!r}", code="bad_url", hint="--api-url https://api.github.com")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise BadInput(
            f"{url} is not https: the token would travel in the open", code="bad_url", hint="--api-url https://..."
        )
    return url.rstrip("/")


def rate_limit_wait(headers: Any, status: int, *, now: float) -> float | None:
    """Return how long a refused request is asked to wait, None when it was not refused for its rate.

    GitHub answers 429, or 403 with `Retry-After` or with no calls remaining until `X-RateLimit-Reset`.
    """
    if status not in (403, 429, 503):
        return None
    after = headers.get("retry-after", "")
    if after:
        return _seconds(after, now)
    if headers.get("x-ratelimit-remaining") == "0":
        reset = headers.get("x-ratelimit-reset", "")
        return max(0.0, float(reset) - now) if reset.isdigit() else 60.0
    return 60.0 if status == 429 else None  # GitHub's advice for a limit without a time


def _seconds(after: str, now: float) -> float:
    """Return seconds of a Retry-After, which is a number or a date."""
    if after.strip().isdigit():
        return float(after)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(after).timestamp() - now)
    except (ValueError, TypeError):
        return 60.0


def _document(answer: httpx2.Response) -> Any:
    try:
        return msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        return None


def _said(answer: httpx2.Response) -> str:
    document = _document(answer)
    said = document.get("message") if isinstance(document, dict) else None
    return str(said or answer.reason_phrase or "no reason given")[:200]
