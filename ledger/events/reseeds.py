"""The reseed stream: moving a baseline on purpose, from the plan to the cleaned-up folders.

Everything a reseed finds out is an event before anything depends on it, so that a reseed killed anywhere goes on
from its last event.
"""

from __future__ import annotations

from typing import Any

from ledger.event import EventPayload, Evidence, event_type

Medians = dict[str, float | None]


@event_type()
class ReseedPolicyAdopted(EventPayload):
    """From now on plans need this many distinct approvers, and signatures when allowed_signers is given.

    allowed_signers: the bytes of an OpenSSH allowed-signers file, as evidence; empty: approvals are not signed.
    """

    approvals: int
    allowed_signers: Evidence = ""
    reason: str = ""


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


@event_type()
class ReseedPlanned(EventPayload):
    """What will be done, whole: an approval names the digest of this.

    digest: SHA-256 over the canonical JSON of this payload without `digest`. kind: `reseed`, `first_seed` or
    `corrective`. old, batch, candidate: medians per metric before, of the sources alone, and of the window after.
    spread: per metric the worst regression of a source against the batch median, a fraction.
    old and candidate are what `check` compares with. will_move_median: the medians after 1 to 5 seeds (the window's
    length), those beyond the sources taken at the batch medians. window: paths and digests of the records the old
    medians rest on. violations: fixed limits the batch medians still breach. readers: the same numbers for the
    dataset's other readers where theirs differ, else null.
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


@event_type()
class ReseedUploadStarted(EventPayload):
    """A commit of these paths is about to be sent on top of `parent`; the window was looked at there."""

    reseed: str
    dataset: str
    parent: str
    paths: list[str]


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
