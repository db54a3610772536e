"""How often and how long a remote is asked again: one policy for every store and every API.

Every request is retried here and nowhere else. The Hub client's own loops are bypassed, because they
differ from call to call: some wait 23 seconds, some for as long as a Retry-After says, some never.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ledger.errors import BadInput, Unavailable

WAIT_VARIABLE = "PERFLEDGER_REMOTE_WAIT"

Result = TypeVar("Result")


class Busy(Exception):
    """The remote could not do it now; asking again later may help.

    reason: the rest of a sentence that begins with the remote's name. retry_after: seconds it asked to wait.
    sent: whether the request may have reached it, so that a write may have happened.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, sent: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.sent = sent


class Moved(Exception):
    """A write was refused because another one came first: look again."""


class Unsure(Busy):
    """A write's answer was lost: it may or may not have happened. Look before repeating it."""


@dataclass
class Allowance:
    """Seconds of waiting that are left, where several operations share them."""

    left_s: float


@dataclass(frozen=True)
class RetryPolicy:
    """At most `tries_max` tries and `wait_total_max_s` seconds of waiting between them, all together.

    The waits double from `wait_s` to `wait_max_s`, each shortened by up to half at random so that machines
    that failed together do not come back together. shared: what all operations under this policy may wait together;
    None: `wait_total_max_s` is of each.
    """

    tries_max: int = 10
    wait_s: float = 0.25
    wait_max_s: float = 8.0
    wait_total_max_s: float = 90.0
    shared: Allowance | None = None


def default_policy() -> RetryPolicy:
    """Return the policy of a command: PERFLEDGER_REMOTE_WAIT bounds its waiting in seconds."""
    text = os.environ.get(WAIT_VARIABLE, "")
    if not text:
        return RetryPolicy()
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 86_400:
        raise BadInput(
            f"{WAIT_VARIABLE}={text!r} is not a number of seconds", code="bad_wait", hint=f"export {WAIT_VARIABLE}=90"
        )
    return RetryPolicy(wait_total_max_s=seconds)


class Patience:
    """The tries and waits of one operation."""

    def __init__(self, policy: RetryPolicy, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.policy = policy
        self.tries = 0
        self._allowance = policy.shared or Allowance(policy.wait_total_max_s)
        self._sleep = sleep

    def wait(self, failure: Busy | Moved) -> bool:
        """Wait as long as the failure asks for; False, without waiting, when there is no try or time left."""
        self.tries += 1
        if self.tries >= self.policy.tries_max:
            return False
        asked = failure.retry_after if isinstance(failure, Busy) else None
        if asked is not None:
            seconds = asked * random.uniform(1.0, 1.1)
        else:
            seconds = min(self.policy.wait_max_s, self.policy.wait_s * 2 ** (self.tries - 1)) * random.uniform(0.5, 1.0)
        if seconds > self._allowance.left_s:
            return False
        self._sleep(seconds)
        self._allowance.left_s -= seconds
        return True


def asked_to_wait(status: int, headers: Mapping[str, str], *, now: float) -> float | None:
    """Return the seconds that an answer asks to wait before the next request, or None.

    It may say so as `Retry-After`, a number or a date (RFC 9110, 10.2.3); with 429 as the t of `RateLimit` (the Hub);
    as the time `X-RateLimit-Reset` where no request remains (GitHub). now: seconds since 1970.
    """
    text = headers.get("retry-after", "").strip()
    if text:
        try:
            return max(0.0, float(text))
        except ValueError:
            return _seconds_until(text, now)
    limit = headers.get("ratelimit", "").replace(" ", "")
    if status == 429 and ";r=0;t=" in limit:
        seconds = limit.partition(";r=0;t=")[2].partition(";")[0]
        return float(seconds) if seconds.isdecimal() else None
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        return max(0.0, float(reset) - now)
    return None


def _seconds_until(date: str, now: float) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - now)
    except (ValueError, TypeError):
        return None


def given_up(failure: Busy, name: str, *, tries: int) -> Unavailable:
    """Return what `Busy` becomes when patience has ended; `name` is the remote's."""
    times = f" ({tries} tries)" if tries > 1 else ""
    return Unavailable(
        f"{name} {failure.reason}{times}; this ledger is complete and goes on working without it",
        code="remote_unavailable",
        remote=name,
        reason=failure.reason,
        tries=tries,
        hint="run it again later; perfledger sync status shows what waits",
    )


def asking(question: Callable[[], Result], policy: RetryPolicy, *, name: str) -> Result:
    """Ask something that changes nothing until it is answered. Raises `Unavailable` when patience ends."""
    patience = Patience(policy)
    while True:
        try:
            return question()
        except Busy as failure:
            if not patience.wait(failure):
                raise given_up(failure, name, tries=patience.tries) from None
