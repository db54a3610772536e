"""Writing files so that they are there after a power cut: the exact order of steps, in one place.

No library fsyncs for us. The order is always: data into a new file, fsync(file), then the name by
`link` (which never replaces a file another process has just committed) or `rename` (which replaces
one of our own), then fsync(directory), and only then is it said to be done.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


class KeptFile:
    """Base of what keeps a file open from call to call. `_fd` is None while it is closed."""

    _fd: int | None = None

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


def fsync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def fsync_file(path: Path) -> None:
    """Make durable what a file holds, whoever wrote it. A missing file is no error."""
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def make_directory(path: Path) -> None:
    """Create a directory and its missing parents, each durable. One that is there already is made durable too:
    whoever made it may have died before its name was."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    fsync_directory(path.parent)
    for folder in reversed(missing):
        try:
            folder.mkdir()
        except FileExistsError:
            if not folder.is_dir():  # a file or a dangling link, and not a folder that another process made meanwhile
                raise
        fsync_directory(folder.parent)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte; the kernel may take fewer at a time."""
    view = memoryview(data)
    while view:
        taken = os.write(fd, view)
        assert 0 < taken <= len(view), (taken, len(view))  # a kernel that takes nothing would be asked for ever
        view = view[taken:]


def write_all_at(fd: int, data: bytes, offset: int) -> None:
    """Write every byte at `offset` and after; the kernel may take fewer at a time."""
    done = os.pwrite(fd, data, offset)
    while done < len(data):
        taken = os.pwrite(fd, data[done:], offset + done)
        assert taken > 0, (done, len(data))  # as above
        done += taken
    assert done == len(data), (done, len(data))


def write_aside(directory: Path, data: bytes) -> Path:
    """Write a temporary file in `directory` and fsync it; the caller gives it its name."""
    temporary = directory / f".tmp-{os.getpid()}-{secrets.token_hex(6)}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return temporary


def publish(temporary: Path, target: Path) -> bool:
    """Give a synced temporary file its name, durably, unless the name is taken. Return whether it was free.

    link, not rename: rename would replace a file another process has just committed.
    """
    # beside its name: only the target's directory is synced below, and a link cannot cross file systems
    assert temporary.parent == target.parent and temporary.name != target.name, (temporary, target)
    try:
        os.link(temporary, target)
        created = True
    except FileExistsError:
        created = False
    finally:
        temporary.unlink()
    fsync_directory(target.parent)
    return created


def replace(temporary: Path, target: Path) -> None:
    """Put a synced temporary file in the place of `target`, durably."""
    # a rename from another directory would need that one synced too: after a power cut both names could be there
    assert temporary.parent == target.parent and temporary.name != target.name, (temporary, target)
    os.replace(temporary, target)  # noqa: PTH105  (the system call by its name)
    fsync_directory(target.parent)


def put_if_absent(target: Path, data: bytes) -> bool:
    """Write `data` as `target`, durably, unless it exists. Return whether it was created."""
    return publish(write_aside(target.parent, data), target)


def put_file_if_absent(target: Path, source: Path) -> bool:
    """Give a file of the same file system the name `target` as well, durably, unless it exists. Return whether it did.

    The bytes are not copied, so `source` may not be written to afterwards.
    """
    fsync_file(source)
    try:
        target.hardlink_to(source)
        created = True
    except FileExistsError:
        created = False
    fsync_directory(target.parent)
    return created


def overwrite(target: Path, data: bytes) -> None:
    """Replace the content of one of our own files, atomically and durably."""
    replace(write_aside(target.parent, data), target)
