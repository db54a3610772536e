"""How often and how long a remote is asked again."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from ledger.errors import BadInput, Unavailable
from ledger.remotes.retry import (
    WAIT_VARIABLE,
    Allowance,
    Busy,
    Moved,
    Patience,
    RetryPolicy,
    asked_to_wait,
    asking,
    default_policy,
)
from ledger.remotes.timeout import TIMEOUT_VARIABLE, timeout_s


def waits(policy: RetryPolicy, failure: Busy | Moved) -> list[float]:
    """The waits until patience ends."""
    slept: list[float] = []
    patience = Patience(policy, sleep=slept.append)
    while patience.wait(failure):
        pass
    return slept


def test_waits_double_up_to_a_bound_and_are_shortened_by_at_most_half() -> None:
    slept = waits(RetryPolicy(tries_max=9, wait_s=1, wait_max_s=8, wait_total_max_s=1000), Busy("is down"))
    assert len(slept) == 8
    for wait, full in zip(slept, [1, 2, 4, 8, 8, 8, 8, 8], strict=True):
        assert full / 2 <= wait <= full


def test_machines_that_failed_together_do_not_come_back_together() -> None:
    policy = RetryPolicy(tries_max=2, wait_s=8, wait_max_s=8)
    assert len({waits(policy, Busy("is down"))[0] for _ in range(20)}) == 20


def test_what_the_remote_asks_for_is_waited_and_no_less() -> None:
    slept = waits(RetryPolicy(tries_max=4, wait_s=0.1, wait_total_max_s=100), Busy("is busy", retry_after=5))
    assert len(slept) == 3 and all(5 <= wait <= 5.5 for wait in slept)


def test_the_waiting_has_a_bound_in_all() -> None:
    policy = RetryPolicy(tries_max=1000, wait_s=1, wait_max_s=1, wait_total_max_s=10)
    assert sum(waits(policy, Moved("moved"))) <= 10
    assert waits(policy, Busy("is busy", retry_after=11)) == []


def test_a_question_is_asked_until_it_is_answered() -> None:
    answers: Iterator[Busy | str] = iter([Busy("is down"), Busy("is down"), "yes"])

    def ask() -> str:
        answer = next(answers)
        if isinstance(answer, Busy):
            raise answer
        return str(answer)

    assert asking(ask, RetryPolicy(wait_s=0), name="the remote") == "yes"


def test_a_question_nobody_answers_ends_with_the_reason_and_the_number_of_tries() -> None:
    def ask() -> str:
        raise Busy("cannot be reached")

    with pytest.raises(Unavailable, match=r"s3://b cannot be reached \(3 tries\)"):
        asking(ask, RetryPolicy(tries_max=3, wait_s=0), name="s3://b")


@pytest.mark.parametrize(
    ("headers", "status", "seconds"),
    [
        ({"Retry-After": "7"}, 503, 7),
        ({"Retry-After": "0.5"}, 429, 0.5),
        ({"Retry-After": "-3"}, 429, 0),
        ({"RateLimit": '"api";r=0;t=55'}, 429, 55),
        ({"RateLimit": '"api";r=3;t=55'}, 429, None),
        ({"RateLimit": '"api";r=0;t=55'}, 503, None),
        ({"RateLimit": '"api";r=0;t=²'}, 429, None),
        ({"RateLimit": '"api";r=0;t='}, 429, None),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "¹²"}, 403, None),
        ({"Retry-After": "nan"}, 429, 0),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 -9999"}, 429, None),
        ({"Retry-After": "soon"}, 429, None),
        ({"Retry-After": "Thu, 01 Jan 1970 00:02:10 GMT"}, 429, 30),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:10 GMT"}, 429, 0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "130"}, 403, 30),
        ({"X-RateLimit-Remaining": "3", "X-RateLimit-Reset": "130"}, 403, None),
        ({}, 429, None),
    ],
)
def test_every_way_to_ask_for_time_is_understood(headers: dict[str, str], status: int, seconds: float | None) -> None:
    assert asked_to_wait(status, httpx2.Headers(headers, encoding="utf-8"), now=100.0) == seconds


def test_operations_that_share_an_allowance_wait_no_longer_together() -> None:
    policy = RetryPolicy(tries_max=1000, wait_s=1, wait_max_s=1, shared=Allowance(10))
    first, second = waits(policy, Busy("is down", retry_after=4)), waits(policy, Busy("is down", retry_after=1))
    assert len(first) == 2 and sum(first) + sum(second) <= 10 and sum(second) <= 10 - sum(first)


@pytest.mark.parametrize("text", ["soon", "-1", "1e9", "nan"])
def test_settings_that_are_no_number_of_seconds_are_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(WAIT_VARIABLE, text)
    monkeypatch.setenv(TIMEOUT_VARIABLE, text)
    for setting in (default_policy, timeout_s):
        with pytest.raises(BadInput, match="not a number of seconds"):
            setting()


def test_settings_bound_what_a_command_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WAIT_VARIABLE, "3")
    monkeypatch.setenv(TIMEOUT_VARIABLE, "7.5")
    assert default_policy().wait_total_max_s == 3 and timeout_s() == 7.5
