"""One lock file per GPU, so that two runners on a machine never pick the same one.

A lock is an flock on `<lock dir>/<GPU uuid>.lock`: the kernel drops it when the last process that holds it is
gone, so a killed runner leaves nothing to clean up. The keeper of a repeat inherits the lock: a GPU stays taken until
the last process of the repeat is dead, even when the runner was killed first.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ledger.errors import Unavailable

# The same place for every user and ledger of the machine, whatever TMPDIR says; that is the point of it.
DEFAULT_DIR = Path("/tmp/perfledger-gpus")  # noqa: S108  (opened with O_NOFOLLOW, holds no secret)
DIR_VARIABLE = "PERFLEDGER_GPU_LOCK_DIR"
ALLOCATION = "allocation.lock"


class GpuLock:
    """A held lock. `fd` may be handed to a child, which then holds it too; `release` gives up this process's share."""

    def __init__(self, fd: int, uuid: str) -> None:
        self.fd = fd
        self.uuid = uuid

    def release(self) -> None:
        """Close this process's descriptor; the lock is free once the last holder closed it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def lock_dir(chosen: Path | None = None) -> Path:
    """Return the folder of the lock files, made if needed. Raises `Unavailable` when it cannot be used."""
    folder = chosen or Path(os.environ.get(DIR_VARIABLE) or DEFAULT_DIR)
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(PermissionError):
                folder.chmod(0o1777)  # every user's runner takes part; the sticky bit keeps the files
    except OSError as error:
        raise _unusable(folder, error) from None
    return folder


def try_lock(folder: Path, uuid: str) -> GpuLock | str:
    """Take the lock of one GPU without waiting, or say who holds it."""
    try:
        fd = _open(folder / f"{uuid}.lock")
    except OSError as error:
        raise _unusable(folder, error) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 1000, 0).decode("utf-8", "replace").strip()
        os.close(fd)
        return f"taken by another runner ({_holder(holder)})"
    # Only for people who ask who holds it: the lock itself is the flock, never these bytes.
    with contextlib.suppress(OSError):  # a file that could only be opened for reading
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps({"pid": os.getpid(), "since": int(time.time())}).encode(), 0)
    return GpuLock(fd, uuid)


@contextlib.contextmanager
def allocating(folder: Path) -> Iterator[None]:
    """Held while GPUs are chosen: two runners that each need two GPUs must not hold one each for ever."""
    try:
        fd = _open(folder / ALLOCATION)
    except OSError as error:
        raise _unusable(folder, error) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o666)
    except PermissionError:
        # another user's file under a strict umask can still be locked when it can be read
        return os.open(path, os.O_RDONLY | flags)
    with contextlib.suppress(PermissionError):
        os.fchmod(fd, 0o666)  # the umask took these bits; the file may also be another user's
    return fd


def _holder(text: str) -> str:
    try:
        return f"pid {int(json.loads(text)['pid'])}"
    except (ValueError, KeyError, TypeError):
        return "unknown pid"


def _unusable(folder: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"cannot keep GPU locks in {folder}: {error.strerror}",
        code="gpu_locks_unusable",
        hint=f"make {folder} writable for every user (mode 1777), or set {DIR_VARIABLE}",
    )
