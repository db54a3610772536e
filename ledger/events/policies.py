"""Which rules hold from when on: the adopted policies.

An adoption names the ones it replaces, so that what is in force does not rest on clocks: it is the one that replaced
the others. `replaces_events`: event ids of the adoptions of the same kind that nothing had replaced yet, as far as this
machine knew; empty for the first. `number`: one more than the highest it knew; it decides between adoptions that
replaced the same one on two machines. Those of schema version 1 name none (null, 0), and follow each other in recorded
order.
"""

from __future__ import annotations

from typing import Any

from ledger.event import EventPayload, Evidence, event_type


def _without_predecessor(body: dict[str, Any]) -> dict[str, Any]:
    """Schema version 1 named the digest of the policy before at most, which two adoptions can have."""
    return {**body, "replaces_events": None, "number": 0}


@event_type(schema_version=2, upcasters={1: _without_predecessor})
class CiPolicyAdopted(EventPayload):
    """From here on the CI decisions follow this policy.

    digest: SHA-256 hex over the canonical JSON of `policy`, which is complete, defaults included.
    path: the file or shipped name it came from; sha256: the file's bytes in the evidence store.
    globs: each path pattern with a `*` and the regular expression it means, so that SQL reads it as we do.
    replaces: digest of the policy it takes over from, null for the first; replaces_events: event ids of the adoptions
    it takes over from, empty for the first; number: one more than theirs, from 1. These two are null and 0 for an
    adoption of schema version 1. reason: why, in a sentence.
    """

    name: str
    digest: str
    policy: dict[str, Any]
    path: str
    sha256: Evidence
    reason: str
    globs: list[dict[str, str]]
    replaces: str | None = None
    replaces_events: list[str] | None = None
    number: int = 0


@event_type(schema_version=2, upcasters={1: _without_predecessor})
class MetricPolicyAdopted(EventPayload):
    """From here on results are judged by this metric policy, unless a command names another.

    policy: the whole policy as data, every limit and rule spelled out. digest: SHA-256 hex over its
    canonical JSON without the name. sha256: the policy file's original bytes in the evidence store.
    replaces_events: event ids of the adoptions it takes over from, empty for the first; number: one more than theirs,
    from 1. Null and 0 for an adoption of schema version 1.
    """

    name: str
    policy: dict[str, Any]
    digest: str
    sha256: str
    reason: str
    replaces_events: list[str] | None = None
    number: int = 0
