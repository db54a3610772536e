"""perfledger reseed approve: exactly this plan, by its digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from commands.cli.app import App, command
from commands.reseed.work import signatures
from commands.reseed.work.approval import check_signature
from commands.reseed.work.recording import record
from ledger.errors import Refused
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
    after = give(app, ledger, state, confirm=confirm, sign_key=sign_key)
    plan = after.needed()
    people = after.approvers
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


def give(
    app: App, ledger: Ledger, state: decider.Reseed, *, confirm: str | None, sign_key: str | None
) -> decider.Reseed:
    """Ask for the phrase, sign if the plan needs it, and record the approval; return the reseed after it."""
    from commands.reseed.show import plan_text

    decider.require(state, "approved", "ReseedApproved")
    decider.require_whole(state)
    plan = state.needed()
    if ledger.actor in state.approvers:
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
    approval = ReseedApproved(reseed=state.id, digest=plan.digest, approver=ledger.actor, signature=signature)
    return record(ledger, state, approval)
