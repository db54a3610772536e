"""Facts about what left this machine: record files put into datasets, and pushes of the ledger itself."""

from __future__ import annotations

from projections.facts.base import Fact


class FactUpload(Fact, table=True):
    """A step of an upload. `step` is queued, started, uploaded or refused.

    A queued step has one row per record (`path`, `sha256`, `size` in bytes, `target`, `result_event_id`); the others
    have one row. A reseed's steps have one row per path. `revision` is a commit that holds the records; `code` and
    `message` say why one was refused.
    """

    __tablename__ = "fact_upload"

    upload_id: str
    step: str
    dataset: str | None = None
    path: str | None = None
    sha256: str | None = None
    size: int | None = None
    target: str | None = None
    result_event_id: str | None = None
    revision: str | None = None
    code: str | None = None
    message: str | None = None


class FactPush(Fact, table=True):
    """A push ended: `remote` holds this origin's events up to position `through`."""

    __tablename__ = "fact_push"

    remote: str
    through: int
    revision: str | None = None
    segments: int
    evidence: int
