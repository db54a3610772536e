"""perfledger verify: chains, segments and evidence; names the first bad event. With --proof: one event, offline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.cli import streams
from commands.cli.app import App, command
from ledger.errors import BadInput, Damaged
from ledger.layout import outside_ledger
from ledger.outside import shown
from ledger.outside.files import read_bytes

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from ledger.log.heads import Head
    from ledger.proofs.notes import Checkpoint


@dataclass(frozen=True)
class Asked:
    """What is verified, and against what."""

    remote: bool
    checkpoint: str | None
    write_checkpoint: str | None
    proof: str | None
    key: tuple[str, ...]
    witness: tuple[str, ...]


@command("verify", asks=Asked)
@click.option("--remote", is_flag=True, help="Also against the heads the remote has seen.")
@click.option(
    "--checkpoint",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Also against heads kept apart from the log, as --write-checkpoint wrote them, or a signed checkpoint.",
)
@click.option(
    "--write-checkpoint",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the verified heads to FILE; keep it outside the ledger.",
)
@click.option(
    "--proof",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Check only this proof that an event is in a log, as `prove` wrote it. Needs no ledger.",
)
@click.option(
    "--key",
    metavar="KEY",
    multiple=True,
    help="With --proof: a public key of the log, NAME+ID+KEY or a file of them. Default: what the logs here name.",
)
@click.option("--witness", metavar="KEY", multiple=True, help="With --proof: a witness that must have co-signed.")
def verify(app: App, asked: Asked) -> int:
    """Recompute every hash of every origin and every piece of evidence. Exit 7 when a rule is broken.

    \b
    With --proof: exit 0 when the event is in the log whose key is trusted, 1 when the proof does not hold,
    5 when it holds and nothing says whose it is.
    """
    from commands.ledger_commands.prove import check, refuse_beside

    if asked.proof:
        given = {"--remote": asked.remote, "--write-checkpoint": asked.write_checkpoint}
        refuse_beside(asked.proof, [name for name, value in given.items() if value])
        return check(app, asked.proof, asked.key, asked.witness, asked.checkpoint)
    refuse_beside(None, [name for name, value in (("--key", asked.key), ("--witness", asked.witness)) if value])
    return _ledger(app, asked)


def _ledger(app: App, asked: Asked) -> int:
    from ledger.verification.walk import verify as run

    ledger = app.ledger()
    if asked.write_checkpoint:
        outside_ledger(asked.write_checkpoint, ledger.path)
    known: dict[str, Head] = {}
    signed: Checkpoint | None = None
    if asked.checkpoint and (signed := _signed_checkpoint(asked.checkpoint)) is None:
        known.update(_read_checkpoint(asked.checkpoint))
    if asked.remote:
        from commands.ledger_commands.sync import remote_heads

        known.update(remote_heads(ledger))
    report = run(ledger, checkpoints=known)
    document: dict[str, Any] = {
        "ok": report.ok,
        "events": report.events,
        "segments": report.segments,
        "evidence": report.blobs,
        "origins": {o: {"position": h.position, "hash": h.hash} for o, h in report.heads.items()},
        "findings": [
            {"rule": f.rule, "origin": f.origin, "file": f.file, "position": f.position, "message": f.message}
            for f in report.findings
        ],
        "notes": report.notes,
    }
    for note in report.notes:
        app.note(f"note: {shown.terminal(note)}")
    if not report.ok:
        first = report.findings[0]
        if not app.as_json:
            for finding in report.findings:
                streams.say(shown.terminal(f"{finding.rule}: {finding.file}: {finding.message}"))
        raise Damaged(
            f"{len(report.findings)} broken rule(s); the first: {first.rule} in {first.file}: {first.message}",
            code="ledger_damaged",
            hint="restore the file from a copy, or `perfledger sync pull` from the remote",
            **document,
        )
    if signed is not None:
        _hold_against(ledger, signed)
    if asked.write_checkpoint:
        _write_checkpoint(asked.write_checkpoint, document["origins"])
    app.emit(
        document,
        f"ok: {report.events} events in {len(report.heads)} origin(s), {report.segments} segments, "
        f"{report.blobs} pieces of evidence",
    )
    return 0


def _signed_checkpoint(path: str) -> Checkpoint | None:
    """Return what a file says if it is a signed checkpoint, None if it is JSON."""
    from ledger.proofs import notes

    data = read_bytes(path)
    if data.lstrip()[:1] in (b"{", b"[", b""):
        return None
    try:
        return notes.parse_checkpoint(notes.parse_note(data).text)
    except BadInput as error:
        raise BadInput(f"{path}: {error.message}", code=error.code, hint=error.hint, file=path) from None


def _hold_against(ledger: Ledger, checkpoint: Checkpoint) -> None:
    """Compare a log with a checkpoint that whoever verifies believes, whoever signed it."""
    from ledger.proofs.tree import Tree

    origin = checkpoint.log.rpartition("/")[2]
    reach = ledger.head(origin).position if origin in ledger.origins() else 0
    if reach < checkpoint.size:
        why = f"it has {reach:,} events here, the checkpoint is of {checkpoint.size:,}"
    elif Tree(ledger.log_of(origin), checkpoint.size, []).root() != checkpoint.root:
        why = f"its first {checkpoint.size:,} events have another root"
    else:
        return
    raise Damaged(
        f"the log of {origin} is not the one of this checkpoint of {checkpoint.log}: {why}",
        code="not_the_log_of_checkpoint",
        hint="one of the two was cut off, rewritten or made for another log: compare it with a remote or another copy",
        origin=origin,
        size=checkpoint.size,
    )


def _read_checkpoint(path: str) -> dict[str, Head]:
    import msgspec

    from commands.intake.formats import json_text
    from ledger.log.heads import Head

    try:
        raw = json_text.decode(read_bytes(path))
        return {origin: Head(int(head["position"]), str(head["hash"])) for origin, head in raw["origins"].items()}
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadInput(
            f"{path} is not a checkpoint: {error}",
            code="bad_checkpoint",
            hint="perfledger verify --write-checkpoint FILE",
        ) from None


def _write_checkpoint(path: str, origins: dict[str, Any]) -> None:
    from ledger import canonical, disk

    disk.overwrite(Path(path).absolute(), canonical.encode({"origins": origins}) + b"\n")
