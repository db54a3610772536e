"""What `doctor` says about the approval policy: pinned or not, rivals, changes that hold nowhere, an edited pin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from projections.authority import in_force
from projections.authority.policy import NONE

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from projections.authority.in_force import Authority

# state, message, the command that fixes it
Finding = tuple[str, str, str | None]


def findings(ledger: Ledger) -> Iterator[Finding]:
    """Yield what there is to say, the policy in force first. Raises `Refused` when the pinned file was changed."""
    authority = in_force.load(ledger)
    yield _in_force(authority)
    edited = _edited(ledger, authority)
    if edited:
        yield edited
    chain = authority.chain
    if chain.rivals:
        names = ", ".join(policy.digest[:12] for policy in chain.rivals)
        holds = " and ".join(policy.digest[:12] for policy in authority.policies)
        yield (
            "warn",
            f"{len(chain.rivals)} policies that nothing replaced, {names}: the stricter holds, {holds}",
            "perfledger reseed policy ... --sign-key KEY   # a new one replaces them all",
        )
    for one in chain.set_aside:
        yield "warn", f"policy {one.policy.digest[:12]} by {one.policy.actor} is not in force: {one.why}", None


def _in_force(authority: Authority) -> Finding:
    words = "; ".join(policy.summary() for policy in authority.policies)
    if authority.pin is not None:
        return "ok", f"{words}; pinned is {authority.pin.sha256[:12]}", None
    if authority.policies[0] is NONE:
        return "note", f"none adopted, not pinned: {words}", "perfledger reseed policy --allowed-signers FILE --pin"
    return "warn", f"policy not pinned: {words}", "perfledger reseed policy --pin"


def _edited(ledger: Ledger, authority: Authority) -> Finding | None:
    """Compare the pin with the last one that a command of this ledger recorded."""
    last = None
    for event in ledger.read_counted(origin=ledger.origin, types=["ReseedPolicyPinned"]):
        last = event.body()["digest"]
    pinned = authority.pin.sha256 if authority.pin else None
    if last == pinned:
        return None
    was = f"the last one that was pinned by command is {str(last)[:12]}" if last else "no command ever pinned it"
    return (
        "warn",
        f"ledger.toml was edited: it pins {pinned[:12] if pinned else 'nothing'}, and {was}",
        "perfledger reseed policy --pin   # if that is meant",
    )
