"""The journal as the holder of the origin's lock writes it: one line, one sync, and padding ahead of the lines.

A file that grows by every line makes the disk write its size and block map at every sync, beside the line. So
now and then a piece of padding is written behind a line, and the next lines go over it (`ledger.log.journal`).
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from ledger import disk
from ledger.errors import OutcomeUnknown, Unavailable
from ledger.log import journal, lock

PADDING = b"\n" * 2**16  # 60 lines of the usual size


class JournalWriter(disk.KeptFile):
    """The journal of one log folder, kept open. Every method is called under the origin's lock, `look` first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / journal.NAME
        self._text = str(self.path)
        self._inode = 0
        self._size = 0

    def look(self, *, replaced: bool = True) -> tuple[int, int]:
        """Return (inode, bytes) of the file that is in place, (0, 0) when there is none.

        `replaced=False`: the caller knows that the name is that of the same file as last time.
        """
        if not replaced and self._fd is not None:
            self._size = os.lseek(self._fd, 0, os.SEEK_END)
            return self._inode, self._size
        try:
            found = os.stat(self._text)  # noqa: PTH116
            inode, self._size = found.st_ino, found.st_size
        except FileNotFoundError:
            inode, self._size = 0, 0
        if inode != self._inode:
            self.close()
        self._inode = inode
        return inode, self._size

    def ends_at(self, size: int) -> bool:
        """Whether the byte at `size` begins no line. A writer that died mid-way has left a line's beginning."""
        return self._size == size or os.pread(self._open(), 1, size) in (b"", b"\n", b"\0")

    def write(self, line: bytes, at: int) -> int:
        """Write one line at byte `at` and sync it. Return the journal's inode.

        Raises `Unavailable` when the line is certainly not recorded, `OutcomeUnknown` when that is not certain.
        """
        # without its end a line would be one with the next, and both torn; behind the end of the file it would leave
        # a hole of zeros, which readers take for padding
        assert line[-1:] == b"\n" and 0 <= at <= self._size, (line[-20:], at, self._size)
        fd = self._open()
        if at == 0:
            # whoever created the file may have died before its name was durable
            disk.fsync_directory(self.folder)
        try:
            disk.write_all_at(fd, line, at)
            self._pad(fd, at + len(line))
            os.fdatasync(fd)
        except OSError as error:
            self._take_back(fd, at, error)
        return self._inode

    def replace(self, data: bytes) -> int:
        """Put a journal of whole lines in the place of this one, durably. Return its inode."""
        assert data[-1:] in (b"", b"\n"), data[-20:]  # as above: the next line is written behind it
        disk.overwrite(self.path, data)
        return self.look()[0]

    def set_aside(self, found: journal.Journal) -> None:
        """Keep torn bytes for a person to see and cut them off the journal. They were never acknowledged."""
        if not found.torn:
            return
        folder = self.folder / "torn"
        disk.make_directory(folder)
        disk.put_if_absent(folder / f"{found.inode}-{found.size}", found.torn)
        # the file that was read, not one that a seal has put in its place since: its bytes are acknowledged
        assert found.inode == self._inode, (found.inode, self._inode)
        self._cut(self._open(), found.size)
        lock.say(f"perfledger: {len(found.torn)} bytes of an unfinished write were set aside in {folder}")

    def _open(self) -> int:
        if self._fd is None:
            self._fd = os.open(self._text, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._inode = os.fstat(self._fd).st_ino
        return self._fd

    def _pad(self, fd: int, end: int) -> None:
        """Write padding behind a line that reaches the end of the file, where there is room for it."""
        if end >= self._size:
            with contextlib.suppress(OSError):
                os.pwrite(fd, PADDING, end)

    def _cut(self, fd: int, size: int) -> None:
        assert 0 <= size <= self._size, (size, self._size)  # a cut that makes it longer would add zeros
        os.ftruncate(fd, size)
        os.fdatasync(fd)
        self._size = size

    def _take_back(self, fd: int, size: int, error: OSError) -> None:
        """After a failed write: cut the journal back, so that the event is certainly not recorded."""
        why = os.strerror(error.errno or errno.EIO)
        try:
            self._cut(fd, size)
        except OSError:
            raise OutcomeUnknown(
                f"{self.path}: {why}; the event may or may not be recorded",
                code="append_unknown",
                hint="perfledger verify, then run the same command again: a recorded event is never doubled",
            ) from error
        raise Unavailable(
            f"{self.path}: {why}; nothing was recorded",
            code="append_failed",
            hint="free some space or repair the disk, then run it again",
            errno=error.errno,
        ) from error
