"""A budget for bytes of senders that have proved nothing yet.

A signature can only be checked when the whole body is there, so bodies of strangers lie in memory. Small ones are
bounded by the number of connections. Larger ones share a budget: a body takes its announced size before it is read, or
waits; while one waits, the body that comes in slowest is given up, so that a slow sender cannot keep the others out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from commands.service.connections import GRACE_S, Connection, Connections, slowest
from ledger.errors import Unavailable

SMALL_BYTES = 64 * 2**10
BUDGET_BYTES = 16 * 2**20
WAIT_S = 10.0


class Unverified:
    """The budget. limit: bytes that all larger bodies may take together, at least that of the largest allowed."""

    def __init__(self, connections: Connections | None, limit: int) -> None:
        self._connections = connections
        self._limit = limit
        self._taken = 0
        self._holders: set[Connection] = set()
        self._waiting: list[asyncio.Future[None]] = []  # first come, first served

    @asynccontextmanager
    async def hold(self, size: int, connection: Connection | None) -> AsyncIterator[None]:
        """Hold the bytes of a body of `size` while it is read and verified.

        Raises `Unavailable` (`busy`) when they do not get free in time.
        """
        if size <= SMALL_BYTES:
            yield
            return
        if connection is not None:
            connection.held_up(waits=True)
        await self._take(size)
        if connection is not None:
            connection.held_up(waits=False)
            self._holders.add(connection)
        try:
            yield
        finally:
            if connection is not None:
                self._holders.discard(connection)
            self._taken -= size
            self._wake()

    async def _take(self, size: int) -> None:
        loop = asyncio.get_running_loop()
        deadline, turn = loop.time() + WAIT_S, loop.create_future()
        self._waiting.append(turn)
        try:
            while self._waiting[0] is not turn or self._taken + size > self._limit:
                if loop.time() > deadline:
                    raise Unavailable(
                        "other large deliveries are being received", code="busy", hint="send it again later"
                    )
                self._give_up_one()
                await asyncio.wait([turn], timeout=GRACE_S)
                if turn.done():
                    place = self._waiting.index(turn)
                    turn = self._waiting[place] = loop.create_future()
            self._taken += size
        finally:
            self._waiting.remove(turn)
            self._wake()

    def _wake(self) -> None:
        if self._waiting and not self._waiting[0].done():
            self._waiting[0].set_result(None)

    def _give_up_one(self) -> None:
        if self._connections is None or not self._holders:
            return
        some = next(iter(self._holders))
        least = slowest(self._holders, some.now())
        if least is not None:
            self._holders.discard(least)
            self._connections.end(least, "budget")
