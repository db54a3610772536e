"""perfledger reseed approve: exactly this plan, by its digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from commands.cli.app import App, command
from commands.reseed.work import signatures
from commands.reseed.work.approval import check_signature
from ledger.errors import Refused
from ledger.event import NewEvent
from ledger.events.reseeds import ReseedApproved
from projections.reseed import fold as decider

if TYPE_CHECKING:
    from ledger.ledger import Ledger

PHRASE = "confirm performance reseed"


@command("approve")
@click.argument("reseed_id", metavar="ID")
@click.option("--confirm", metavar="PHRASE", help=f'Exactly "{PHRASE}".')
@click.option("--sign-key", metavar="KEY", help="SSH key to sign the approval with, when the policy asks for it.")
def approve(app: App, reseed_id: str, confirm: str | None, sign_key: str | None) -> None:
    """Approve a plan. What is approved is the plan's digest: any other plan needs its own approval."""
    ledger = app.ledger()
    state = decider.load(ledger, reseed_id)
    give(app, ledger, state, confirm=confirm, sign_key=sign_key)
    after = decider.load(ledger, state.id)
    plan = after.needed()
    people = sorted({a.approver for a in after.approvals if a.digest == plan.digest})
    app.emit(
        {
            "id": after.id,
            "digest": plan.digest,
            "step": after.step,
            "approvers": people,
            "approvals_needed": plan.approvals_needed,
            "next": decider.next_step(after),
        },
        f"{ledger.actor} approved plan {plan.digest[:12]} ({len(people)} of {plan.approvals_needed})\n"
        f"next: {decider.next_step(after)}",
    )


def give(app: App, ledger: Ledger, state: decider.Reseed, *, confirm: str | None, sign_key: str | None) -> None:
    """Ask for the phrase, sign if the plan needs it, and record the approval."""
    from commands.reseed.show import plan_text

    decider.require(state, "approved", ("planned",))
    decider.require_whole(state)
    plan = state.needed()
    if ledger.actor in {a.approver for a in state.approvals if a.digest == plan.digest}:
        raise Refused(
            f"{ledger.actor} has approved this plan already; it needs {plan.approvals_needed} different people",
            code="approved_already",
            hint="another person: perfledger reseed approve " + state.id,
        )
    app.confirm(PHRASE, given=confirm, question=plan_text(plan))
    signature = ""
    if plan.allowed_signers:
        if sign_key:
            signature = signatures.sign(sign_key, state.id, plan.digest)
        check_signature(ledger, state, ledger.actor, signature)
    ledger.append(
        [
            NewEvent(
                stream=state.stream,
                causation_id=state.plan_event_id,
                payload=ReseedApproved(reseed=state.id, digest=plan.digest, approver=ledger.actor, signature=signature),
            )
        ],
        seen={state.stream: state.position},
    )
