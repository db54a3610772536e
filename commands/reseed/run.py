"""perfledger reseed run: the whole workflow at a terminal; picks up where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from commands.cli.app import App, command
from commands.reseed.plan import Options, asked, make_plan, plan_options
from ledger.errors import Refused
from projections.reseed import fold as decider

if TYPE_CHECKING:
    from ledger.ledger import Ledger


@command("run")
@plan_options
@click.option("--resume", metavar="ID", help="Go on with this reseed.")
@click.option("--sign-key", metavar="KEY", help="SSH key for the approval.")
@click.option(
    "--confirm",
    "phrases",
    metavar="PHRASE",
    multiple=True,
    help="The phrases in order, instead of typing them (repeatable).",
)
@click.option(
    "--dry-run", is_flag=True, help="Show the plan and exactly what would be uploaded; record, write and send nothing."
)
def run(
    app: App, resume: str | None, sign_key: str | None, phrases: tuple[str, ...], dry_run: bool, **options: Any
) -> None:
    """Plan, approve, prepare, upload and clean up, asking at every gate.

    Interrupted anywhere, `reseed run --resume ID` goes on from the last thing that is certain.
    """
    from commands.reseed import approve, cleanup, upload
    from commands.reseed.work.own_folders import kept_lines
    from commands.reseed.work.staging import write
    from commands.reseed.work.upload_text import report, report_text

    ledger = app.ledger()
    if dry_run:
        app.emit(*_preview(app, ledger, resume, options))
        return
    given = list(phrases)

    def phrase() -> str | None:
        return given.pop(0) if given else None

    if resume is None:
        plan = make_plan(app, ledger, Options.of(options))
        app.note(f"reseed {plan.reseed} is planned; to go on later: perfledger reseed run --resume {plan.reseed}")
        state = decider.load(ledger, plan.reseed)
    else:
        state = decider.load(ledger, resume)
    if state.step == "planned":
        state, counted = approve.give(app, ledger, state, confirm=phrase(), sign_key=sign_key)
        if not all(one.enough for one in counted):
            raise Refused(
                f"reseed {state.id} needs another approver", code="not_approved", hint=decider.next_approval(state)
            )
    if state.step == "approved":
        state = write(ledger, state)
        app.note(f"prepared in {state.prepared.folder if state.prepared else ''}")
    told: dict[str, Any] = {"id": state.id}
    kept: dict[str, list[str]] = {}
    text = ""
    if state.step in ("prepared", "uploading"):
        done = upload.send(app, ledger, state, confirm=phrase())
        state, told, text = done.state, report(done), report_text(done)
        app.note(text)
    if state.step == "uploaded":
        _, kept = cleanup.remove(app, ledger, state, confirm=phrase())
        state = decider.load(ledger, state.id)
    app.emit(
        {**told, "kept": kept, "step": state.step},
        "\n".join([*kept_lines(kept), f"reseed {state.id} is {state.step}"]),
    )


def _preview(app: App, ledger: Ledger, resume: str | None, options: dict[str, Any]) -> tuple[dict[str, Any], str]:
    from commands.reseed import preview
    from commands.reseed.work import planning

    if resume is not None:
        return preview.of_run(ledger, decider.load(ledger, resume))
    return preview.of_draft(planning.draft(ledger, *asked(app, ledger, Options.of(options))))
