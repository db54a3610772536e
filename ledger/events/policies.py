"""Which rules hold from when on: the adopted policies."""

from __future__ import annotations

from typing import Any

from ledger.event import EventPayload, Evidence, event_type


@event_type()
class CiPolicyAdopted(EventPayload):
    """From here on the CI decisions follow this policy.

    digest: SHA-256 hex over the canonical JSON of `policy`, which is complete, defaults included.
    path: the file or shipped name it came from; sha256: the file's bytes in the evidence store.
    globs: each path pattern with a `*` and the regular expression it means, so that SQL reads it as we do.
    replaces: digest of the policy it takes over from, null for the first. reason: why, in a sentence.
    """

    name: str
    digest: str
    policy: dict[str, Any]
    path: str
    sha256: Evidence
    reason: str
    globs: list[dict[str, str]]
    replaces: str | None = None


@event_type()
class MetricPolicyAdopted(EventPayload):
    """From here on results are judged by this metric policy, unless a command names another.

    policy: the whole policy as data, every limit and rule spelled out. digest: SHA-256 hex over its
    canonical JSON without the name. sha256: the policy file's original bytes in the evidence store.
    """

    name: str
    policy: dict[str, Any]
    digest: str
    sha256: str
    reason: str
