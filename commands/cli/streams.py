"""The three standard streams as scripts and CI leave them: closed, full, a pipe without a reader, an old encoding."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Iterable

import click

from ledger.errors import PerfledgerError
from ledger.outside import shown
from ledger.outside.redaction import told, without_credentials


def prepare() -> None:
    """Make the streams usable, whatever the caller left.

    A closed descriptor is opened on the null device: otherwise the next file, perhaps the journal, would get its
    number, and with it what a library writes to stderr. A character an encoding lacks is written as an escape; in
    UTF-8 those are the bytes of a name that is no Unicode.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None and stream.errors == "strict":
            reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Print to stdout. A reader that went away ends nothing: what the exit code says still has to be true.

    Titles and names come from outside, and must not move the cursor, hide a line or set the clipboard of whoever
    reads them, at once or later in a log: what a terminal would obey is written out wherever stdout goes.
    """
    try:
        click.echo(shown.terminal(without_credentials(text), lines=True))
    except BrokenPipeError:
        _discard(1)


def write(pieces: Iterable[bytes]) -> None:
    """Write a document to stdout byte by byte; to a terminal as `say` does. Each piece ends at the end of a line."""
    sys.stdout.flush()
    terminal = sys.stdout.isatty()
    for piece in pieces:
        if terminal:
            click.echo(shown.terminal(piece.decode("utf-8", "replace"), lines=True), nl=False)
        else:
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def note(text: str) -> None:
    """Print to stderr, no credential in it; a failure to print does not stop the command."""
    try:
        click.echo(shown.terminal(told(text), lines=True), err=True)
    except OSError:
        _discard(2)


def reader_gone() -> bool:
    """Whether the pipe that stdout or stderr is has lost its reader (any other broken pipe is a failure)."""
    with contextlib.suppress(OSError):
        poll = select.poll()
        poll.register(1, 0)
        poll.register(2, 0)
        return any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0))
    return False


def report(error: PerfledgerError, *, as_json: bool) -> None:
    """Say what went wrong: the error document on stdout with --json, else a sentence and the next step on stderr.

    When stdout is what failed, the sentence goes to stderr in either case.
    """
    told = False
    if as_json:
        from commands.cli.output import to_json

        document = {"code": error.code, "message": error.message, "hint": error.hint, "details": error.details}
        with contextlib.suppress(OSError):
            click.echo(to_json({"error": document}))
            told = True
    if not told:
        # what follows a line end may be data of somebody else, and must not look like a line of ours
        message, hint = (text.replace("\n", "\n      ") for text in (error.message, error.hint))
        note(f"perfledger: {message}" + (f"\n  next: {hint}" if hint else ""))
    close()


def close() -> None:
    """Write what is buffered. What cannot be written is dropped, so that the interpreter's end is silent."""
    for fd, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            _discard(fd)


def _discard(fd: int) -> None:
    """From now on, what is written there goes nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, fd)
    os.close(null)
