"""perfledger reseed cleanup and abort."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from commands.cli.app import App, command
from commands.reseed.work.history import CREATED_MARK, PROVENANCE
from ledger.errors import Refused
from ledger.event import NewEvent
from ledger.events.reseeds import BackupTaken, RecordsPrepared, ReseedAborted, ReseedCleanedUp
from projections.reseed import fold as decider

if TYPE_CHECKING:
    from ledger.ledger import Ledger

PHRASE = "cleanup reseed temp"


@command("cleanup")
@click.argument("reseed_id", metavar="ID")
@click.option("--confirm", metavar="PHRASE", help=f'Exactly "{PHRASE}".')
@click.option("--dry-run", is_flag=True, help="Name the folders and what stays in them; remove nothing.")
def cleanup(app: App, reseed_id: str, confirm: str | None, dry_run: bool) -> None:
    """Remove what this reseed wrote into its backup and staging folders. The evidence store keeps every byte of it.

    A file that somebody else put there, or changed, stays with its folder and is named.
    """
    ledger = app.ledger()
    state = decider.load(ledger, reseed_id)
    if dry_run:
        found = folders(ledger, state)
        kept = {path: foreign for path in found if (foreign := look(ledger, state, path).foreign)}
        app.emit({"id": state.id, "folders": found, "kept": kept}, "\n".join(_listing(found, kept)))
        return
    removed, kept = remove(app, ledger, state, confirm=confirm)
    app.emit(
        {"id": state.id, "removed": removed, "kept": kept},
        "\n".join([*(f"removed {p}" for p in removed), *kept_lines(kept), "done"]),
    )


@dataclass(frozen=True)
class Contents:
    """What lies in a folder of a reseed, apart from its mark: relative paths of what it wrote and of what it did not.

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


def _listing(found: Mapping[str, str], kept: Mapping[str, list[str]]) -> list[str]:
    return [*(f"{kind}: {path}" for path, kind in found.items()), *kept_lines(kept)]


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


def remove(
    app: App,
    ledger: Ledger,
    state: decider.Reseed,
    *,
    confirm: str | None,
) -> tuple[list[str], dict[str, list[str]]]:
    """Ask, remove, record. Returns the folders that are gone, and what was kept by folder."""
    decider.require(state, "cleaned up", ("uploaded", "aborted", "superseded"))
    found = folders(ledger, state)
    contents = {path: look(ledger, state, path) for path in found}
    kept = {path: one.foreign for path, one in contents.items() if one.foreign}
    question = "\n".join(
        [
            "what this reseed wrote into these folders will be removed:",
            *(f"  {path}  ({kind})" for path, kind in found.items()),
            *kept_lines(kept),
        ]
    )
    app.confirm(PHRASE, given=confirm, question=question)
    removed = [path for path in found if _remove(Path(path), contents[path])]
    ledger.append(
        [NewEvent(stream=state.stream, payload=ReseedCleanedUp(reseed=state.id, folders=removed))],
        seen={state.stream: state.position},
    )
    return removed, kept


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


def _refuse_landed(ledger: Ledger, state: decider.Reseed) -> None:
    """Look at the dataset before an upload that was begun is given up. Raises `Refused` when seeds are there."""
    from commands.reseed.work.history import sync

    plan = state.needed()
    there = {record.path for record in sync(ledger, plan.dataset).records}
    landed = [path for path in plan.destination if path in there]
    if landed:
        raise Refused(
            f"{len(landed)} of {len(plan.destination)} seed records of reseed {state.id} are in "
            f"{plan.dataset} already; it cannot be aborted any more",
            code="reseed_landed",
            hint=decider.next_step(state),
            landed=landed,
        )


@command("abort")
@click.argument("reseed_id", metavar="ID")
@click.option("--reason", metavar="TEXT", default="", help="Why it is given up.")
def abort(app: App, reseed_id: str, reason: str) -> None:
    """Give a reseed up at any point before its upload. What it left on disk stays, and is named.

    When an upload was begun and interrupted, the dataset is looked at first.
    """
    ledger = app.ledger()
    state = decider.load(ledger, reseed_id)
    decider.require(state, "aborted", ("new", "planned", "approved", "prepared", "uploading"))
    if state.step == "uploading":
        _refuse_landed(ledger, state)
    left = list(folders(ledger, state))
    ledger.append(
        [NewEvent(stream=state.stream, payload=ReseedAborted(reseed=state.id, reason=reason, left=left))],
        seen={state.stream: state.position},
    )
    app.emit(
        {"id": state.id, "left": left},
        "\n".join([f"reseed {state.id} is aborted; nothing was uploaded", *(f"left on disk: {p}" for p in left)]),
    )
