"""Replace a file's bytes so that a reader, or a crash, sees either all old or all new ones."""

from __future__ import annotations

import glob
import os
import stat
import tempfile
from pathlib import Path

_SUFFIX = ".perfledger-tmp"


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` durably: temporary file beside it, fsync, rename, fsync of the folder.

    The mode of an existing file is kept; a symbolic link stays a link and its target is replaced. A device or a pipe,
    and whatever a name below /dev stands for, is written to as it is.
    Raises `OSError` of the step that failed, with the file's name; the old bytes are then still there.
    """
    try:
        if path.is_relative_to("/dev") or (path.exists() and not path.is_file()):
            path.write_bytes(data)
        else:
            _replace(path.resolve(), data)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _replace(target: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=_SUFFIX, dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            os.fchmod(out.fileno(), _mode_of(target))
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def remove_leftovers(path: Path) -> None:
    """Remove what a killed process was still writing beside `path`; its own file was never touched."""
    target = path.resolve()
    for leftover in target.parent.glob(f".{glob.escape(target.name)}.*{_SUFFIX}"):
        leftover.unlink(missing_ok=True)


def _mode_of(path: Path) -> int:
    """Permission bits of the file, or those a new file would get here."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
