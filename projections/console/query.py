"""Read-only SQL for people: one query, in a process of its own that can reach nothing but the views.

    with open("out.json", "wb") as sink:
        summary = ask(ledger.path, Question("FROM thresholds", format="json"), sink)

Who may do what: `console_guard` decides by the parse tree, the engine's settings are locked, and the
operating system's walls (`console_walls`) hold whatever the first two let through. docs/sql-sandbox.md says why.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from ledger import children
from ledger.errors import PerfledgerError, Unavailable

Format = Literal["table", "json", "csv", "parquet"]

FRAME = struct.Struct("<cI")
INTERNAL = 0  # in place of an exit code: not an error of the user's, a bug
OTHER_FRAME_BYTES_MAX = 1 << 20  # of a summary or an error
READ_BYTES = 1 << 20
# From the interrupt, which some functions never look at, to the kill that nothing survives.
GRACE_S = 1.0
# The child's environment: nothing of the caller's, so that no token in it can be shown by any means.
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/nonexistent",
    "TZ": "UTC",
    "PYTHONUTF8": "1",
}


@dataclass(frozen=True)
class Question:
    """A query, the values of its `$parameters` (as text; the engine casts), the form and moment of the answer."""

    query: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    format: Format = "json"
    as_of: str | None = None
    as_recorded: str | None = None


@dataclass(frozen=True)
class Limits:
    """What one query may use: seconds from its start, MiB of memory, MiB of result."""

    timeout_s: float = 30.0
    memory_mb: int = 1024
    result_mb: int = 1024


@dataclass(frozen=True)
class Summary:
    """What came: the columns' names, the rows written, and whether a table left rows out."""

    columns: list[str]
    rows: int
    more: bool = False


def ask(ledger: Path, question: Question, sink: BinaryIO, limits: Limits | None = None) -> Summary:
    """Run one query against the ledger in the folder `ledger` and write its result to `sink`.

    What is in `sink` counts only when this returns. Raises `BadInput` for a query that is wrong
    (`sql_syntax`, `sql_unknown_name`, `sql_failed`, `sql_unsupported_type`, `sql_parameter_missing`,
    `sql_parameter_unused`) or forbidden (`sql_forbidden`), `Unavailable` for one that takes too much
    (`sql_timeout`, `sql_out_of_memory`, `sql_result_too_large`), and what opening the ledger raises.
    """
    limits = limits or Limits()
    request = {
        "ledger": str(ledger.resolve()),
        "query": question.query,
        "parameters": dict(question.parameters),
        "format": question.format,
        "as_of": question.as_of,
        "as_recorded": question.as_recorded,
        "timeout_s": limits.timeout_s,
        "memory_mb": limits.memory_mb,
        "parent": os.getpid(),
        "result_bytes_max": limits.result_mb * 2**20,
    }
    child = subprocess.Popen(
        children.command(children.ANSWER_QUERY),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=children.environment(**ENVIRONMENT),
        start_new_session=True,
    )
    try:
        return _Conversation(child, limits).run(json.dumps(request).encode(), sink)
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                pipe.close()


class _Conversation:
    """The parent's side of one query: sends the request, takes the frames, keeps the time."""

    def __init__(self, child: subprocess.Popen[bytes], limits: Limits) -> None:
        self.child = child
        self.limits = limits
        self.deadline: float | None = None  # none until the child says that the query starts
        self.buffer = bytearray()

    def run(self, request: bytes, sink: BinaryIO) -> Summary:
        assert self.child.stdin is not None
        try:
            self.child.stdin.write(request)
            self.child.stdin.close()
        except BrokenPipeError:
            raise self._died() from None
        written = 0
        for kind, body in self._frames():
            if kind == b"R":
                self.deadline = time.monotonic() + self.limits.timeout_s + GRACE_S
            elif kind == b"B":
                # the child counts too; this side does not have to believe it
                written += len(body)
                assert written <= self.limits.result_mb * 2**20, written
                sink.write(body)
            elif kind == b"E":
                raise _error(json.loads(body))
            else:
                done = json.loads(body)
                return Summary(done["columns"], done["rows"], done.get("more", False))
        raise self._died()

    def _frames(self) -> Iterator[tuple[bytes, bytes]]:
        for chunk in self._chunks():
            self.buffer += chunk
            while len(self.buffer) >= FRAME.size:
                kind, length = FRAME.unpack_from(self.buffer)
                assert length <= self.limits.result_mb * 2**20 + OTHER_FRAME_BYTES_MAX, (kind, length)
                if len(self.buffer) < FRAME.size + length:
                    break
                body = bytes(self.buffer[FRAME.size : FRAME.size + length])
                del self.buffer[: FRAME.size + length]
                yield kind, body

    def _chunks(self) -> Iterator[bytes]:
        assert self.child.stdout is not None
        descriptor = self.child.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while True:
                left = None if self.deadline is None else self.deadline - time.monotonic()
                if (left is not None and left <= 0) or not selector.select(left):
                    raise timed_out(self.limits.timeout_s)
                chunk = os.read(descriptor, READ_BYTES)
                if not chunk:
                    return
                yield chunk

    def _died(self) -> PerfledgerError:
        """The error for a child that went without a word."""
        code = self.child.wait()
        if -code == signal.SIGXCPU:
            return timed_out(self.limits.timeout_s)
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if self.deadline is not None:
            # an allocation that failed where the engine cannot say so, a parser out of stack, the OOM killer
            return Unavailable(
                f"the query broke the engine ({how}); most often it needs too much memory",
                code="sql_crashed",
                hint="narrow it down, nest it less, or allow more with --memory",
                memory_mb=self.limits.memory_mb,
            )
        return Unavailable(
            f"the query's process ended before the query began ({how})",
            code="sql_crashed",
            hint="run it again; perfledger doctor checks the setup",
        )


def timed_out(seconds: float) -> Unavailable:
    """Return the error for a query that ran longer than it may."""
    return Unavailable(
        f"the query ran longer than {seconds:g} s and was stopped",
        code="sql_timeout",
        hint="narrow it down, or allow more with --timeout",
        timeout_s=seconds,
    )


def _error(document: dict[str, Any]) -> Exception:
    if document["exit"] == INTERNAL:
        return RuntimeError(document["message"])
    kinds = {kind.exit_code: kind for kind in PerfledgerError.__subclasses__()}
    kind = kinds[document["exit"]]
    return kind(document["message"], code=document["code"], hint=document["hint"], **document["details"])
