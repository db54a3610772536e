"""`ci receive`: a webhook payload stored in a file, as a CI service leaves it, becomes events."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import click

from commands.cli.app import App, command
from ledger.errors import BadInput

BYTES_MAX = 8 * 2**20


@command("receive")
@click.argument("file", metavar="FILE")
@click.option("--event", required=True, metavar="NAME", help="The event's name, for example pull_request.")
@click.option("--source", type=click.Choice(["github", "buildkite"]), default="github", show_default=True)
@click.option("--delivery", metavar="ID", help="The delivery's own id. Default: the digest of the content.")
def receive(app: App, file: str, event: str, source: str, delivery: str | None) -> None:
    """Record what a webhook payload says: in a GitHub Action, `ci receive "$GITHUB_EVENT_PATH" --event pull_request`.

    A payload that arrives twice is recorded once. Slash commands in a comment are decided at once. FILE may be -
    for stdin.
    """
    from commands.service import buildkite, github, reading
    from commands.service.desk import CommandDesk

    for option, name in (("--event", event), ("--delivery", "-" if delivery is None else delivery)):
        if not reading.is_name(name):
            raise BadInput(
                f"{option} is not 1 to 200 printable ASCII characters",
                code="bad_name",
                hint=f"{option} as the sender gives it",
            )
    body = sys.stdin.buffer.read(BYTES_MAX + 1) if file == "-" else Path(file).read_bytes()
    if len(body) > BYTES_MAX:
        raise BadInput(f"{file}: larger than {BYTES_MAX} bytes", code="body_too_large", hint="send less")
    digest = hashlib.sha256(body).hexdigest()
    read = (github if source == "github" else buildkite).read(event, body)
    ledger = app.ledger()
    new = reading.events(source, delivery or digest, event, body_sha256=digest, body_bytes=len(body), reading=read)
    receipts = ledger.append(new)
    CommandDesk().after(ledger, new)
    answers = [
        e.body()
        for e in ledger.read_counted(types=["CommandDecided"])
        if e.body()["comment_id"] in {getattr(n.payload, "comment_id", None) for n in new}
    ]
    duplicate = receipts[0].duplicate
    document = {
        "source": source,
        "event": event,
        "duplicate": duplicate,
        "understood": bool(read.facts),
        "event_ids": [receipt.event_id for receipt in receipts],
        "commands": answers,
    }
    said = "known already" if duplicate else f"{len(receipts)} events" if read.facts else "nothing the ledger keeps"
    app.emit(document, "\n".join([f"{source} {event}: {said}", *(row["answer"] for row in answers)]))
