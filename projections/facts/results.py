"""Facts about results: recorded, judged, and what an import found rewritten or gone."""

from __future__ import annotations

from datetime import datetime

from projections.facts.base import Fact


class FactResult(Fact, table=True):
    """One recorded result. Metrics are in their own units (s, fps, MB).

    success is what the record's field means (missing: yes; the text "false": no), success_as_truth the older
    reading in which every text but the empty one is a yes. odd_timestamp: the record's timestamp where it is no
    time that parses.
    regression_thresholds, static_limits, unusable: JSON as recorded.
    """

    __tablename__ = "fact_result"
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
    instant: datetime | None
    commit_sha: str | None
    path: str
    source: str | None
    format: str
    sha256: str
    odd_timestamp: str | None
    latency: float | None
    throughput: float | None
    memory: float | None
    text_encoder_time_s: float | None
    dit_time_s: float | None
    vae_decode_time_s: float | None
    success_as_truth: bool
    success: bool
    marked_eligible: bool
    run_source_claimed: bool
    run_source: str | None
    branch: str | None
    pr_number: str | None
    test_scope: str | None
    build_url: str | None
    comparison_status: str | None
    seeded: bool
    regression_thresholds: str | None
    static_limits: str | None
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
