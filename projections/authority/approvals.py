"""The approvals of decisions that have no stream of their own, and whether they suffice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ledger.events.approvals import ApprovalGiven
from ledger.identity.signing import Signed
from projections.authority.in_force import Authority
from projections.authority.quorum import Given

if TYPE_CHECKING:
    from ledger.ledger import Ledger


def stream_of(what: Signed) -> str:
    """Return the stream of the approvals of a subject."""
    return f"approval/{what.act}/{what.subject}"


def given(ledger: Ledger, what: Signed) -> list[Given]:
    """Return the approvals of exactly this decision, of every machine."""
    found = []
    for event in ledger.read_stream(stream_of(what)):
        try:
            payload = event.typed()
        except msgspec.ValidationError:
            continue  # it is among the unread events
        if isinstance(payload, ApprovalGiven) and (payload.act, payload.subject, payload.digest) == (
            what.act,
            what.subject,
            what.digest,
        ):
            found.append(Given(payload.approver, payload.signature, event.event_id))
    return found


def approved(ledger: Ledger, authority: Authority, what: Signed) -> bool:
    """Whether a decision needs no approval here, or has enough."""
    if not authority.chain.covers(what.act):
        return True
    return all(one.enough for one in authority.count(what, given(ledger, what)))
