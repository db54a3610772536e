"""The way into the log: deliveries that arrive together are one append, and each is answered after it.

One task takes everything that waits and hands it to one writing thread; while that thread is in
fdatasync, the next deliveries gather. So the disk is asked as often as it can answer, however many wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ledger.errors import PerfledgerError, Unavailable
from ledger.event import NewEvent

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from ledger.log.incoming import Receipt

QUEUE_MAX = 2_000
BATCH_DELIVERIES_MAX = 256

T = TypeVar("T")


class Counters(msgspec.Struct):
    """What happened since the start. appends: calls of the log; deliveries / appends is the mean batch."""

    recorded: int = 0
    duplicates: int = 0
    refused: int = 0
    failed: int = 0
    appends: int = 0
    batch_max: int = 0


class _Waiting(msgspec.Struct):
    events: list[NewEvent]
    answer: asyncio.Future[list[Receipt]]


class Intake:
    """The queue before the log. `start` and `stop` in the event loop; the log is only touched by its thread.

    `after`, given the events of a batch that is in the log, runs in that thread before the next batch.
    """

    def __init__(
        self,
        path: Path,
        actor: str | None,
        *,
        after: Callable[[Ledger, Sequence[NewEvent]], None] | None = None,
        batch_max: int = BATCH_DELIVERIES_MAX,
    ) -> None:
        self.path = path
        self.actor = actor
        self.counters = Counters()
        self.trouble: str | None = None
        self._after = after
        self._batch_max = batch_max
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(QUEUE_MAX)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="log-writer")
        self._ledger: Ledger | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the ledger in the writing thread and begin."""
        await self._call(self._open)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Write what waits, then end."""
        if self._task is not None:
            await self._queue.join()
            self._task.cancel()
        self._thread.shutdown()

    @property
    def waiting(self) -> int:
        """How many deliveries wait for the next append."""
        return self._queue.qsize()

    @property
    def running(self) -> bool:
        """Whether the writing task is alive."""
        return self._task is not None and not self._task.done()

    async def submit(self, events: list[NewEvent]) -> list[Receipt]:
        """Return the receipts once the events are durably in the log. Raises `Unavailable` when they are not."""
        if not self.running or self._queue.full():
            self.counters.failed += 1
            raise Unavailable(f"{self._queue.qsize()} deliveries wait already", code="busy", hint="send it again later")
        waiting = _Waiting(events, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(waiting)
        return await waiting.answer

    async def head(self) -> tuple[str, int]:
        """Return the origin's name and its last position."""
        return await self._call(self._head)

    # ---------------------------------------------------------------- the loop

    async def _run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._batch_max and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            outcomes = await self._call(self._write, [waiting.events for waiting in batch])
            for waiting, outcome in zip(batch, outcomes, strict=True):
                self._answer(waiting, outcome)
                self._queue.task_done()

    def _answer(self, waiting: _Waiting, outcome: list[Receipt] | Exception) -> None:
        if isinstance(outcome, Exception):
            self.counters.failed += 1
        elif outcome[0].duplicate:
            self.counters.duplicates += 1
        else:
            self.counters.recorded += 1
        if waiting.answer.done():
            return  # the sender went away; what is recorded stays recorded
        if isinstance(outcome, Exception):
            waiting.answer.set_exception(outcome)
        else:
            waiting.answer.set_result(outcome)

    async def _call(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    # ---------------------------------------------------------------- in the writing thread

    def _open(self) -> None:
        from ledger.ledger import Ledger

        self._ledger = Ledger.open(self.path, actor=self.actor)
        if self._after is not None:
            self._after(self._ledger, ())

    def _head(self) -> tuple[str, int]:
        assert self._ledger is not None
        return self._ledger.origin, self._ledger.head().position

    def _write(self, batch: list[list[NewEvent]]) -> list[list[Receipt] | Exception]:
        """Append a batch as one; if the log refuses it, each delivery on its own, so that one bad one is alone."""
        assert self._ledger is not None
        try:
            receipts = self._ledger.append([event for events in batch for event in events])
        except PerfledgerError as error:
            if len(batch) > 1 and not isinstance(error, Unavailable):
                return [self._write([events])[0] for events in batch]
            self.trouble = error.message
            return [error] * len(batch)
        except Exception as error:  # noqa: BLE001  (whatever it is, the senders must hear that nothing is sure)
            self.trouble = f"{type(error).__name__}: {error}"
            return [error] * len(batch)
        self.trouble = None
        self.counters.appends += 1
        self.counters.batch_max = max(self.counters.batch_max, len(batch))
        found: list[list[Receipt] | Exception] = []
        for events in batch:
            found.append(receipts[: len(events)])
            receipts = receipts[len(events) :]
        self._follow(batch)
        return found

    def _follow(self, batch: list[list[NewEvent]]) -> None:
        """Let what follows from the new events happen. It can be done later, so its failure fails no delivery."""
        if self._after is None:
            return
        assert self._ledger is not None
        try:
            self._after(self._ledger, [event for events in batch for event in events])
        except Exception as error:  # noqa: BLE001  (the deliveries are in the log: their senders are told so)
            self.trouble = f"{type(error).__name__}: {error}"
