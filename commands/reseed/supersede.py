"""perfledger reseed supersede: take a bad seed back by a reviewed corrective one."""

from __future__ import annotations

import click

from commands.cli.app import App, command
from commands.intake.formats.measured import parse_object
from commands.reseed.plan import default_tolerance, one_line
from commands.reseed.work import history, planning
from commands.reseed.work import sources as source_files
from commands.reseed.work.sources import Source
from ledger.errors import Refused
from projections.reseed import fold as decider


@command("supersede")
@click.argument("reseed_id", metavar="ID")
@click.option("--reason", metavar="TEXT", required=True, help="What was wrong with the seed, in one line.")
@click.option(
    "--source",
    "sources",
    metavar="FILE|URL",
    multiple=True,
    help="Seed from these instead of the records the baseline rested on before.",
)
def supersede(app: App, reseed_id: str, reason: str, sources: tuple[str, ...]) -> None:
    """Plan a corrective reseed. History stays as it is: new seeds bring the medians back, by default those of the
    records the baseline rested on before. Approve, prepare and upload it like any other; from then on the bad
    seeds no longer count here either."""
    from commands.reseed.show import plan_json, plan_text

    ledger = app.ledger()
    state = decider.load(ledger, reseed_id)
    decider.require(state, "superseded", "ReseedSuperseded")
    bad = state.needed()
    if sources:
        found = source_files.read(sources)
    else:
        found = [
            Source(w.path, data, parse_object(data, settled=True))
            for w, data in ((w, ledger.evidence.get(w.sha256)) for w in bad.window)
        ]
    if not found:
        raise Refused(
            f"reseed {state.id} was a first seed: there is no baseline to go back to",
            code="nothing_to_go_back_to",
            hint="give good results with --source",
        )
    why = one_line("--reason", reason)
    request = planning.Request(
        model=bad.model_id,
        gpu=bad.gpu_type,
        reason=why,
        tolerance=default_tolerance(),
        supersedes=state.id,
        as_they_were=not sources,
    )
    plan = planning.make(ledger, request, found, history.sync(ledger, bad.dataset))
    app.emit(plan_json(plan), lambda: plan_text(plan))
