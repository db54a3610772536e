"""A model of a disk that a power cut can hit: what a process did to it, and every state it may be found in.

`Disk` watches the calls the code makes through `os` (they are carried out for real) and keeps, beside the real
folder, what of it is durable: file data only after fsync or fdatasync of the file, names only after fsync of their
directory. `states` enumerates what may be left: any subset of the names that were not synced, and of data that was
not synced nothing, half or all. Files written by SQLite are derived: they are there as they were at that step, or
not at all. The way of enumerating is that of ALICE (OSDI 2014), for what one writer does at a time.
"""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ledger.log.heads import MARK_NAME, Indexed, Mark
from ledger.log.heads import NAME as HEADS_NAME

DERIVED_SUFFIXES = (".sqlite", ".sqlite-wal", ".sqlite-shm")
CALLS = ("open", "write", "pwrite", "fsync", "fdatasync", "ftruncate", "link", "replace", "unlink", "mkdir", "close")


class Killed(BaseException):
    """The process died here. Nothing after this happens, no clean-up either."""


@dataclass(eq=False)
class File:
    """A file: its durable bytes, and what was done to it since. `inode` is the real one."""

    inode: int
    durable: bytes = b""
    pending: list[Callable[[bytes], bytes]] = field(default_factory=list)
    halves: list[Callable[[bytes], bytes]] = field(default_factory=list)
    ends: list[Callable[[bytes], bytes]] = field(default_factory=list)

    def variants(self) -> list[bytes]:
        """Unsynced data: nothing of it, half of the last write, all of it. Of a write over bytes that are there
        already also the second half alone, as pages reach the disk in any order."""
        if not self.pending:
            return [self.durable]
        most = self.durable
        for change in self.pending[:-1]:
            most = change(most)
        found = [self.durable, self.halves[-1](most), self.pending[-1](most)]
        found += [end(self.durable) for end in self.ends]
        return list(dict.fromkeys(found))

    def sync(self) -> None:
        for change in self.pending:
            self.durable = change(self.durable)
        for changes in (self.pending, self.halves, self.ends):
            changes.clear()


@dataclass(eq=False)
class Directory:
    """A directory: its durable names, and the changes to them since."""

    durable: dict[str, File | Directory] = field(default_factory=dict)
    now: dict[str, File | Directory] = field(default_factory=dict)
    pending: list[Callable[[dict[str, File | Directory]], None]] = field(default_factory=list)

    def change(self, step: Callable[[dict[str, File | Directory]], None]) -> None:
        step(self.now)
        self.pending.append(step)


@dataclass(frozen=True)
class State:
    """What a power cut may leave: directories, file bytes by path, and the derived files as they were then."""

    files: tuple[tuple[str, bytes, int], ...]
    folders: tuple[str, ...]
    derived: tuple[tuple[str, bytes], ...]

    def materialise(self, target: Path) -> Path:
        """Write the state into a folder, with the derived files pointing at the new inodes."""
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in self.folders:
            (target / name).mkdir(parents=True, exist_ok=True)
        inodes = {}
        for name, data, inode in self.files:
            (target / name).write_bytes(data)
            inodes[inode] = (target / name).stat().st_ino
        for name, data in self.derived:
            if (target / name).parent.is_dir():
                (target / name).write_bytes(data)
        for path in [*target.rglob(MARK_NAME), *target.rglob(HEADS_NAME)]:
            _point(path, inodes)
        return target


def _point(path: Path, inodes: dict[int, int]) -> None:
    """Give a derived file the journal's new inode, as it would have the old one after a reboot."""
    if path.name == MARK_NAME:
        mark = Mark(path.parent)
        state = mark.read()
        if state is not None:
            mark.write(Indexed(state.head, inodes.get(state.journal_inode, 0), state.journal_size, state.journal_first))
        mark.close()
        return
    db = sqlite3.connect(path)
    try:
        found = db.execute("SELECT journal_inode FROM head").fetchone()
        if found:
            db.execute("UPDATE head SET journal_inode = ?", (inodes.get(found[0], 0),))
            db.commit()
    except sqlite3.Error:
        pass
    finally:
        db.close()


