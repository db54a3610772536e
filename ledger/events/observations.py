"""What a repeat on real hardware saw: the wait for GPUs, every attempt, and the one observation it ends in.

All of them go to the stream of the calibration session they belong to (`calibration/<id>`).
"""

from __future__ import annotations

import msgspec

from ledger.event import EventPayload, Evidence, event_type


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Minimum, median, 95th percentile (nearest rank) and maximum of one telemetry column."""

    min: float
    median: float
    p95: float
    max: float


class GpuTelemetry(msgspec.Struct, frozen=True, kw_only=True):
    """What one GPU did during one attempt; a column the driver does not support is absent.

    columns: name with its unit last (`sm_clock_mhz`, `power_w`, ...) to its spread. throttled_share: fraction
    of samples with a clock-lowering reason other than idle. throttle_reasons: reason to fraction of samples.
    energy_j: from the GPU's own energy counter, else power over time. foreign_pids: processes on
    the GPU that were not of this repeat. ecc_uncorrected: uncorrected memory errors that appeared during it.
    """

    uuid: str
    index: int
    samples: int
    columns: dict[str, Spread]
    throttled_share: float | None = None
    throttle_reasons: dict[str, float] = {}
    energy_j: float | None = None
    foreign_pids: list[int] = []
    ecc_uncorrected: int | None = None
    ecc_corrected: int | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One launch of pytest. outcome: `passed`, `exit 1`, `OOM`, `exit 137 (killed)`, `crashed (<signature>)`, ...

    kind: `passed`, `assertion`, `oom`, `crash`, `timeout`, `infrastructure`, `usage`. pytest_rc: as the operating
    system gave it, negative for death by signal; null when pytest never started. cause: the line of
    the log, or the sentence, behind the outcome. log_sha256: the attempt's whole log in the evidence store.
    """

    attempt: int
    outcome: str
    kind: str
    started_at: str
    duration_s: float
    pytest_rc: int | None = None
    cause: str = ""
    gpu_indices: list[int] = []
    log_sha256: Evidence | None = None
    telemetry_sha256: Evidence | None = None
    retried: bool = False


class StageObservation(msgspec.Struct, frozen=True, kw_only=True):
    """One stage's share of a repeat.

    status: `ok` or `failed`, or a validity status of the schema (`observation_validity_missing`, ...). reason:
    empty, `threshold_assertion (<outcome>)`, `incomplete_metrics_extraction (<outcome>)`, or the outcome of a stage
    without metrics. metrics: every metric of the schema in its own unit, null when it could not be read.
    problems: metric or count name to why it is null. sample_counts: `total` and `ok`, null when not read.
    """

    stage: str
    status: str
    reason: str
    metrics: dict[str, float | None]
    sample_counts: dict[str, int | None] = {}
    problems: dict[str, str] = {}
    observation_valid: bool | None = None
    allowed_pytest_failure: bool | None = None


@event_type()
class GpuWaited(EventPayload):
    """A runner waited for free GPUs, or gave up. waited_s: how long. reasons: GPU index to why it was not free.

    granted: the wait ended with enough free GPUs. limit_s: the most it would have waited.
    """

    unit: str
    repeat: int
    needed: int
    granted: bool
    waited_s: float
    limit_s: float
    reasons: dict[str, str]


@event_type()
class GpusPicked(EventPayload):
    """GPUs were locked and found free for one attempt; used_mib: memory in use per UUID at the re-check."""

    unit: str
    repeat: int
    attempt: int
    gpu_indices: list[int]
    gpu_uuids: list[str]
    used_mib: dict[str, int]


@event_type()
class EnvironmentSeen(EventPayload):
    """The environment a session measures in, once per digest: driver, CUDA, packages, image, GPUs, settings.

    digest: SHA-256 hex of the canonical JSON of `fingerprint`; observations name it.
    """

    digest: str
    fingerprint: dict[str, object]


@event_type()
class RepeatStarted(EventPayload):
    """An attempt of a repeat is being launched. repeat_id: marks every process of it (`PERFLEDGER_REPEAT_ID`).

    log and basetemp are absolute paths on `host`; boot_id tells whether its processes can still exist, and
    started_ticks (clock ticks since that boot) that no process of it is older; null in events of older versions.
    """

    unit: str
    repeat: int
    attempt: int
    stages: list[str]
    repeat_id: str
    host: str
    boot_id: str
    log: str
    basetemp: str
    command: list[str]
    git_sha: str | None = None
    started_ticks: int | None = None


@event_type()
class RepeatInterrupted(EventPayload):
    """A repeat ended without an observation: a signal to the runner, or an earlier runner that died.

    killed_pids: processes of the repeat that had to be ended. stuck_pids: those that did not end even on SIGKILL.
    by: `SIGINT`, `SIGTERM`, `runner died`.
    """

    unit: str
    repeat: int
    repeat_id: str
    by: str
    killed_pids: list[int] = []
    stuck_pids: list[int] = []


@event_type()
class TelemetryRecorded(EventPayload):
    """The telemetry rows of one GPU during one attempt, column by column, for the `telemetry` view.

    offset_ms: milliseconds since started_at; the columns have the same length, null where not supported.
    stride: 1 when every sample is here; n when only each n-th is (all of them are in the
    evidence `telemetry_sha256` of the observation). throttle: the driver's bit mask of reasons.
    """

    unit: str
    repeat: int
    attempt: int
    repeat_id: str
    gpu_uuid: str
    gpu_index: int
    started_at: str
    stride: int
    offset_ms: list[int]
    sm_clock_mhz: list[int | None]
    memory_clock_mhz: list[int | None]
    power_mw: list[int | None]
    temperature_c: list[int | None]
    used_mib: list[int | None]
    utilization_percent: list[int | None]
    throttle: list[int | None]


@event_type()
class RepeatObserved(EventPayload):
    """A repeat ended in an observation: everything its `run{k}.json` files hold and everything that explains it.

    unit: the namespace of one pytest run (`test_tts_ci__moss`); stages: its stages, one observation each.
    git_sha / git_sha_start: HEAD at the end and before the launch; diff_sha256: evidence digest of `git diff HEAD`
    when dirty. duration_s: the last attempt with its cleanup. attempts: attempt_history holds all of them.
    telemetry: per GPU of the last attempt; telemetry_sha256: its Parquet rows in the evidence store.
    environment: digest of the `EnvironmentSeen`. results: result file (relative to basetemp) to evidence digest.
    environment_problems: known signatures found, each a sentence with the way out; never a regression. suspect:
    physical reasons to doubt the numbers. halt: set when pytest passed but a metric could not
    be read; the run stops with this cause. log_found: name to the first log line that matched, or null.
    """

    unit: str
    repeat: int
    repeat_id: str
    test: str
    stages: list[StageObservation]
    pytest_rc: int | None
    attempts: int
    attempt_history: list[Attempt]
    duration_s: float
    recorded_at: str
    git_sha: str | None
    git_sha_start: str | None
    dirty: bool | None
    diff_sha256: Evidence | None
    host: str
    gpu_indices: list[int]
    gpu_uuids: list[str]
    telemetry: list[GpuTelemetry]
    telemetry_sha256: Evidence | None
    environment: str | None
    log: str
    basetemp: str
    log_sha256: Evidence | None
    results: dict[str, Evidence]
    environment_problems: list[str] = []
    suspect: list[str] = []
    halt: str | None = None
    log_found: dict[str, str | None] = {}
    seed: int | None = None
