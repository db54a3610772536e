"""Facts about results: recorded, judged, and what an import found rewritten or gone."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from projections.facts.base import Fact, unique
from projections.facts.record import NAMES


class FactResult(Fact, table=True):
    """One recorded result. Metrics are in their own units (s, fps, MB).

    shared: the number of the row of `fact_result_shared` that says the rest.
    """

    __tablename__ = "fact_result"
    event_id: str = unique()
    target: str
    shared: int = Field(sa_type=BigInteger)
    instant: datetime | None
    commit_sha: str | None = unique()
    path: str = unique()
    sha256: str = unique()
    __annotations__.update(dict.fromkeys(NAMES, "float | None"))
    build_url: str | None


class FactResultShared(SQLModel, table=True):
    """What many results have in common: one row for each combination of it that some result has.

    A dimension, as a star schema has it: of a thousand results of one target all but a few say the same here, so a
    row per result would be most of the state and of the time to make it. `shared` is 63 bits of a hash of
    the other columns; it means nothing outside one state file.
    success is what the record's field means (missing: yes; the text "false": no), success_as_truth the older
    reading in which every text but the empty one is a yes. odd_timestamp: the record's timestamp where it is no time
    that parses. regression_thresholds, static_limits, unusable: JSON as recorded.
    """

    __tablename__ = "fact_result_shared"
    shared: int = Field(primary_key=True, sa_type=BigInteger)
    target: str
    identity_digest: str | None
    model_id: str
    gpu_type: str
    workload_id: str | None
    variant_id: str | None
    benchmark_version: str | None
    recipe_fingerprint: str | None
    hardware_profile_id: str | None
    software_profile_id: str | None
    claims_identity: bool
    source: str | None
    format: str
    success_as_truth: bool
    success: bool
    marked_eligible: bool
    run_source_claimed: bool
    run_source: str | None
    branch: str | None
    pr_number: str | None
    test_scope: str | None
    comparison_status: str | None
    seeded: bool
    regression_thresholds: str | None
    static_limits: str | None
    odd_timestamp: str | None
    unusable: str | None


class FactJudgement(Fact, table=True):
    """One verdict on one result."""

    __tablename__ = "fact_judgement"
    target: str
    result_event_id: str
    status: str
    reason: str
    baseline_status: str
    success: bool
    baseline_eligible: bool
    run_source: str
    window_length: int
    baseline_n: int
    policy_digest: str
    failing_metrics: str
    pinned_exceeded: str | None


class FactRecordChange(Fact, table=True):
    """A file of an imported history that changed (new_sha256) or vanished (null) since the import before."""

    __tablename__ = "fact_record_change"
    source: str
    path: str
    old_sha256: str
    new_sha256: str | None
