"""Seed records: a new record per source, never a copy, with fresh times and where it came from.

Which fields a seed carries is learned from the records the dataset already has of the target; a dataset's readers
see a seed through its normal fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from commands.reseed.work.sources import Source
from projections.results.identity import IDENTITY_FIELDS
from projections.results.record_shape import METRICS, parse_instant, sanitize

PREFIX = "baseline_reseed"
FIRST_PREFIX = "baseline_seed"
DEFAULT_FIELDS = (
    "model_id",
    "timestamp",
    "commit_sha",
    "gpu_type",
    *METRICS,
    "success",
    "baseline_eligible",
    "comparison_status",
)
IDENTITY_EXTRAS = (
    "result_schema_version",
    *IDENTITY_FIELDS,
    "recipe",
    "hardware_profile",
    "software_profile",
    "software_comparison_profile",
)
FIRST_SEED_REASON = "Seeded as the first approved baseline of this identity"


@dataclass(frozen=True)
class Batch:
    """What every seed of a batch says about the batch."""

    reason: str
    operator: str
    tolerance: float
    first: bool
    identity: bool
    supersedes: str | None = None


def allowed_fields(history: Sequence[Mapping[str, Any]], *, identity: bool) -> set[str]:
    """Return the fields a seed may take from its source: those the target's records have, or the default list."""
    if not history:
        return {*DEFAULT_FIELDS, *(IDENTITY_EXTRAS if identity else ())}
    return {k for record in history for k in record if not k.startswith((PREFIX, FIRST_PREFIX))}


def fresh_times(count: int, *, now: datetime, history: Sequence[Mapping[str, Any]]) -> list[datetime]:
    """Return strictly increasing times, all after now and after every record of the target."""
    start = now.astimezone(UTC)
    for record in history:
        instant = parse_instant(record.get("timestamp"))
        if instant is not None and instant >= start and instant < datetime(9999, 1, 1, tzinfo=UTC):
            start = instant + timedelta(milliseconds=1)
    return [start + timedelta(milliseconds=index) for index in range(count)]


def build(
    sources: Sequence[Source], *, times: Sequence[datetime], history: Sequence[Mapping[str, Any]], batch: Batch
) -> list[tuple[str, bytes]]:
    """Return (path in the dataset, exact bytes) of each seed, in order."""
    fields = allowed_fields(history, identity=batch.identity)
    made = []
    for index, (source, time) in enumerate(zip(sources, times, strict=True), start=1):
        record = (_first_seed if batch.first and batch.identity else _reseed)(
            source, fields, batch, index, len(sources)
        )
        record["timestamp"] = time.isoformat(timespec="microseconds")
        made.append((_path(record, batch, index, len(sources)), to_bytes(record)))
    return made


def to_bytes(record: Mapping[str, Any]) -> bytes:
    """Return a record's file content: as the dataset's own writer lays it out."""
    return (json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _reseed(source: Source, fields: set[str], batch: Batch, index: int, size: int) -> dict[str, Any]:
    record = {k: v for k, v in source.record.items() if k in fields and not k.startswith((PREFIX, FIRST_PREFIX))}
    record["success"] = True
    if batch.identity or "baseline_eligible" in fields:
        record["baseline_eligible"] = True
    if "comparison_status" in fields:
        record["comparison_status"] = "PASS"
    record.update(
        {
            PREFIX: True,
            f"{PREFIX}_reason": batch.reason,
            f"{PREFIX}_source_result": source.path,
            f"{PREFIX}_source_sha256": source.digest,
            f"{PREFIX}_source_timestamp": source.record.get("timestamp"),
            f"{PREFIX}_source_success": source.record.get("success"),
            f"{PREFIX}_batch_size": size,
            f"{PREFIX}_batch_index": index,
            f"{PREFIX}_operator": batch.operator,
            f"{PREFIX}_max_intra_batch_regression": batch.tolerance,
        }
    )
    if batch.supersedes:
        record[f"{PREFIX}_supersedes"] = batch.supersedes
    return record


def _first_seed(source: Source, fields: set[str], batch: Batch, index: int, size: int) -> dict[str, Any]:
    """The whole source record, as first seeds of an identity are kept."""
    del fields
    record = dict(source.record)
    taken = {
        f"{FIRST_PREFIX}_source_{k}": source.record.get(k)
        for k in ("timestamp", "success", "run_source", "branch", "test_scope", "pr_number")
    }
    record.update(
        {
            "success": True,
            "baseline_eligible": True,
            "comparison_status": "PASS",
            "comparison_status_reason": FIRST_SEED_REASON,
            FIRST_PREFIX: True,
            f"{FIRST_PREFIX}_reason": batch.reason,
            f"{FIRST_PREFIX}_source_status": source.record.get("comparison_status"),
            **taken,
            f"{FIRST_PREFIX}_batch_size": size,
            f"{FIRST_PREFIX}_batch_index": index,
            f"{FIRST_PREFIX}_source_result": source.path,
            f"{FIRST_PREFIX}_source_sha256": source.digest,
            f"{FIRST_PREFIX}_operator": batch.operator,
        }
    )
    return record


def _path(record: Mapping[str, Any], batch: Batch, index: int, size: int) -> str:
    model = sanitize(str(record["model_id"]))
    stem = f"{sanitize(str(record['timestamp']))}_{sanitize(str(record.get('commit_sha') or 'unknown'))}"
    if batch.first and batch.identity:
        return f"{model}/{stem}_seed{f'_{index:02d}' if size > 1 else ''}.json"
    return f"{model}/{stem}_reseed_{index:02d}.json"
