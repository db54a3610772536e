"""Which rules hold from when on: the adopted policies."""

from __future__ import annotations

from typing import Any

from ledger.event import EventPayload, event_type


@event_type()
class CiPolicyAdopted(EventPayload):
    """From here on the CI decisions follow this policy.

    digest: SHA-256 hex over the canonical JSON of `policy`, which is complete, defaults included.
    path: the file or shipped name it came from; sha256: the file's bytes in the evidence store.
    replaces: digest of the policy it takes over from, null for the first. reason: why, in a sentence.
    """

    name: str
    digest: str
    policy: dict[str, Any]
    path: str
    sha256: str
    reason: str
    replaces: str | None = None
