"""perfledger reseed cleanup and abort."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.cli.app import App, command
from commands.reseed.work.own_folders import _remove, folders, kept_lines, look
from commands.reseed.work.recording import record
from ledger.errors import Refused
from ledger.events.reseeds import ReseedAborted, ReseedCleanedUp
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

    A file that another program put there, or changed, stays with its folder and is named.
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


def _listing(found: Mapping[str, str], kept: Mapping[str, list[str]]) -> list[str]:
    return [*(f"{kind}: {path}" for path, kind in found.items()), *kept_lines(kept)]


def remove(
    app: App,
    ledger: Ledger,
    state: decider.Reseed,
    *,
    confirm: str | None,
) -> tuple[list[str], dict[str, list[str]]]:
    """Ask, remove, record. Returns the folders that are gone, and what was kept by folder."""
    decider.require(state, "cleaned up", "ReseedCleanedUp")
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
    record(ledger, state, ReseedCleanedUp(reseed=state.id, folders=removed))
    return removed, kept


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
    decider.require(state, "aborted", "ReseedAborted")
    if state.step == "uploading":
        _refuse_landed(ledger, state)
    left = list(folders(ledger, state))
    record(ledger, state, ReseedAborted(reseed=state.id, reason=reason, left=left))
    app.emit(
        {"id": state.id, "left": left},
        "\n".join([f"reseed {state.id} is aborted; nothing was uploaded", *(f"left on disk: {p}" for p in left)]),
    )
