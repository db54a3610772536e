"""Results of benchmarks: recorded, judged, and what an import found changed at its source."""

from __future__ import annotations

from typing import Any

import msgspec

from ledger.event import EventPayload, Evidence, event_type


@event_type()
class ResultRecorded(EventPayload):
    """One normalized benchmark result became known, measured by us or brought in from a history.

    target: `MODEL@GPU`, or `identity:<first 12 hex>` for a record with the complete six-field identity.
    identity_digest: SHA-256 hex over the canonical JSON of the six identity fields as text; null without.
    record: the normalized record; measurements that are no finite numbers are null here, see `unusable`.
    unusable: field name to the reason why its value could not be kept (for example `NaN`).
    instant: the record's own timestamp as ISO 8601 UTC with microseconds; null when it has none that parses.
    path: where it came from, as the user named it; the second key of the baseline order.
    format: the adapter that read it: `raw`, `normalized`, `hf-tracking`, `calibration`, ...
    source: the history it belongs to (a root folder or dataset); null for a single file.
    sha256: digest of the original bytes in the evidence store.
    samples: the single measured values behind a metric, in run order, when the file has them.
    static_limits: the fixed limits the result carries itself, by their own names (`max_generation_time_s`).
    run_source_claimed: whether the original said where its run came from (`run_source` or `baseline_eligible`).
    """

    target: str
    record: dict[str, Any]
    path: str
    format: str
    sha256: Evidence
    instant: str | None = None
    identity_digest: str | None = None
    unusable: dict[str, str] = msgspec.field(default_factory=dict)
    source: str | None = None
    samples: dict[str, list[float]] = msgspec.field(default_factory=dict)
    static_limits: dict[str, float] = msgspec.field(default_factory=dict)
    run_source_claimed: bool = True


@event_type()
class ResultJudged(EventPayload):
    """One result was compared with its baseline; everything the verdict used is here.

    result_event_id: the judged `ResultRecorded`. window_event_ids: the baseline's results, oldest first.
    policy: the effective policy (limits per metric, window, rules), as data. metrics: per metric the same
    object as in `check --json` (fractions, not percents). pinned: the same against the pinned baseline, or null.
    nearest: medians of the nearest other cohort when the own cohort is empty, as information, or null.
    run_source: where the run came from, as judged. static_failures: the result's own fixed limits it breaches.
    run_failed_unexplained: the test run failed and no result of it breached a fixed limit.
    other_recipes: recipe fingerprints that trusted results of the same workload have instead.
    """

    target: str
    result_event_id: str
    status: str
    reason: str
    baseline_status: str
    success: bool
    baseline_eligible: bool
    window: int
    window_event_ids: list[str]
    policy: dict[str, Any]
    policy_digest: str
    metrics: dict[str, dict[str, Any]]
    failing_metrics: list[str]
    static_failures: list[dict[str, Any]] = msgspec.field(default_factory=list)
    pinned: dict[str, Any] | None = None
    nearest: dict[str, Any] | None = None
    run_source: str = "unknown"
    run_failed_unexplained: bool = False
    other_recipes: list[str] = msgspec.field(default_factory=list)


@event_type()
class RecordRewritten(EventPayload):
    """An import found other bytes at a path it had imported before; the new content is its own `ResultRecorded`."""

    source: str
    path: str
    old_sha256: Evidence
    new_sha256: Evidence


@event_type()
class RecordVanished(EventPayload):
    """An import no longer found a file it had imported before; the result stays, as history does."""

    source: str
    path: str
    sha256: Evidence
