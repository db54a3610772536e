"""The reseed stream: moving a baseline on purpose, from the plan to the cleaned-up folders.

Everything a reseed finds out is an event before anything depends on it, so that a reseed killed anywhere goes on
from its last event.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ledger.event import EventPayload, Evidence, event_type

Medians = dict[str, float | None]


def _policy_v1(payload: dict[str, Any]) -> dict[str, Any]:
    return {**payload, "covers": ["reseed"], "lineage": "", "replaces": None, "settles": []}


def _started_v1(payload: dict[str, Any]) -> dict[str, Any]:
    return {**payload, "policies": [], "pinned": False, "approved_by": []}


@event_type(schema_version=2, upcasters={1: _policy_v1})
class ReseedPolicyAdopted(EventPayload):
    """A policy of approvals was adopted: so many distinct approvers, with signatures when allowed_signers is given.

    Whether it is in force is another matter: that needs a pin, or the signatures of the policy that it replaces.
    allowed_signers: the bytes of an OpenSSH allowed-signers file, as evidence; empty: approvals are not signed.
    covers: the acts that need approval, `reseed`, `apply`, `ci-policy`. lineage: random, made with the first policy and
    kept. replaces: digest of the policy it replaces, null for the first; settles: those of others that replaced the
    same one. A policy's digest is the SHA-256 over the canonical JSON of all fields, with the text of allowed_signers.
    """

    approvals: int
    allowed_signers: Evidence = ""
    reason: str = ""
    covers: list[str] = msgspec.field(default_factory=lambda: ["reseed"])
    lineage: str = ""
    replaces: str | None = None
    settles: list[str] = []


@event_type()
class ReseedPolicyEndorsed(EventPayload):
    """Somebody of the policy in force agreed to the one with this digest. signature: SSH signature text, or empty."""

    digest: str
    approver: str
    signature: str = ""


@event_type()
class ReseedPolicyPinned(EventPayload):
    """`ledger.toml` names this policy from now on. before: digest of the one it named until then, null for none."""

    digest: str
    before: str | None
    file: str


class ApprovedBy(EventPayload):
    """An approver whose approval counted. key: fingerprint of the SSH key that signed it; empty: not signed."""

    approver: str
    key: str


class SeedSource(EventPayload):
    """A result a seed is made from. index counts from 1 in timestamp order; metrics are its measurements."""

    index: int
    path: str
    sha256: Evidence
    timestamp: str
    success: bool
    status: str
    metrics: Medians


class PreparedSeed(EventPayload):
    """A record as it will stand in the dataset: its path there and its exact bytes, as evidence."""

    path: str
    sha256: Evidence
    source_sha256: Evidence


class BackedUp(EventPayload):
    """A record of the target as the dataset held it at the plan."""

    path: str
    sha256: Evidence


@event_type()
class SourceValidated(EventPayload):
    """A source result was read, found to be of the reseed's target, and kept as evidence."""

    reseed: str
    path: str
    sha256: Evidence
    target: str


@event_type()
class SourceDropped(EventPayload):
    """A source was left out of the batch on purpose, with the reviewed reason."""

    reseed: str
    path: str
    sha256: Evidence
    reason: str


@event_type()
class BackupTaken(EventPayload):
    """The target's records were copied before anything moves: as evidence, and as a folder for people.

    revision: the dataset's commit they were read at. folder: on this machine; empty for a first seed.
    """

    reseed: str
    dataset: str
    revision: str
    folder: str
    records: list[BackedUp]


class OtherReaders(EventPayload):
    """What the dataset's other readers, its performance CI, would take: as in `ReseedPlanned`, by their own rules."""

    old: Medians
    candidate: Medians
    will_move_median: dict[str, Medians]
    window: list[BackedUp]


def _planned_v1(payload: dict[str, Any]) -> dict[str, Any]:
    return {**payload, "policies": []}


@event_type(schema_version=2, upcasters={1: _planned_v1})
class ReseedPlanned(EventPayload):
    """What will be done, whole: an approval names the digest of this.

    digest: SHA-256 over the canonical JSON of this payload without `digest`. kind: `reseed`, `first_seed` or
    `corrective`. old, batch, candidate: medians per metric before, of the sources alone, and of the window after.
    spread: per metric the worst regression of a source against the batch median, a fraction.
    old and candidate are what `check` compares with. will_move_median: the medians after 1 to 5 seeds (the window's
    length), those beyond the sources taken at the batch medians. window: paths and digests of the records the old
    medians rest on. violations: fixed limits the batch medians still breach. readers: the same numbers for the
    dataset's other readers where theirs differ, else null. policies: digests of the approval policies in force at the
    plan. approvals_needed and allowed_signers are what they ask for, for readers: an upload asks the policy in force.
    """

    reseed: str
    digest: str
    kind: str
    target: str
    model_id: str
    gpu_type: str
    identity: dict[str, str] | None
    reason: str
    tolerance: float
    dataset: str
    revision: str
    sources: list[SeedSource]
    old: Medians
    batch: Medians
    candidate: Medians
    spread: Medians
    old_count: int
    window: list[BackedUp]
    will_move_median: dict[str, Medians]
    destination: list[str]
    prepared: list[PreparedSeed]
    backup: str
    approvals_needed: int
    allowed_signers: Evidence = ""
    supersedes: str | None = None
    violations: list[dict[str, Any]] = []
    warnings: list[str] = []
    readers: OtherReaders | None = None
    policies: list[str] = []


@event_type()
class ReseedApproved(EventPayload):
    """Somebody approved exactly the plan with this digest. signature: SSH signature text; empty when unsigned."""

    reseed: str
    digest: str
    approver: str
    signature: str = ""


@event_type()
class RecordsPrepared(EventPayload):
    """The seed records were written to the staging folder, byte for byte as planned."""

    reseed: str
    digest: str
    folder: str
    paths: list[str]


@event_type(schema_version=2, upcasters={1: _started_v1})
class ReseedUploadStarted(EventPayload):
    """A commit of these paths is about to be sent on top of `parent`; the window was looked at there.

    policies: digests of the approval policies in force, pinned: whether by a pin; approved_by: who counted.
    """

    reseed: str
    dataset: str
    parent: str
    paths: list[str]
    policies: list[str] = []
    pinned: bool = False
    approved_by: list[ApprovedBy] = []


@event_type()
class ReseedUploaded(EventPayload):
    """A look at the dataset showed every seed there with the prepared bytes, and the medians they give now."""

    reseed: str
    dataset: str
    revision: str
    parent: str | None
    written: list[str]
    already: list[str]
    medians: Medians


@event_type()
class ReseedCleanedUp(EventPayload):
    """Folders this reseed had created were removed."""

    reseed: str
    folders: list[str]


@event_type()
class ReseedAborted(EventPayload):
    """The reseed was given up; what it left on disk stays where it is."""

    reseed: str
    reason: str
    left: list[str]


@event_type()
class ReseedSuperseded(EventPayload):
    """The seeds of a reseed no longer count: a corrective one took their place. paths: the seeds' paths."""

    reseed: str
    by: str
    reason: str
    dataset: str
    paths: list[str]
