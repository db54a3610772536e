"""perfledger prove: one small file that shows offline that an event is in the log; `verify --proof` checks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.cli import streams
from commands.cli.app import App, command
from ledger.errors import BadInput
from ledger.layout import outside_ledger

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from ledger.proofs.keys import SigningKey
    from ledger.proofs.notes import Signed, VerifierKey
    from ledger.proofs.proof import Shown

SIGNING_KEY = click.option(
    "--signing-key",
    metavar="FILE",
    envvar="PERFLEDGER_SIGNING_KEY",
    type=click.Path(dir_okay=False),
    help="The private key that signs checkpoints. Default: the ledger's own, made when it is first needed.",
)
OUTPUT = click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Default: stdout.")


@command("prove")
@click.argument("event")
@OUTPUT
@click.option(
    "--checkpoint",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="A checkpoint that whoever asks has, earlier or later; the proof leads to it too.",
)
@SIGNING_KEY
def prove(app: App, event: str, output: str | None, checkpoint: str | None, signing_key: str | None) -> int:
    """Write a proof that an EVENT (an id, or position@origin) is in its log, for `verify --proof` or any other reader.

    One file in a published format: the event, its path in the Merkle tree of its origin, the signed checkpoint. The
    checkpoint is the newest that covers the event, a co-signed one first; where none does, one is signed.
    """
    from ledger.proofs import keys
    from ledger.proofs.making import prove as make

    ledger = app.ledger()
    found = ledger.event(event)
    lead_to = _bytes_of(checkpoint) if checkpoint else None
    made = make(ledger, found, key=signing_key_of(ledger, signing_key), lead_to=lead_to)
    data = made.encode()
    document = {"event_id": found.event_id, "origin": found.origin, "position": found.position, "bytes": len(data)}
    known = keys.known(ledger, found.origin)
    document["key"] = str(known[-1]) if known else None
    write(app, data, output, document, f"the proof of {found.event_id}, for readers who trust {document['key']}")
    return 0


def check(app: App, file: str, given: Sequence[str], witnesses: Sequence[str], checkpoint: str | None) -> int:
    """Check a proof by the keys that are given, else those that the logs here name for its origin."""
    from ledger.proofs import notes, proof

    with Path(file).open("rb") as opened:
        data = opened.read(proof.PROOF_BYTES_MAX + 1)
    read = proof.parse(data)
    event = proof.parse_event(read.event)
    keys = keys_of(given) or _keys_here(app, event.origin)
    anchor = notes.parse_checkpoint(notes.parse_note(_bytes_of(checkpoint)).text) if checkpoint else None
    shown = proof.check(read, proof.Trust(keys, keys_of(witnesses), anchor))
    document = {
        "ok": True,
        "event": event.as_dict(),
        "log": shown.checkpoint.log,
        "size": shown.checkpoint.size,
        "root": shown.checkpoint.root.hex(),
        "leads_to": shown.other.size if shown.other else None,
        "signed": [signed_as_dict(one) for one in shown.signed],
        "cosigned": [signed_as_dict(one) for one in shown.witnessed],
    }
    app.emit(document, lambda: _text(shown, event.as_dict(), anchored=anchor is not None))
    return 0


def keys_of(given: Sequence[str]) -> list[VerifierKey]:
    """Return public keys as an option has them: each the key itself, or a file with one a line."""
    from ledger.proofs.notes import VerifierKey

    found = []
    for text in given:
        lines = [text]
        if "+" not in text:
            lines = [line for line in _bytes_of(text).decode(errors="replace").splitlines() if line.strip()]
        found += [VerifierKey.parse(line) for line in lines]
    return found


def signing_key_of(ledger: Ledger, given: str | None, name: str | None = None) -> Callable[[], SigningKey]:
    """Return a function that makes or reads the key of this ledger, called only where something is signed."""

    def ready() -> SigningKey:
        from ledger.proofs import keys

        return keys.ready(ledger, given=given, name=name)

    return ready


def signed_as_dict(signed: Signed) -> dict[str, Any]:
    """Return a checked signature as JSON: the name, the key, and a witness's time."""
    from ledger.identifiers import format_time

    time = None if signed.time is None else format_time(signed.time * 1_000_000)
    return {"name": signed.key.name, "key": str(signed.key), "time": time}


def write(app: App, data: bytes, output: str | None, document: dict[str, Any], said: str) -> None:
    """Write a text of bytes to a file or to stdout; with --json it is a part of the document unless a file has it."""
    from ledger import disk

    if output is not None:
        disk.overwrite(outside_ledger(output, app.ledger().path), data)
        app.emit({**document, "file": output}, f"{output}: {said}")
    elif app.as_json:
        app.emit({**document, "text": data.decode()})
    else:
        streams.write(BytesIO(data))


def _keys_here(app: App, origin: str) -> list[VerifierKey]:
    """Return the keys that the log of an origin names, where a ledger here has that log."""
    from ledger.proofs import keys

    try:
        ledger = app.ledger()
    except BadInput:
        return []
    return keys.known(ledger, origin) if origin in ledger.origins() else []


def _bytes_of(path: str) -> bytes:
    """Return the bytes of a file that should be a checkpoint or keys: no more than such a file can have."""
    from ledger.proofs.notes import NOTE_BYTES_MAX

    with Path(path).open("rb") as file:
        return file.read(NOTE_BYTES_MAX + 1)


def _text(shown: Shown, event: dict[str, Any], *, anchored: bool) -> str:
    lines = [
        f"the proof holds: {event['type']} {event['event_id']}, recorded {event['recorded_at']} by {event['actor']},",
        f"is event {event['position']:,} of {event['origin']}, in the log of {shown.checkpoint.size:,} events "
        f"that {shown.checkpoint.log} has",
    ]
    if shown.other is not None:
        lines.append(f"that log and the one of {shown.other.size:,} events are one history")
    if anchored:
        lines.append("the log is the one of the checkpoint that was given")
    lines += [f"signed by {one.key}" for one in {one.key: one for one in shown.signed}.values()]
    lines += [f"co-signed by {one['name']} at {one['time']}" for one in map(signed_as_dict, shown.witnessed)]
    return "\n".join(lines)


def refuse_beside(proof: str | None, others: Sequence[str]) -> None:
    """Refuse options that say how to check a proof where there is none, and the other way round."""
    if others:
        with_or_without = "together with" if proof else "without"
        raise BadInput(
            f"{', '.join(others)} cannot be given {with_or_without} --proof",
            code="usage",
            hint="perfledger verify --help",
        )
