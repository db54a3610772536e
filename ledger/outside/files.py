"""Files as they are named from outside: a pipe, a device or a socket is no reason to wait for ever."""

from __future__ import annotations

import errno
import os
import select
import stat
from pathlib import Path

from ledger.errors import BadInput

PIECE = 1 << 20


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return what a file holds, or what a pipe brings that somebody writes to, as `<(command)` of a shell is.

    Nothing is opened in a way that waits. Raises `BadInput` (exit 2) for a pipe without a writer, a device and a
    socket; OSError as `open` does.
    """
    descriptor = _open(path)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):  # said here: `fdopen` would name the descriptor
        os.close(descriptor)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if stat.S_ISFIFO(mode):
            return _from_pipe(path, descriptor)
        if stat.S_ISREG(mode) or _is_null(descriptor):
            return file.readall()
        raise _no_file(path, "a terminal" if os.isatty(descriptor) else "a device")


def open_regular(path: Path) -> int:
    """Return a descriptor of a file of the ledger, opened for reading, which no pipe or device stands for.

    Raises FileNotFoundError where nothing is, `BadInput` for anything that is no file.
    """
    descriptor = _open(path)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    kind = "a folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "a pipe or a device"
    os.close(descriptor)
    raise BadInput(
        f"cannot open {path}: it is {kind}",
        code="file_not_found",
        hint=f"there is {kind} where the ledger keeps a file; put the file back from a copy",
    )


def _open(path: str | os.PathLike[str]) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise _no_file(path, "a socket") from None
        raise


def _from_pipe(path: str | os.PathLike[str], descriptor: int) -> bytes:
    pieces = []
    if not select.select([descriptor], [], [], 0)[0]:
        os.set_blocking(descriptor, True)  # somebody holds the other end: what they write is waited for
    while True:
        try:
            piece = os.read(descriptor, PIECE)
        except BlockingIOError:
            os.set_blocking(descriptor, True)
            continue
        if not piece:
            break
        pieces.append(piece)
    if not pieces:
        raise _no_file(path, "a pipe that nobody writes to")
    return b"".join(pieces)


def _is_null(descriptor: int) -> bool:
    return os.fstat(descriptor).st_rdev == Path(os.devnull).stat().st_rdev


def _no_file(path: str | os.PathLike[str], kind: str) -> BadInput:
    return BadInput(f"{os.fspath(path)} is {kind}, not a file; nothing was read", code="not_a_file", hint="name a file")
