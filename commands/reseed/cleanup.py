"""perfledger reseed cleanup and abort."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.common import App, command
from commands.reseed import decider
from commands.reseed.history import CREATED_MARK
from ledger.errors import Refused
from ledger.event import NewEvent
from ledger.events.reseeds import RecordsPrepared, ReseedAborted, ReseedCleanedUp

if TYPE_CHECKING:
    from ledger.ledger import Ledger

PHRASE = "cleanup reseed temp"


@command("cleanup")
@click.argument("reseed_id", metavar="ID")
@click.option("--confirm", metavar="PHRASE", help=f'Exactly "{PHRASE}".')
@click.option("--dry-run", is_flag=True, help="Name the folders; remove nothing.")
def cleanup(app: App, reseed_id: str, confirm: str | None, dry_run: bool) -> None:
    """Remove the backup and staging folders this reseed created. The evidence store keeps every byte of them."""
    ledger = app.ledger()
    state = decider.load(ledger, reseed_id)
    found = folders(ledger, state)
    if dry_run:
        app.emit({"id": state.id, "folders": found}, "\n".join(f"{kind}: {path}" for path, kind in found.items()))
        return
    remove(app, ledger, state, confirm=confirm)
    app.emit({"id": state.id, "removed": list(found)}, "\n".join([*(f"removed {p}" for p in found), "done"]))


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
            raise Refused(f"{path} has no mark of reseed {state.id}; nothing was removed", code="not_our_folder",
                          hint="remove it by hand if it is yours")
        found[name] = kind
    return found


def remove(app: App, ledger: Ledger, state: decider.Reseed, *, confirm: str | None) -> None:
    """Ask, remove, record."""
    decider.require(state, "cleaned up", ("uploaded", "aborted", "superseded"))
    found = folders(ledger, state)
    question = "\n".join(["these folders will be removed:", *(f"  {path}  ({kind})" for path, kind in found.items())])
    app.confirm(PHRASE, given=confirm, question=question)
    for path in found:
        _remove(Path(path))
    ledger.append([NewEvent(stream=state.stream, payload=ReseedCleanedUp(reseed=state.id, folders=list(found)))],
                  seen={state.stream: state.position})


def _remove(folder: Path) -> None:
    """Remove a folder of ours, its mark last: interrupted anywhere, it can be run again."""
    for entry in folder.iterdir():
        if entry.name == CREATED_MARK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)  # never follows a link inside
        else:
            entry.unlink()
    (folder / CREATED_MARK).unlink()
    folder.rmdir()


def _refuse_landed(ledger: Ledger, state: decider.Reseed) -> None:
    """Look at the dataset before an upload that was begun is given up. Raises `Refused` when seeds are there."""
    from commands.reseed.history import sync

    plan = state.needed()
    there = {record.path for record in sync(ledger, plan.dataset).records}
    landed = [path for path in plan.destination if path in there]
    if landed:
        raise Refused(f"{len(landed)} of {len(plan.destination)} seed records of reseed {state.id} are in "
                      f"{plan.dataset} already; it cannot be aborted any more", code="reseed_landed",
                      hint=decider.next_step(state), landed=landed)


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
    ledger.append([NewEvent(stream=state.stream, payload=ReseedAborted(reseed=state.id, reason=reason, left=left))],
                  seen={state.stream: state.position})
    app.emit({"id": state.id, "left": left},
             "\n".join([f"reseed {state.id} is aborted; nothing was uploaded", *(f"left on disk: {p}" for p in left)]))
