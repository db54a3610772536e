"""perfledger verify: chains, segments and evidence; names the first bad event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from commands.cli import streams
from commands.cli.app import App, command
from ledger.errors import BadInput, Damaged
from ledger.layout import outside_ledger

if TYPE_CHECKING:
    from ledger.log.heads import Head


@command("verify")
@click.option("--remote", is_flag=True, help="Also against the heads the remote has seen.")
@click.option(
    "--checkpoint",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Also against heads kept apart from the log, as --write-checkpoint wrote them.",
)
@click.option(
    "--write-checkpoint",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the verified heads to FILE; keep it outside the ledger.",
)
def verify(app: App, remote: bool, checkpoint: str | None, write_checkpoint: str | None) -> int:
    """Recompute every hash of every origin and every piece of evidence. Exit 7 when a rule is broken."""
    from ledger.verification.walk import verify as run

    ledger = app.ledger()
    if write_checkpoint:
        outside_ledger(write_checkpoint, ledger.path)
    known: dict[str, Head] = {}
    if checkpoint:
        known.update(_read_checkpoint(checkpoint))
    if remote:
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
        app.note(f"note: {note}")
    if not report.ok:
        first = report.findings[0]
        if not app.as_json:
            for finding in report.findings:
                streams.say(f"{finding.rule}: {finding.file}: {finding.message}")
        raise Damaged(
            f"{len(report.findings)} broken rule(s); the first: {first.rule} in {first.file}: {first.message}",
            code="ledger_damaged",
            hint="restore the file from a copy, or `perfledger sync pull` from the remote",
            **document,
        )
    if write_checkpoint:
        _write_checkpoint(write_checkpoint, document["origins"])
    app.emit(
        document,
        f"ok: {report.events} events in {len(report.heads)} origin(s), {report.segments} segments, "
        f"{report.blobs} pieces of evidence",
    )
    return 0


def _read_checkpoint(path: str) -> dict[str, Head]:
    from pathlib import Path

    import msgspec

    from commands.intake.formats import json_text
    from ledger.log.heads import Head

    try:
        raw = json_text.decode(Path(path).read_bytes())
        return {origin: Head(int(head["position"]), str(head["hash"])) for origin, head in raw["origins"].items()}
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(
            f"{path} is not a checkpoint: {error}",
            code="bad_checkpoint",
            hint="perfledger verify --write-checkpoint FILE",
        ) from None


def _write_checkpoint(path: str, origins: dict[str, Any]) -> None:
    from pathlib import Path

    from ledger import canonical, disk

    disk.overwrite(Path(path).absolute(), canonical.encode({"origins": origins}) + b"\n")
