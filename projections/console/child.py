"""The process one query runs in: it opens the ledger's state, locks itself in, and answers over a pipe.

Started by `console.ask` as a fresh interpreter (never a fork: a forked child shares the engine's open files).
It reads one JSON request on standard input and writes frames on what was standard output: one letter for
the kind, four bytes of length (little endian), the body. Kinds: `R` the query starts now, `B` bytes of the
result, `D` done (JSON summary), `E` failed (JSON error). It never writes a file of a result; the parent does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ledger.errors import PerfledgerError, Unavailable
from projections.console import engine as console_engine
from projections.console import guard as console_guard
from projections.console import walls as console_walls
from projections.console.formats import WRITERS
from projections.console.query import FRAME, INTERNAL, timed_out

CHUNK_BYTES = 256 * 1024
# beyond the engine's own limit: Arrow batches, the parse tree, Python
OVERHEAD_BYTES = 512 * 2**20
PROCESSOR_SLACK_S = 5


class Frames:
    """The pipe to the parent. Bytes of the result are gathered to chunks and counted against a limit."""

    def __init__(self, descriptor: int, *, bytes_max: int) -> None:
        self._descriptor = descriptor
        self._bytes_max = bytes_max
        self._bytes = 0
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0

    def body(self, data: bytes) -> None:
        """Send bytes of the result. Raises `Unavailable` when it grows beyond the limit."""
        self._bytes += len(data)
        if self._bytes > self._bytes_max:
            raise Unavailable(
                f"the result is larger than {self._bytes_max // 2**20} MiB",
                code="sql_result_too_large",
                hint="aggregate in SQL, add LIMIT, or ask for fewer columns",
                limit_bytes=self._bytes_max,
            )
        self._gathered.append(data)
        self._gathered_bytes += len(data)
        if self._gathered_bytes >= CHUNK_BYTES:
            self._flush()

    def ready(self) -> None:
        """Say that the query starts now."""
        self._frame(b"R", b"")

    def done(self, summary: dict[str, Any]) -> None:
        """Send what is gathered of the result, then the summary."""
        self._flush()
        self._frame(b"D", json.dumps(summary).encode())

    def failed(self, error: PerfledgerError) -> None:
        """Send an error, for the parent to raise."""
        document = {
            "exit": error.exit_code,
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "details": error.details,
        }
        self._frame(b"E", json.dumps(document).encode())

    def broken(self, error: Exception) -> None:
        """Send an internal error, for the parent to report as one."""
        self._frame(b"E", json.dumps({"exit": INTERNAL, "message": f"{type(error).__name__}: {error}"}).encode())

    def _flush(self) -> None:
        if self._gathered:
            data = b"".join(self._gathered)
            self._gathered, self._gathered_bytes = [], 0
            self._frame(b"B", data)

    def _frame(self, kind: bytes, data: bytes) -> None:
        view = memoryview(FRAME.pack(kind, len(data)) + data)
        while view:
            view = view[os.write(self._descriptor, view) :]


class Deadline:
    """Interrupts the engine when the time is over; what Python does between batches asks `check`."""

    def __init__(self, seconds: float, interrupt: Callable[[], None]) -> None:
        self.seconds = seconds
        self.passed = False
        self._interrupt = interrupt
        self._go = threading.Event()
        # started before the walls, behind which there may be no room for a thread's stack
        threading.Thread(target=self._watch, daemon=True).start()

    def start(self) -> None:
        """Begin to count."""
        self._go.set()

    def check(self) -> None:
        """Raise the time-out if the time is over."""
        if self.passed:
            raise timed_out(self.seconds)

    def _watch(self) -> None:
        self._go.wait()
        time.sleep(self.seconds)
        self.passed = True
        self._interrupt()


def serve(connection: Any, views: Mapping[str, str], request: dict[str, Any], frames: Frames) -> None:
    """Lock the connection and this process in, then answer the request. `views` says what each view is."""
    form, memory_mb = request["format"], request["memory_mb"]
    deadline = Deadline(request["timeout_s"], connection.interrupt)
    console_engine.lock(connection, memory_mb=memory_mb, lossless=WRITERS[form].lossless)
    query = console_engine.Query(connection, views, memory_mb=memory_mb)
    console_engine.warm_up(connection, form)
    console_walls.raise_walls(
        memory_bytes=memory_mb * 2**20 + OVERHEAD_BYTES, processor_seconds=int(request["timeout_s"]) + PROCESSOR_SLACK_S
    )
    frames.ready()
    deadline.start()
    writer = query.answer(request["query"], request["parameters"], form, frames.body, deadline.check)
    frames.done(writer.summary())


def open_and_serve(request: dict[str, Any], frames: Frames) -> None:
    """Open the ledger's state at the moment asked for, define what the query mentions, serve it."""
    from ledger.ledger import Ledger
    from projections.console.events import ABOUT_EVENTS, define_events, mentions_events
    from projections.state import catalogue
    from projections.state.state import State

    console_guard.check_text(request["query"])
    ledger = Ledger.open(request["ledger"], actor="sql")
    state = State.open(ledger, as_of=request["as_of"], as_recorded=request["as_recorded"])
    if mentions_events(request["query"]):
        define_events(state)
    state.prepare(request["query"], request["parameters"])
    serve(state.connection.raw, {**catalogue.about(), "events": ABOUT_EVENTS}, request, frames)


def main() -> None:
    """Take one request, answer it, end. There is no tear-down: nothing is to be saved, the walls are up."""
    request = json.loads(sys.stdin.buffer.read())
    console_walls.die_with(request["parent"])
    # frames go where nothing else can write: whatever a library prints ends in /dev/null
    channel = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    frames = Frames(channel, bytes_max=request["result_bytes_max"])
    try:
        open_and_serve(request, frames)
    except PerfledgerError as error:
        frames.failed(error)
    except MemoryError:
        frames.failed(console_engine.out_of_memory(request["memory_mb"]))
    except Exception as error:  # noqa: BLE001  (a bug: the parent says so in one sentence)
        frames.broken(error)
    os._exit(0)
