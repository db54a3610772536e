"""The way into the log: acknowledged is durable, together is one append, and one bad delivery is alone.

Source: docs/ci.md, "Acknowledged is durable" and "Deliveries that arrive together are one append".
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from commands.service.intake import QUEUE_MAX, Intake
from ledger.errors import PerfledgerError, Unavailable
from ledger.event import NewEvent
from ledger.events.checks import CheckReported
from ledger.ledger import Ledger
from ledger.log.incoming import Receipt


def delivery(number: int, *contexts: str, remote_id: int = 0) -> list[NewEvent]:
    """A delivery of some reports, each keyed by the delivery's number and its place."""
    return [
        NewEvent(
            stream=f"check/{number}",
            key=f"d/{number}/{nth}",
            payload=CheckReported(sha="a" * 40, context=context, state="success", remote_id=remote_id),
        )
        for nth, context in enumerate(contexts or ("c",))
    ]


def bad(number: int) -> list[NewEvent]:
    """A delivery that the log refuses: its number does not fit 64 bits."""
    return delivery(number, remote_id=2**64)


def running(path: Path, act: Callable[[Intake], Awaitable[None]], **settings: object) -> Intake:
    """Start an intake on a ledger, let `act` use it, and stop it."""
    intake = Intake(path, "tester@example.org", **settings)  # type: ignore[arg-type]

    async def life() -> None:
        await intake.start()
        try:
            await act(intake)
        finally:
            await intake.stop()

    asyncio.run(life())
    return intake


async def all_of(intake: Intake, deliveries: Sequence[list[NewEvent]]) -> list[list[Receipt] | BaseException]:
    """Submit deliveries at once; return what each was told."""
    return await asyncio.gather(*(intake.submit(one) for one in deliveries), return_exceptions=True)


def contexts(ledger: Ledger) -> list[str]:
    """What was recorded, in the order of the log."""
    return [str(event.body()["context"]) for event in ledger.read(types=["CheckReported"])]


def test_what_is_acknowledged_is_in_the_log_under_the_positions_that_were_told(ledger: Ledger) -> None:
    told: list[Receipt] = []

    async def act(intake: Intake) -> None:
        for receipts in await all_of(intake, [delivery(n, f"a{n}", f"b{n}") for n in range(40)]):
            assert isinstance(receipts, list)
            told.extend(receipts)

    intake = running(ledger.path, act)
    by_position = {event.position: event for event in ledger.read()}
    assert [by_position[one.position].event_id for one in told] == [one.event_id for one in told]
    assert contexts(ledger) == [f"{letter}{n}" for n in range(40) for letter in "ab"]
    assert intake.counters.recorded == 40 and intake.counters.failed == 0


def test_deliveries_that_arrive_together_are_few_appends_and_never_more_at_once_than_allowed(ledger: Ledger) -> None:
    async def act(intake: Intake) -> None:
        await all_of(intake, [delivery(n) for n in range(100)])

    intake = running(ledger.path, act, batch_max=16)
    assert intake.counters.recorded == 100 and intake.counters.batch_max <= 16
    assert 100 / 16 <= intake.counters.appends <= 20, "while one is written the next ones gather"


@pytest.mark.parametrize("place", [0, 3, 7])
def test_one_delivery_that_the_log_refuses_is_refused_alone(ledger: Ledger, place: int) -> None:
    async def act(intake: Intake) -> None:
        deliveries = [delivery(n, f"c{n}") for n in range(8)]
        deliveries[place] = bad(place)
        told = await all_of(intake, deliveries)
        assert [isinstance(one, PerfledgerError) for one in told] == [n == place for n in range(8)]

    intake = running(ledger.path, act)
    assert contexts(ledger) == [f"c{n}" for n in range(8) if n != place]
    assert (intake.counters.recorded, intake.counters.failed) == (7, 1)


def test_a_delivery_that_comes_again_is_told_where_it_is_and_written_once(ledger: Ledger) -> None:
    async def act(intake: Intake) -> None:
        (first,) = await all_of(intake, [delivery(1)])
        again = await all_of(intake, [delivery(1), delivery(1)])
        assert isinstance(first, list)
        for told in again:
            assert isinstance(told, list) and told[0].duplicate and told[0].event_id == first[0].event_id

    intake = running(ledger.path, act)
    assert len(contexts(ledger)) == 1
    assert (intake.counters.recorded, intake.counters.duplicates) == (1, 2)


def test_a_full_queue_is_said_at_once_and_loses_nothing_that_waits(ledger: Ledger) -> None:
    holding, entered = threading.Event(), threading.Event()

    def hold(_: Ledger, events: Sequence[NewEvent]) -> None:
        if events:
            entered.set()
            holding.wait(120)

    async def act(intake: Intake) -> None:
        first = asyncio.create_task(intake.submit(delivery(0)))
        await asyncio.to_thread(entered.wait, 120)
        waiting = [asyncio.create_task(intake.submit(delivery(n))) for n in range(1, QUEUE_MAX + 1)]
        await asyncio.sleep(0)
        assert intake.waiting == QUEUE_MAX
        with pytest.raises(Unavailable) as refused:
            await intake.submit(delivery(QUEUE_MAX + 1))
        assert refused.value.code == "busy"
        holding.set()
        await asyncio.gather(first, *waiting)

    running(ledger.path, act, after=hold)
    assert len(contexts(ledger)) == QUEUE_MAX + 1


def test_stopping_writes_what_waits_first(ledger: Ledger) -> None:
    tasks: list[asyncio.Task[list[Receipt]]] = []

    async def act(intake: Intake) -> None:
        tasks.extend(asyncio.create_task(intake.submit(delivery(n))) for n in range(300))
        await asyncio.sleep(0)

    running(ledger.path, act)
    assert len(contexts(ledger)) == 300


def test_before_the_start_and_after_the_end_nothing_is_taken(ledger: Ledger) -> None:
    async def nothing(_: Intake) -> None:
        pass

    never = Intake(ledger.path, None)
    with pytest.raises(Unavailable):
        asyncio.run(never.submit(delivery(1)))
    ended = running(ledger.path, nothing)
    with pytest.raises(Unavailable):
        asyncio.run(ended.submit(delivery(1)))
    assert contexts(ledger) == []


def test_what_follows_may_fail_without_failing_the_delivery_and_is_named(ledger: Ledger) -> None:
    def fails(_: Ledger, events: Sequence[NewEvent]) -> None:
        if events:
            raise RuntimeError("no room")

    async def act(intake: Intake) -> None:
        (told,) = await all_of(intake, [delivery(1)])
        assert isinstance(told, list)
        await intake.head()  # the writing thread is through
        assert intake.trouble == "RuntimeError: no room"

    running(ledger.path, act, after=fails)
    assert len(contexts(ledger)) == 1


def test_a_sender_that_went_away_does_not_stop_the_others(ledger: Ledger) -> None:
    async def act(intake: Intake) -> None:
        gone = asyncio.create_task(intake.submit(delivery(1, "gone")))
        await asyncio.sleep(0)
        gone.cancel()
        (told,) = await all_of(intake, [delivery(2, "here")])
        assert isinstance(told, list)

    running(ledger.path, act)
    assert "here" in contexts(ledger)
