"""perfledger reseed policy: how many approvers a decision needs, and whose signatures count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from commands.cli.app import App, command
from commands.reseed.work.approval import signers_digest
from commands.reseed.work.policy_change import Asked, carry_out, terms, to_endorse
from ledger.errors import BadInput
from ledger.outside import shown
from projections.authority import in_force
from projections.authority.policy import ACTS, APPROVALS_MAX, NONE, as_json

if TYPE_CHECKING:
    from projections.authority.in_force import Authority

PHRASE = "endorse this policy"


@command("policy", asks=Asked, reads=True)
@click.option("--approvals", type=click.IntRange(1, APPROVALS_MAX), help="How many distinct approvers are needed.")
@click.option(
    "--allowed-signers",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="OpenSSH allowed-signers file: approvals must be signed by someone listed there.",
)
@click.option("--covers", type=click.Choice(ACTS), multiple=True, help="What needs approval (repeatable).")
@click.option("--reason", metavar="TEXT", default="", help="Why the policy changes.")
@click.option("--sign-key", metavar="KEY", help="SSH key to sign the change with, as the policy before it asks.")
@click.option("--endorse", metavar="DIGEST", help="Agree to a change that somebody else adopted.")
@click.option("--confirm", metavar="PHRASE", help=f'Exactly "{PHRASE}", with --endorse.')
@click.option(
    "--pin",
    metavar="[FILE|DIGEST]",
    is_flag=False,
    flag_value="",
    help="Name the policy in ledger.toml, with its digest: only what its own signers signed replaces it.",
)
def policy(app: App, asked: Asked) -> None:
    """Show who may approve, or adopt, endorse or pin another policy.

    A policy with allowed signers is replaced when as many of them signed the new one as it asks for.
    """
    ledger = app.ledger()
    past = bool(app.as_of or app.as_recorded)
    if past and asked.writes:
        raise BadInput(
            "--as-of shows the policy of then; it cannot be adopted in the past",
            code="usage",
            hint="leave --as-of out to adopt a policy from now on",
        )
    if (
        asked.writes
        and sum((asked.changes, asked.endorse is not None, asked.pin is not None and not asked.changes)) > 1
    ):
        raise BadInput("one of a change, --endorse and --pin at a time", code="usage", hint="run it once for each")
    if asked.endorse is not None:
        app.confirm(PHRASE, given=asked.confirm, question=terms(to_endorse(ledger, asked.endorse)))
    changed = carry_out(ledger, asked) if asked.writes else None
    known = None
    if past:
        with app.state(ledger) as state:
            rows = state.rows(
                "SELECT event_id FROM events WHERE type IN ('ReseedPolicyAdopted', 'ReseedPolicyEndorsed')"
            )
        known = {row["event_id"] for row in rows}
    authority = in_force.load(ledger, known=known)
    app.emit(_document(authority, changed), lambda: shown.text_of(_lines(authority, changed)))


def _document(authority: Authority, changed: str | None) -> dict[str, Any]:
    first = authority.policies[0]
    return {
        "approvals": max(policy.needed for policy in authority.policies),
        "allowed_signers": signers_digest(first.document.allowed_signers) or None,
        "pinned": authority.pin is not None,
        "pin": {"file": authority.pin.file, "sha256": authority.pin.sha256} if authority.pin else None,
        "policies": [as_json(policy) for policy in authority.policies if policy is not NONE],
        "rivals": [policy.digest for policy in authority.chain.rivals],
        "not_in_force": [{**as_json(one.policy), "why": one.why} for one in authority.chain.set_aside],
        "changed": changed,
        "in_force": changed is None or changed in authority.chain.known,
    }


def _lines(authority: Authority, changed: str | None) -> list[str]:
    lines = []
    for policy in authority.policies:
        digest = signers_digest(policy.document.allowed_signers)
        by = f"signed by those in allowed-signers {digest[:12]}" if digest else "not signed"
        lines.append(f"{policy.needed} approver(s) needed, {by}, for {', '.join(policy.document.covers)}")
        if policy is not NONE:
            lines.append(f"  policy {policy.digest}")
    pin = authority.pin
    lines.append(f"pinned in ledger.toml: {pin.sha256} ({pin.file})" if pin else "policy not pinned")
    if authority.chain.rivals:
        lines.append("several policies that nothing replaced: " + ", ".join(p.digest for p in authority.chain.rivals))
    for one in authority.chain.set_aside:
        lines.append(f"not in force: {one.policy.digest} by {one.policy.actor} ({one.policy.summary()}): {one.why}")
    if changed is not None and changed not in authority.chain.known:
        others = f'--endorse {changed} --sign-key KEY --confirm "{PHRASE}"'
        lines.append(f"next: perfledger reseed policy {others}   (by the others it needs)")
    return lines
