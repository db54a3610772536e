"""`ci report`: the state of one context of one commit becomes an event."""

from __future__ import annotations

from dataclasses import dataclass

import click

from commands.ci.work import names
from commands.cli.app import App, command
from commands.cli.numbers import Whole
from ledger.event import NewEvent


@dataclass(frozen=True)
class Asked:
    """What the options of `report` say."""

    sha: str
    context: str
    state: str
    description: str
    url: str | None
    at: str | None
    remote_id: int
    repository: str | None


@command("report", asks=Asked)
@click.option("--sha", required=True, metavar="SHA", help="The commit.")
@click.option("--context", required=True, metavar="NAME", help="The status context, for example pre-commit.")
@click.option(
    "--state", required=True, metavar="STATE", help="success, failure, error, pending, cancelled, neutral or skipped."
)
@click.option("--description", default="", metavar="TEXT", help="One line for people.")
@click.option("--url", metavar="URL", help="A page with details.")
@click.option("--at", metavar="TIME", help="When it came to be (ISO 8601). Default: now.")
@click.option(
    "--id",
    "remote_id",
    type=Whole(0),
    default=0,
    metavar="N",
    help="The reporter's own rising number: of two reports with one time the larger counts.",
)
@click.option("--repository", metavar="OWNER/NAME", help="The repository the commit is in.")
def report(app: App, asked: Asked) -> None:
    """Record the state of one context of one commit. The latest state by time counts, for that commit only."""
    from ledger.errors import BadInput
    from ledger.events.checks import CheckReported
    from ledger.identifiers import format_time, parse_time

    if not asked.context.strip() or len(asked.context) > 255:
        raise BadInput("--context must be 1 to 255 characters", code="bad_context", hint="--context pre-commit")
    payload = CheckReported(
        sha=names.commit(asked.sha),
        context=asked.context.strip(),
        state=names.state(asked.state),
        description=asked.description,
        target_url=asked.url,
        reported_at=format_time(parse_time(asked.at)) if asked.at else None,
        remote_id=asked.remote_id,
        repository=names.repository(asked.repository) if asked.repository else None,
        conclusion=asked.state,
    )
    receipt = app.ledger().append([NewEvent(stream=f"check/{payload.sha}", payload=payload)])[0]
    app.emit(
        {
            "event_id": receipt.event_id,
            "sha": payload.sha,
            "context": payload.context,
            "state": payload.state,
            "recorded_at": receipt.recorded_at,
        },
        f"{payload.context} is {payload.state} for {payload.sha[:12]} ({receipt.event_id})",
    )
