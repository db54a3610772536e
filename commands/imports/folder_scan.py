"""Look through a folder of record files: which are new, which changed, which are gone.

The folder is listed every time; a file is read again only when its size, times or inode changed, which
a disposable cache inside the ledger folder remembers.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec

MARKER = ".hf_sync_complete"
# A file written in the same clock tick as the listing could change again without a new time.
SETTLED_NS = 2 * 10**9

Stat = tuple[int, int, int, int]


class CacheFile(msgspec.Struct, frozen=True):
    """What the last import saw: position of the log after it, and per path its stat and content digest."""

    position: int
    files: dict[str, tuple[Stat, str]]


@dataclass(frozen=True)
class Found:
    """One record file: its path below the root with `/`, and where it is."""

    relative: str
    absolute: str
    stat: Stat
    settled: bool


def list_records(root: str | os.PathLike[str]) -> list[Found]:
    """Return every `*.json` below a folder in path order, nested ones included, hidden ones not.

    Links to folders are followed, each real folder once per branch. Names that are not UTF-8 show
    their bytes as `\\xNN`.
    """
    now = time.time_ns()
    found = [
        Found(relative, entry.path, stat, now - max(stat[0], stat[1]) > SETTLED_NS)
        for relative, entry, stat in _walk(os.fspath(root), "", frozenset())
    ]
    found.sort(key=lambda item: item.relative)
    return found


def _walk(folder: str, prefix: str, above: frozenset[str]) -> Iterator[tuple[str, os.DirEntry[str], Stat]]:
    real = os.path.realpath(folder)
    if real in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = os.fsencode(entry.name).decode("utf-8", "backslashreplace")
            if entry.is_dir():
                yield from _walk(entry.path, f"{prefix}{name}/", above | {real})
            elif entry.name.endswith(".json") and entry.is_file():
                info = entry.stat()
                yield f"{prefix}{name}", entry, (info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino)


def source_of(root: str | os.PathLike[str]) -> str:
    """Return the name of the history in a folder: its Hub dataset when a sync marker names one, else its full path."""
    try:
        marker = msgspec.json.decode((Path(root) / MARKER).read_bytes())
        repository = marker.get("repo_id")
    except (OSError, msgspec.DecodeError, AttributeError):
        repository = None
    if isinstance(repository, str) and repository:
        return f"hf://datasets/{repository}"
    return os.path.realpath(root)


def cache_path(ledger_path: Path, source: str) -> Path:
    """Return where the stats of a source are remembered."""
    return ledger_path / "cache" / f"import-{sha256(source.encode()).hexdigest()[:24]}.json"


def read_cache(path: Path, *, head_position: int) -> dict[str, tuple[Stat, str]]:
    """Return the remembered files; none when there is no cache, or it is of a longer log than this one."""
    try:
        cache = msgspec.json.decode(path.read_bytes(), type=CacheFile)
    except (OSError, msgspec.DecodeError):
        return {}
    return cache.files if cache.position <= head_position else {}


def write_cache(path: Path, files: dict[str, tuple[Stat, str]], *, head_position: int) -> None:
    """Remember the files. A cache that cannot be written costs only time."""
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(exist_ok=True)
        scratch.write_bytes(msgspec.json.encode(CacheFile(head_position, files)))
        scratch.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
