"""perfledger reseed approve: exactly this plan, by its digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from commands.cli.app import App, command
from commands.ledger_commands.approving import refuse_again, shown, sign_own
from commands.reseed.work.approval import decision, given, require_known_policy
from commands.reseed.work.recording import record
from ledger.events.reseeds import ReseedApproved
from ledger.identity import names
from ledger.identity.ssh_keys import signing_key
from projections.authority import in_force
from projections.authority.quorum import Counted
from projections.reseed import fold as decider

if TYPE_CHECKING:
    from ledger.ledger import Ledger

PHRASE = "confirm performance reseed"


@command("approve")
@click.argument("reseed_id", metavar="ID")
@click.option("--confirm", metavar="PHRASE", help=f'Exactly "{PHRASE}".')
@click.option(
    "--sign-key", metavar="KEY", help="SSH key to sign the approval with; needed where the policy asks for it."
)
def approve(app: App, reseed_id: str, confirm: str | None, sign_key: str | None) -> None:
    """Approve a plan. What is approved is the plan's digest: any other plan needs its own approval."""
    ledger = app.ledger()
    state = decider.load(ledger, reseed_id)
    after, counted = give(app, ledger, state, confirm=confirm, sign_key=sign_key)
    plan = after.needed()
    enough = all(one.enough for one in counted)
    needed = max(one.policy.needed for one in counted)
    people = sorted({name for one in counted for name, _ in one.people})
    signature = after.approvals[-1].signature if after.approvals else ""
    key, signed = signing_key(signature), shown(signature)
    following = decider.next_step(after) if enough else decider.next_approval(after)
    app.emit(
        {
            "id": after.id,
            "digest": plan.digest,
            "step": after.step,
            "approvers": people,
            "approvals_needed": needed,
            "enough": enough,
            "signature": signed,
            "key": key or None,
            "next": following,
        },
        f"{ledger.actor} approved plan {plan.digest[:12]}, {signed} "
        f"({min(len(one.people) for one in counted)} of {needed})\nnext: {following}",
    )


def give(
    app: App, ledger: Ledger, state: decider.Reseed, *, confirm: str | None, sign_key: str | None
) -> tuple[decider.Reseed, list[Counted]]:
    """Ask for the phrase, sign with a key, and record the approval.

    Return the reseed after it, and what its approvals are worth. An approval that would not count under any policy in
    force is refused.
    """
    from commands.reseed.show import plan_text

    decider.require(state, "approved", "ReseedApproved")
    decider.require_whole(state)
    names.checked(ledger.actor, what="approver's name")
    plan = state.needed()
    authority = in_force.load(ledger)
    require_known_policy(authority, plan)
    before = given(state)
    refuse_again(authority.count(decision(state), before), ledger.actor, hint=decider.next_approval(state))
    app.confirm(PHRASE, given=confirm, question=plan_text(plan))
    own = sign_own(authority, decision(state), before, actor=ledger.actor, sign_key=sign_key)
    approval = ReseedApproved(reseed=state.id, digest=plan.digest, approver=ledger.actor, signature=own.signature)
    after = record(ledger, state, approval)
    return after, authority.count(decision(after), given(after))
