"""What a reseed wrote into its backup and staging folders, separated from what others put there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from commands.reseed.work.history import CREATED_MARK, PROVENANCE
from ledger.errors import Refused
from ledger.events.reseeds import BackupTaken, RecordsPrepared
from projections.reseed import fold as decider

if TYPE_CHECKING:
    from ledger.ledger import Ledger


@dataclass(frozen=True)
class Contents:
    """The contents of a reseed folder, apart from its mark: relative paths of what it wrote and of what it did not.

    `parents` are the folders it made for its own files, deepest first.
    """

    own: list[str]
    foreign: list[str]
    parents: list[str]


def look(ledger: Ledger, state: decider.Reseed, name: str) -> Contents:
    """Tell a reseed's own files in a folder from others: by path and content, following no link."""
    wrote = _written(ledger, state, name)
    parents = {str(parent) for path in wrote for parent in PurePosixPath(path).parents} - {"."}
    own: list[str] = []
    foreign: list[str] = []
    for above, below, files in os.walk(name):
        inside = Path(above).relative_to(name)
        for entry in files:
            path = str(inside / entry)
            if path != CREATED_MARK:
                (own if _is_own(Path(above) / entry, path, wrote) else foreign).append(path)
        links = [entry for entry in below if (Path(above) / entry).is_symlink()]
        empty = not below and not files and str(inside) != "." and str(inside) not in parents
        foreign += [str(inside / entry) for entry in links] + ([f"{inside}/"] if empty else [])
    return Contents(sorted(own), sorted(foreign), sorted(parents, key=lambda path: (-path.count("/"), path)))


def _written(ledger: Ledger, state: decider.Reseed, name: str) -> dict[str, str]:
    """Return what this reseed wrote into a folder: relative path to SHA-256, empty where none was recorded."""
    wrote: dict[str, str] = {}
    seeds = {seed.path: seed.sha256 for seed in state.plan.prepared} if state.plan else {}
    for event in ledger.read_stream(state.stream):
        payload = event.typed()
        if isinstance(payload, RecordsPrepared) and payload.folder == name:
            wrote |= {path: seeds[path] for path in payload.paths if path in seeds}
        elif isinstance(payload, BackupTaken) and payload.folder == name:
            wrote |= {PROVENANCE: "", **{record.path: record.sha256 for record in payload.records}}
    return wrote


def _is_own(file: Path, path: str, wrote: Mapping[str, str]) -> bool:
    digest = wrote.get(path)
    if digest is None or file.is_symlink() or not file.is_file():
        return False
    return not digest or sha256(file.read_bytes()).hexdigest() == digest


def kept_lines(kept: Mapping[str, list[str]]) -> list[str]:
    """Name what stays, and that its folder stays with it."""
    return [
        f"kept {Path(folder) / path}: not written by this reseed" for folder, paths in kept.items() for path in paths
    ]


def folders(ledger: Ledger, state: decider.Reseed) -> dict[str, str]:
    """Return the existing folders of a reseed with what each is. Raises `Refused` for one that is not its own."""
    named = {state.backup_folder: "backup of the target's records"} if state.backup_folder else {}
    for event in ledger.read_stream(state.stream):
        payload = event.typed()
        if isinstance(payload, RecordsPrepared):
            named[payload.folder] = "prepared seed records"
    found = {}
    for name, kind in named.items():
        path = Path(name)
        if path.is_symlink():
            raise Refused(f"{path} is a link; nothing was removed", code="not_our_folder", hint="look at it yourself")
        if not path.exists():
            continue
        mark = path / CREATED_MARK
        if mark.is_symlink() or not mark.is_file() or mark.read_text(encoding="utf-8") != state.id:
            raise Refused(
                f"{path} has no mark of reseed {state.id}; nothing was removed",
                code="not_our_folder",
                hint="remove it by hand if it is yours",
            )
        found[name] = kind
    return found


def _remove(folder: Path, contents: Contents) -> bool:
    """Remove what is ours, the mark and the folder last: interrupted anywhere, it can be run again.

    Returns whether the folder is gone. It stays, with its mark, when anything else is in it.
    """
    for path in contents.own:
        (folder / path).unlink()
    for path in contents.parents:
        parent = folder / path
        if parent.is_dir() and not parent.is_symlink():
            with contextlib.suppress(OSError):  # not empty: it holds what is not ours
                parent.rmdir()
    if any(entry.name != CREATED_MARK for entry in folder.iterdir()):
        return False
    (folder / CREATED_MARK).unlink()
    folder.rmdir()
    return True
