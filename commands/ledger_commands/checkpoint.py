"""perfledger checkpoint: the log as it is, signed in the published format, and what witnesses co-sign."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.cli.app import App, command, global_options
from commands.cli.numbers import Whole
from commands.ledger_commands.prove import OUTPUT, SIGNING_KEY, keys_of, signed_as_dict, signing_key_of, write
from ledger.errors import BadInput, Refused

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from ledger.proofs.checkpoints import Known
    from ledger.proofs.notes import Signature

ORIGIN = click.argument("origin", required=False)


@click.group("checkpoint")
@global_options
def checkpoint() -> None:
    """Sign the log as it is, and keep what witnesses co-sign.

    A checkpoint is the size of an origin's log and the root of its Merkle tree, signed, in the formats of
    c2sp.org/tlog-checkpoint and tlog-cosignature: tools that exist can check and co-sign it. See docs/proofs.md.
    """


@command("sign")
@click.option(
    "--name", metavar="NAME", help="For a new key: the log's name, [PREFIX/]ORIGIN. Default: perfledger/ORIGIN."
)
@SIGNING_KEY
@OUTPUT
def sign(app: App, name: str | None, signing_key: str | None, output: str | None) -> None:
    """Sign this origin's log as it is now. The first time makes a key, which the log then names.

    The private key stays in the ledger's folder, readable by its owner only, and is never pushed.
    """
    from ledger.proofs import checkpoints

    ledger = app.ledger()
    found = checkpoints.sign(ledger, signing_key_of(ledger, signing_key, name)())
    _write(app, ledger.origin, found, output)


@command("show")
@ORIGIN
@click.option("--witnessed", is_flag=True, help="The newest one with a co-signature instead of the newest.")
@click.option(
    "--witness", metavar="KEY", multiple=True, help="Check this witness's co-signature: NAME+ID+KEY or a file."
)
@OUTPUT
def show(app: App, origin: str | None, witnessed: bool, witness: tuple[str, ...], output: str | None) -> None:
    """Show the checkpoint that is kept of an ORIGIN (default: our own), and who signed it."""
    from ledger.proofs import checkpoints

    ledger = app.ledger()
    chosen = _known_origin(ledger, origin)
    found = checkpoints.read(ledger, chosen, checkpoints.WITNESSED if witnessed else checkpoints.NAME)
    if found is None:
        raise _none_kept(ledger, chosen, witnessed=witnessed)
    _write(app, chosen, found, output, witness)


@command("request")
@ORIGIN
@click.option("--old", type=Whole(0), default=0, show_default=True, metavar="N", help="What the witness has.")
@OUTPUT
def request(app: App, origin: str | None, old: int, output: str | None) -> None:
    """Write what a witness is sent for its co-signature: add-checkpoint of c2sp.org/tlog-witness.

    It has the proof that the log only grew since the N events the witness co-signed last. Send it with
    `curl --data-binary @FILE URL/add-checkpoint`, and give the answer to `checkpoint keep`.
    """
    from ledger.proofs import checkpoints, making

    ledger = app.ledger()
    chosen = _known_origin(ledger, origin)
    found = checkpoints.read(ledger, chosen)
    if found is None:
        raise _none_kept(ledger, chosen, witnessed=False)
    data = making.request(ledger, chosen, found, old)
    write(app, data, output, {"origin": chosen, "old": old, "size": found.size}, f"{old:,} to {found.size:,} events")


@command("keep")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--origin", metavar="NAME", help="Whose checkpoint it is. Default: our own.")
@click.option("--witness", metavar="KEY", multiple=True, help="Whose co-signature FILE brings: NAME+ID+KEY or a file.")
def keep(app: App, file: str, origin: str | None, witness: tuple[str, ...]) -> None:
    """Keep a co-signature that FILE brings, after checking it: what a witness answered, or a co-signed checkpoint.

    Without --witness: keep the checkpoint of another origin, where the log here is the one it was signed over.
    """
    from ledger.proofs import checkpoints

    ledger = app.ledger()
    chosen = _known_origin(ledger, origin)
    data = _read(file)
    if not witness:
        found = checkpoints.take(ledger, chosen, data)
        app.emit(
            {"origin": chosen, "size": found.size, "cosigned": []},
            f"the log of {chosen} is the one of this checkpoint of {found.size:,} events; it is kept",
        )
        return
    signed = [signed_as_dict(one) for one in checkpoints.witnessed(ledger, chosen, data, keys_of(witness))]
    said = ", ".join(f"{one['name']} at {one['time']}" for one in signed)
    app.emit({"origin": chosen, "cosigned": signed}, f"kept: co-signed by {said}")


@command("cosign")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--origin", metavar="NAME", required=True, help="Whose checkpoint it is; its log must be here.")
@SIGNING_KEY
@OUTPUT
def cosign(app: App, file: str, origin: str, signing_key: str | None, output: str | None) -> None:
    """Co-sign a checkpoint of another origin as a witness: its log is here, and is the one it was signed over."""
    from ledger.proofs import checkpoints

    ledger = app.ledger()
    chosen = _known_origin(ledger, origin)
    if chosen == ledger.origin:
        raise Refused(
            f"{chosen} is this ledger's own origin: nobody is a witness of his own log",
            code="own_witness",
            hint="ask somebody else who pulls this log",
        )
    key = signing_key_of(ledger, signing_key)()
    note = checkpoints.cosign(ledger, key, chosen, _read(file), time=int(time.time()))
    document = {"origin": chosen, "witness": str(key.verifier.as_witness())}
    write(app, note.encode(), output, document, f"co-signed; the key of this witness is {key.verifier.as_witness()}")


for _command in (sign, show, request, keep, cosign):
    checkpoint.add_command(_command)


def _known_origin(ledger: Ledger, origin: str | None) -> str:
    if origin is not None and origin not in ledger.origins():
        raise BadInput(f"no origin {origin} here", code="no_such_origin", hint="perfledger sql 'FROM origins'")
    return origin or ledger.origin


def _none_kept(ledger: Ledger, origin: str, *, witnessed: bool) -> Refused:
    how = "perfledger checkpoint sign" if origin == ledger.origin else "perfledger sync pull"
    return Refused(
        f"no {'co-signed ' if witnessed else ''}checkpoint of {origin} is kept here",
        code="no_checkpoint",
        hint="perfledger checkpoint keep FILE --witness KEY" if witnessed else how,
        origin=origin,
    )


def _read(file: str) -> bytes:
    from ledger.proofs.notes import NOTE_BYTES_MAX

    with Path(file).open("rb") as opened:
        return opened.read(NOTE_BYTES_MAX + 1)


def _write(app: App, origin: str, found: Known, output: str | None, witnesses: tuple[str, ...] = ()) -> None:
    """Write a checkpoint; on a terminal or into a pipe it is the note itself, who signed goes to stderr."""
    ours = {(one.key.name, one.key.key_id) for one in found.signed}
    checked = {one.key: one for one in found.note.signed_by(key.as_witness() for key in keys_of(witnesses))}
    cosigned: list[dict[str, Any]] = [{**signed_as_dict(one), "checked": True} for one in checked.values()]
    known = ours | {(key.name, key.key_id) for key in checked}
    cosigned += [_unchecked(line) for line in found.note.signatures if (line.name, line.key_id) not in known]
    signed = [signed_as_dict(one) for one in found.signed]
    document = {
        "origin": origin,
        "log": found.checkpoint.log,
        "size": found.size,
        "root": found.checkpoint.root.hex(),
        "signed": signed,
        "cosigned": cosigned,
    }
    for one in signed:
        app.note(f"signed by {one['key']}")
    for one in cosigned:
        app.note(
            f"co-signed by {one['name']} at {one['time']}"
            if one["checked"]
            else f"co-signed by {one['name']}: not checked"
        )
    write(app, found.note.encode(), output, document, f"{found.size:,} events of {origin}")


def _unchecked(line: Signature) -> dict[str, Any]:
    return {"name": line.name, "key": f"{line.name}+{line.key_id.hex()}", "time": None, "checked": False}
