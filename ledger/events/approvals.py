"""Approvals of decisions that have no stream of their own: an apply of thresholds, a CI policy."""

from __future__ import annotations

from ledger.event import EventPayload, event_type


@event_type()
class ApprovalGiven(EventPayload):
    """Somebody approved exactly what this digest is of.

    act: `apply` or `ci-policy`; subject: the calibration, or `ci`. signature: SSH signature text, made in the
    namespace `perfledger-<act>` over the lines `perfledger <act> <subject>` and `plan <digest>`; empty: not signed.
    """

    act: str
    subject: str
    digest: str
    approver: str
    signature: str = ""
