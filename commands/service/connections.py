"""The connections of the server: how many at once, how long each may take, and which one ends when there are too many.

Anyone who reaches the port can open connections and leave them half finished, send a byte a second, or never read an
answer. So each phase of a request has a deadline, and when all places are taken, a new connection takes the place of
the one with the least claim to it: a connection that has not sent a whole header yet, of the address that has most of
those, oldest first; else the slowest unfinished body. A sender that does its work is in neither group for long.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

import h11
import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol

ACCEPTED_A_TURN = 16  # by the event loop
TURNS = 5  # until one that is refused is closed: accepted, made, ended, lost, closed
BACKLOG = 1024  # that wait in the kernel
DESCRIPTORS_KEPT = 40  # what the log, the state and the process itself have open
CONNECTIONS_MAX = 512
CONNECTIONS_LEAST = 8
SWEEP_S = 0.25
GRACE_S = 0.25  # a body younger than this has no speed yet
SLOW_BYTES_S = 2**20  # a body slower than this is given up when others wait for its place

Phase = Literal["header", "body", "answer"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection may take.

    connections: at once. header_s: seconds until a whole header is there, from the start or from the last answer.
    body_s: seconds that any body has; beyond them it must have come at body_bytes_s or faster on average. answer_s:
    seconds that an answer may wait to be read.
    """

    connections: int = CONNECTIONS_MAX
    header_s: float = 10.0
    body_s: float = 10.0
    body_bytes_s: float = 64 * 2**10
    answer_s: float = 10.0


def connections_for(descriptors: int) -> int:
    """Return how many connections fit beside the rest under a limit of file descriptors."""
    return max(CONNECTIONS_LEAST, min(CONNECTIONS_MAX, descriptors - ACCEPTED_A_TURN * TURNS - DESCRIPTORS_KEPT))


def descriptors() -> int:
    """Return the process's limit of file descriptors, raised first as far as it may be and is of use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + ACCEPTED_A_TURN * TURNS + DESCRIPTORS_KEPT
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return int(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


class Ended(msgspec.Struct):
    """How many connections were ended by us, by reason."""

    header: int = 0
    body: int = 0
    answer: int = 0
    place: int = 0
    budget: int = 0


class Connections:
    """All open connections. `protocol` is what uvicorn makes one of each of; `watch` ends those past their deadline."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.ended = Ended()
        self._open: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._open)

    def protocol(self, *args: Any, **kwargs: Any) -> Connection:
        """Return the protocol of a new connection; uvicorn gives the arguments."""
        return Connection(self, *args, **kwargs)

    def opened(self, connection: Connection) -> None:
        """Take a connection in; when all places are taken, one is ended for it, at worst itself."""
        if len(self._open) >= self.limits.connections:
            self.end(self._least(connection.now()) or connection, "place")
        if not connection.transport.is_closing():
            self._open.add(connection)

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._open.discard(connection)

    def end(self, connection: Connection, reason: str) -> None:
        """Close a connection at once, without an answer, and count why."""
        setattr(self.ended, reason, getattr(self.ended, reason) + 1)
        self._open.discard(connection)
        connection.transport.abort()

    async def watch(self, listener: socket.socket) -> None:
        """End the connections that are past a deadline, until cancelled. `listener` is where they come from."""
        asyncio.get_running_loop().set_exception_handler(_quiet_without_descriptors)
        while True:
            # the event loop takes as many a turn as it lets wait, and says so again after each time it could not
            listener.listen(BACKLOG)
            await asyncio.sleep(SWEEP_S)
            for connection in list(self._open):
                late = connection.late(self.limits)
                if late is not None:
                    self.end(connection, late)

    def _least(self, now: float) -> Connection | None:
        """Return the connection with the least claim to its place; None when every one is at work."""
        headers = [one for one in self._open if one.phase == "header"]
        if headers:
            crowds = Counter(one.address for one in headers)
            return max(headers, key=lambda one: (crowds[one.address], now - one.since))
        return slowest(self._open, now)


def _quiet_without_descriptors(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Let the event loop try again a second after it could not accept, which it does, without a traceback for each."""
    error = context.get("exception")
    if not (isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)):
        loop.default_exception_handler(context)


def slowest(connections: Any, now: float) -> Connection | None:
    """Return the connection whose unfinished body comes in slowest; None when all are fast, or too young to say."""
    bodies = [one for one in connections if one.phase == "body" and now - one.since > GRACE_S]
    least = min(bodies, key=lambda one: one.received / (now - one.since), default=None)
    return least if least is not None and least.received / (now - least.since) < SLOW_BYTES_S else None


class Connection(H11Protocol):
    """One connection: uvicorn's own protocol, and since when it is in which phase of a request."""

    def __init__(self, all_of_them: Connections, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._all = all_of_them
        self.app_state = {**self.app_state, "connection": self}  # where a request finds its connection
        self.address = ""
        self.phase: Phase = "header"
        self.since = self.now()
        self.received = 0
        self.waits = False  # for us, not we for it

    def now(self) -> float:
        """Return the event loop's clock in seconds."""
        return self.loop.time()

    def late(self, limits: Limits) -> Phase | None:
        """Return the phase whose deadline has passed, or None."""
        age = self.now() - self.since
        if self.phase == "header":
            return "header" if age > limits.header_s else None
        if self.phase == "body":
            return (
                "body" if not self.waits and age > limits.body_s and self.received / age < limits.body_bytes_s else None
            )
        # what our side still does is bounded there; only an answer that is not read waits here
        return "answer" if age > limits.answer_s and self.transport.get_write_buffer_size() > 0 else None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in H11Protocol
        """Begin; see `Connections.opened`."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._all.opened(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes in and see which phase they brought."""
        self.received += len(data)
        super().data_received(data)
        self._see()

    def on_response_complete(self) -> None:
        """Go on to the next request. What was not read of a body is not waited for: it could have no end."""
        if self.conn.their_state is h11.SEND_BODY:
            self.transport.close()
        super().on_response_complete()
        self._see()

    def held_up(self, *, waits: bool) -> None:
        """Stop the clock of the body while it waits for us, and start it anew after that."""
        self.waits = waits
        self.since, self.received = self.now(), 0

    def connection_lost(self, exc: Exception | None) -> None:
        """End; see `Connections.closed`."""
        self._all.closed(self)
        super().connection_lost(exc)

    def _see(self) -> None:
        theirs = self.conn.their_state
        phase: Phase = "body" if theirs is h11.SEND_BODY else "header" if theirs is h11.IDLE else "answer"
        if phase != self.phase:
            self.phase, self.since, self.received = phase, self.now(), 0