class Disk:
    """Watches one folder. `step` counts the calls that change something; `kill_at` ends the process before one."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.top = self._load(root)
        self.fds: dict[int, File | Directory] = {}
        self.step = 0
        self.kill_at: int | None = None
        self.dead = False
        self.on_step: Callable[[str], None] = lambda call: None
        self.real: dict[str, Any] = {name: getattr(os, name) for name in CALLS}
        for name in CALLS:
            monkeypatch.setattr(os, name, getattr(self, "_" + name))

    def restart(self) -> None:
        """A new process on the same machine: nothing is lost, nothing is synced."""
        self.kill_at, self.dead = None, False

    def power_cut(self) -> None:
        """Forget what was recorded as pending and take the folder as it is for durable."""
        self.top = self._load(self.root)

    def _load(self, path: Path) -> Directory:
        found = Directory()
        for child in path.iterdir():
            if child.is_dir():
                found.durable[child.name] = self._load(child)
            elif not child.name.endswith(DERIVED_SUFFIXES):
                found.durable[child.name] = File(child.stat().st_ino, child.read_bytes())
        found.now = dict(found.durable)
        return found

    # ---------------------------------------------------------------- the calls

    def _at(self, path: Any) -> tuple[Directory, str] | None:
        """Return (directory, name) of a path inside the watched folder, None for others and derived files."""
        given = Path(os.fspath(path))
        if not given.is_relative_to(self.root) or given == self.root or given.name.endswith(DERIVED_SUFFIXES):
            return None
        here = self.top
        for part in given.relative_to(self.root).parts[:-1]:
            child = here.now.get(part)
            if not isinstance(child, Directory):
                return None
            here = child
        return here, given.name

    def _before(self, call: str) -> None:
        if self.dead or self.kill_at == self.step:
            self.dead = True
            raise Killed
        self.step += 1

    def _open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        at = self._at(path) if not isinstance(path, int) else None
        if at is None and not (isinstance(path, (str, Path)) and Path(path) == self.root):
            return int(self.real["open"](path, flags, mode, dir_fd=dir_fd))
        known = self.top if at is None else at[0].now.get(at[1])
        if known is None and flags & os.O_CREAT:
            self._before("open")
        fd: int = self.real["open"](path, flags, mode, dir_fd=dir_fd)
        if known is None and at is not None:
            made = File(os.fstat(fd).st_ino)
            at[0].change(lambda names: names.__setitem__(at[1], made))
            known = made
            self.on_step("create")
        assert known is not None
        self.fds[fd] = known
        return fd

    def _write(self, fd: int, data: Any) -> int:
        file = self.fds.get(fd)
        if not isinstance(file, File):
            return int(self.real["write"](fd, data))
        self._before("write")
        content = bytes(data)
        assert self.real["write"](fd, content) == len(content)
        file.pending.append(lambda old: old + content)
        file.halves.append(lambda old: old + content[: len(content) // 2])
        self.on_step("write")
        return len(content)

    def _pwrite(self, fd: int, data: Any, offset: int) -> int:
        file = self.fds.get(fd)
        if not isinstance(file, File):
            return int(self.real["pwrite"](fd, data, offset))
        self._before("pwrite")
        content = bytes(data)

        def put(old: bytes, piece: bytes = content, at: int = offset) -> bytes:
            return old[:at].ljust(at, b"\0") + piece + old[at + len(piece) :]

        half = len(content) // 2

        self.real["pwrite"](fd, content, offset)
        file.pending.append(put)
        file.halves.append(lambda old: put(old, content[:half]))
        file.ends.append(lambda old: put(old, content[half:], offset + half))
        self.on_step("pwrite")
        return len(content)

    def _ftruncate(self, fd: int, size: int) -> None:
        file = self.fds.get(fd)
        if not isinstance(file, File):
            self.real["ftruncate"](fd, size)
            return
        self._before("ftruncate")
        self.real["ftruncate"](fd, size)
        file.pending.append(lambda old: old[:size])
        file.halves.append(lambda old: old[:size])
        self.on_step("ftruncate")

    def _sync(self, call: str, fd: int) -> None:
        known = self.fds.get(fd)
        if known is not None:
            self._before(call)
        if isinstance(known, File):
            known.sync()
        elif isinstance(known, Directory):
            for change in known.pending:
                change(known.durable)
            known.pending.clear()
        if known is not None:
            self.on_step(call)

    def _fsync(self, fd: int) -> None:
        self._sync("fsync", fd)

    def _fdatasync(self, fd: int) -> None:
        self._sync("fdatasync", fd)

    def _link(self, source: Any, target: Any) -> None:
        here, there = self._at(source), self._at(target)
        if here is None or there is None:
            self.real["link"](source, target)
            return
        self._before("link")
        self.real["link"](source, target)
        file = here[0].now[here[1]]
        there[0].change(lambda names: names.__setitem__(there[1], file))
        self.on_step("link")

    def _replace(self, source: Any, target: Any) -> None:
        here, there = self._at(source), self._at(target)
        if here is None or there is None:
            self.real["replace"](source, target)
            return
        assert here[0] is there[0], "a rename inside one directory is one change"
        self._before("replace")
        self.real["replace"](source, target)

        def rename(names: dict[str, File | Directory], file: File | Directory = here[0].now[here[1]]) -> None:
            names.pop(here[1], None)
            names[there[1]] = file

        here[0].change(rename)
        self.on_step("replace")

    def _unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        at = self._at(path) if dir_fd is None else None
        if at is None:
            if self.dead:
                raise Killed
            self.real["unlink"](path, dir_fd=dir_fd)
            return
        self._before("unlink")
        self.real["unlink"](path)
        at[0].change(lambda names: names.pop(at[1], None))  # type: ignore[arg-type]
        self.on_step("unlink")

    def _mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        at = self._at(path)
        if at is None:
            self.real["mkdir"](path, mode)
            return
        self._before("mkdir")
        self.real["mkdir"](path, mode)
        made = Directory()
        at[0].change(lambda names: names.__setitem__(at[1], made))
        self.on_step("mkdir")

    def _close(self, fd: int) -> None:
        self.fds.pop(fd, None)
        self.real["close"](fd)

    # ---------------------------------------------------------------- the states

    def states(self) -> Iterator[State]:
        """Yield every state a power cut at this moment may leave."""
        gc.collect()  # the killed process's index connections: closing one removes its -wal and -shm files
        derived = tuple(
            (str(path.relative_to(self.root)), data)
            for path in sorted(self.root.rglob("*.sqlite*"))
            if (data := _there(path)) is not None
        )
        seen = set()
        for names in self._namings(self.top):
            files, folders = _flat(names)
            unique = list(dict.fromkeys(file for _, file in files))
            for contents in itertools.product(*(file.variants() for file in unique)):
                chosen = dict(zip(unique, contents, strict=True))
                found = tuple((path, chosen[file], file.inode) for path, file in files)
                for index in ((), derived):
                    state = State(found, tuple(folders), index)
                    if state not in seen:
                        seen.add(state)
                        yield state

    def _namings(self, directory: Directory) -> Iterator[dict[str, Any]]:
        """Yield what a directory may hold, its sub-directories resolved."""
        for chosen in itertools.product((False, True), repeat=len(directory.pending)):
            names = dict(directory.durable)
            for change in itertools.compress(directory.pending, chosen):
                change(names)
            folders = [(name, child) for name, child in names.items() if isinstance(child, Directory)]
            for inner in itertools.product(*(list(self._namings(child)) for _, child in folders)):
                yield {**names, **dict(zip([n for n, _ in folders], inner, strict=True))}


def _there(path: Path) -> bytes | None:
    """Return a derived file's bytes, or None when SQLite removed it just now (it does, when a connection ends)."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _flat(names: dict[str, Any], prefix: str = "") -> tuple[list[tuple[str, File]], list[str]]:
    files, folders = [], []
    for name, child in sorted(names.items()):
        if isinstance(child, dict):
            folders.append(prefix + name)
            inner = _flat(child, f"{prefix}{name}/")
            files += inner[0]
            folders += inner[1]
        else:
            files.append((prefix + name, child))
    return files, folders
