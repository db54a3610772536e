"""perfledger reseed policy: how many approvers a plan needs, and whose signatures count."""

from __future__ import annotations

from pathlib import Path

import click

from commands.cli.app import App, command
from commands.reseed.work.planning import policy_of
from ledger.errors import BadInput
from ledger.event import NewEvent
from ledger.events.reseeds import ReseedPolicyAdopted

APPROVALS_MAX = 10


@command("policy", reads=True)
@click.option("--approvals", type=click.IntRange(1, APPROVALS_MAX), help="How many distinct people must approve.")
@click.option(
    "--allowed-signers",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="OpenSSH allowed-signers file: approvals must be signed by someone listed there.",
)
@click.option("--reason", metavar="TEXT", default="", help="Why the policy changes.")
def policy(app: App, approvals: int | None, allowed_signers: str | None, reason: str) -> None:
    """Show the reseed policy, or adopt another for the plans made from now on."""
    ledger = app.ledger()
    if app.as_of or app.as_recorded:
        if approvals is not None or allowed_signers is not None:
            raise BadInput(
                "--as-of shows the policy of then; it cannot be adopted in the past",
                code="usage",
                hint="leave --as-of out to adopt a policy from now on",
            )
        with app.state(ledger) as state:
            rows = state.rows("SELECT event_id FROM events WHERE type = 'ReseedPolicyAdopted'")
        now = policy_of(ledger, known={row["event_id"] for row in rows})
    else:
        now = policy_of(ledger)
    if approvals is not None or allowed_signers is not None:
        digest = now.allowed_signers
        if allowed_signers is not None:
            data = Path(allowed_signers).read_bytes()
            if not any(line.strip() and not line.lstrip().startswith(b"#") for line in data.splitlines()):
                raise BadInput(
                    f"{allowed_signers} lists no signer; nothing was adopted",
                    code="no_signers",
                    hint="one line per person: NAME ssh-ed25519 AAAA...",
                )
            digest = ledger.evidence.put(data)
        ledger.append(
            [
                NewEvent(
                    stream="policy/reseed",
                    payload=ReseedPolicyAdopted(
                        approvals=approvals or now.approvals, allowed_signers=digest, reason=reason
                    ),
                )
            ]
        )
        now = policy_of(ledger)
    app.emit(
        {"approvals": now.approvals, "allowed_signers": now.allowed_signers or None},
        f"{now.approvals} approver(s) needed, "
        + (f"signed by those in allowed-signers {now.allowed_signers[:12]}" if now.allowed_signers else "unsigned"),
    )
