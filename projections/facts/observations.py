"""Facts about repeats: what was observed, each metric of it, what took a repeat out again, and telemetry rows."""

from __future__ import annotations

from datetime import datetime

from projections.facts.base import Fact


class FactObservation(Fact, table=True):
    """One stage of one repeat, measured here or read from a run directory (`imported`).

    metrics, problems, gpu_uuids, telemetry, suspect, environment_problems: JSON text. measured_at: when the
    repeat was over. telemetry: the summary per GPU.
    """

    __tablename__ = "fact_observation"
    session: str
    unit: str | None
    stage: str
    repeat: int
    status: str
    reason: str
    metrics: str
    problems: str | None
    samples_total: int | None
    samples_ok: int | None
    duration_s: float | None
    attempts: int | None
    pytest_rc: int | None
    git_sha: str | None
    git_sha_start: str | None
    dirty: bool | None
    measured_at: datetime | None
    measured_on: str | None
    gpu_uuids: str | None
    telemetry: str | None
    telemetry_sha256: str | None
    environment: str | None
    environment_problems: str | None
    suspect: str | None
    halt: str | None
    log_sha256: str | None
    imported: bool


class FactMetric(Fact, table=True):
    """One metric of one stage of one repeat, in its own raw unit; null when it could not be read."""

    __tablename__ = "fact_metric"
    session: str
    stage: str
    repeat: int
    metric: str
    value: float | None


class FactRepeatEnd(Fact, table=True):
    """A repeat of a stage stopped counting: `purged`, `vanished`, `rejected` (destructive) or `discarded`."""

    __tablename__ = "fact_repeat_end"
    session: str
    stage: str
    repeat: int
    kind: str
    reason: str | None


class FactTelemetry(Fact, table=True):
    """One telemetry sample of one GPU; null where the driver has no value. throttle: bit mask of reasons.

    stride: 1 when every sample of the attempt is here, n when only each n-th is.
    """

    __tablename__ = "fact_telemetry"
    session: str
    unit: str
    repeat: int
    attempt: int
    repeat_id: str
    gpu_uuid: str
    gpu_index: int
    sampled_at: datetime
    offset_ms: int
    stride: int
    sm_clock_mhz: int | None
    memory_clock_mhz: int | None
    power_mw: int | None
    temperature_c: int | None
    used_mib: int | None
    utilization_percent: int | None
    throttle: int | None
