"""perfledger reseed approve: exactly this plan, by its digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from commands.cli.app import App, command
from commands.reseed.work.approval import decision, given, require_known_policy
from commands.reseed.work.recording import record
from ledger.errors import Refused
from ledger.events.reseeds import ReseedApproved
from ledger.identity import names, signing
from ledger.identity.ssh_keys import signing_key
from projections.authority import in_force
from projections.authority.quorum import NOT_SIGNED, Counted, Given
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
    key = signing_key(after.approvals[-1].signature) if after.approvals else ""
    following = decider.next_step(after) if enough else decider.next_approval(after)
    app.emit(
        {
            "id": after.id,
            "digest": plan.digest,
            "step": after.step,
            "approvers": people,
            "approvals_needed": needed,
            "enough": enough,
            "signature": f"signed by {key}" if key else NOT_SIGNED,
            "key": key or None,
            "next": following,
        },
        f"{ledger.actor} approved plan {plan.digest[:12]}, {f'signed by {key}' if key else NOT_SIGNED} "
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
    before = authority.count(decision(state), given(state))
    _refuse_again(state, ledger.actor, before)
    app.confirm(PHRASE, given=confirm, question=plan_text(plan))
    signature = signing.sign(sign_key, decision(state)) if sign_key else ""
    own = Given(ledger.actor, signature)
    worth = authority.count(decision(state), [*given(state), own])
    whys = [why for one in worth for refused, why in one.refused if refused is own]
    if len(whys) == len(worth):
        raise _does_not_count(ledger.actor, signature, whys[0])
    approval = ReseedApproved(reseed=state.id, digest=plan.digest, approver=ledger.actor, signature=signature)
    after = record(ledger, state, approval)
    return after, authority.count(decision(after), given(after))


def _refuse_again(state: decider.Reseed, actor: str, counted: list[Counted]) -> None:
    plain = names.normal(actor)
    if all(any(names.normal(name) == plain for name, _ in one.people) for one in counted):
        needed = max(one.policy.needed for one in counted)
        raise Refused(
            f"{actor} has approved this plan already; it needs {needed} distinct approver(s)",
            code="approved_already",
            hint=decider.next_approval(state),
        )


def _does_not_count(actor: str, signature: str, why: str) -> Refused:
    if not signature:
        return Refused(
            f"the policy in force asks for a signed approval, and that of {actor} is not signed; nothing was recorded",
            code="signature_missing",
            hint="perfledger reseed approve ID --sign-key KEY --confirm ...",
        )
    return Refused(
        f"the approval of {actor} would not count: {why}; nothing was recorded",
        code="signature_wrong",
        hint="sign with the key listed in the allowed signers under exactly this name (--actor), each person one key",
    )
