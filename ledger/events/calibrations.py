"""Calibrations: what was planned, what became of its repeats, and what was reported.

The stream is `calibration/<session>`. A session is one request to measure a set of stages N times
on one commit. Its repeats are `RepeatObserved` (events/observations.py) when this tool ran them and
`RepeatImported` when they come from a run directory that another tool wrote.
"""

from __future__ import annotations

from typing import Any

from msgspec import field

from ledger.event import EventPayload, Evidence, event_type

Number = float | int


class PlannedMetric(EventPayload):
    """One metric of a stage as the schema had it when the session was planned.

    worst: `min` when the threshold is a lower bound (worst-of-N is the minimum), else `max`.
    scale and digits are for display only: shown = raw x scale with `digits` decimals.
    configured: whether the schema says where the value is read (status OK); else NEEDS_CONFIG.
    """

    key: str
    source: str
    worst: str
    label: str
    scale: Number = 1
    digits: int = 3
    json_file: str | None = None
    json_path: str | None = None
    configured: bool = True


class SampleSource(EventPayload):
    """Where a sample count is read: a result file below the repeat's basetemp and a dotted path."""

    json_file: str
    json_path: str


class EvidencePattern(EventPayload):
    """A regular expression that must occur in the log of a repeat to prove an optimization ran."""

    name: str
    pattern: str


class PlannedStage(EventPayload):
    """One stage as the schema had it when the session was planned.

    context: the literal of each of `context_vars` at that moment (None when it was not found),
    under the keyword it is passed as (`max_samples`, `max_tokens`, `max_concurrency`, ...).
    A stage without metrics is a documentation stage: its repeat passes or fails. sample_columns: the
    schema mentions sample counts, configured or not, so a report shows their columns.
    """

    key: str
    test: str
    title: str
    group: str
    metrics: list[PlannedMetric]
    extra_env: dict[str, str] = field(default_factory=dict)
    context: dict[str, int | float | str | None] = field(default_factory=dict)
    variant: str | None = None
    calibration_preset: str | None = None
    gpus: int | None = None
    hf_model_ids: list[str] = field(default_factory=list)
    expected_samples: int | None = None
    samples_total: SampleSource | None = None
    samples_ok: SampleSource | None = None
    sample_columns: bool = False
    test_file_sha256: str | None = None
    threshold_file: str | None = None
    threshold_file_sha256: str | None = None
    evidence_patterns: list[EvidencePattern] = field(default_factory=list)
    observation_validity: str | None = None
    allowed_pytest_failure: str | None = None

    @property
    def counted(self) -> bool:
        """Whether both sample counts are configured."""
        return self.samples_total is not None and self.samples_ok is not None

    @property
    def is_docs(self) -> bool:
        """Whether this stage has nothing to measure and only passes or fails."""
        return not self.metrics


class Plan(EventPayload):
    """The scope and provenance every session begins with; times are ISO 8601 UTC to the second.

    calibration_git_sha is the full commit all repeats must have been measured on. diff, stages_yaml
    and precheck digests name evidence. Empty text means the source did not say.
    performance_sensitive: glob patterns of the files whose change may move a number.
    """

    model: str
    stages: list[PlannedStage]
    repeats: int
    run_dir: str
    calibration_git_sha: str
    git_branch: str = ""
    dirty: bool = False
    diff_sha256: str | None = None
    started_at: str = ""
    repo_root: str = ""
    venv_python: str = ""
    venv_source: str = ""
    tune_version: str | None = None
    stages_yaml: str = ""
    stages_yaml_sha256: str | None = None
    precheck_sha256: str | None = None
    gpu_summary: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    equivalent_commits: list[str] = field(default_factory=list)
    destructive_rejection: bool = False
    performance_sensitive: list[str] = field(default_factory=list)
    reject_when: list[str] = field(default_factory=list)


@event_type()
class CalibrationPlanned(EventPayload):
    """A calibration was asked for: the scope is fixed before the first repeat is launched."""

    session: str
    plan: Plan


@event_type()
class RunDirectoryImported(EventPayload):
    """A run directory that another tool wrote became known; its repeats follow as `RepeatImported`.

    plan_sha256 names the bytes of plan.json in the evidence. Comes again when plan.json or the
    schema changed since; the last one counts.
    """

    session: str
    plan: Plan
    plan_sha256: str


@event_type()
class PlanContinued(EventPayload):
    """Further stages of the plan just before: an event holds a plan's first eight kilobytes of stages.

    part counts 1, 2, ...; the plan it continues stands `part` positions earlier, in the same append.
    """

    session: str
    part: int
    stages: list[PlannedStage]


@event_type()
class RepeatImported(EventPayload):
    """One `<stage>/run<k>.json` of an imported run directory, as it stood.

    sha256 is the digest of its bytes. readable is false when they were not JSON: then all else is
    empty. not_finite lists metrics whose value was NaN or an infinity; they are stored as null.
    log_found: evidence pattern to the first log line that matched, or null; empty without a log.
    log_sha256 names the pytest log in the evidence, when it was kept.
    extra keeps every further field of the file. from_event: the event a merged session copied.
    """

    session: str
    stage: str
    repeat: int
    sha256: str
    readable: bool = True
    status: str = ""
    reason: str = ""
    metrics: dict[str, float | None] = field(default_factory=dict)
    not_finite: dict[str, str] = field(default_factory=dict)
    samples_total: int | None = None
    samples_ok: int | None = None
    duration_s: float | None = None
    attempts: int | None = None
    git_sha: str = ""
    recorded_at: str = ""
    pytest_log: str = ""
    basetemp: str = ""
    pytest_rc: int | None = None
    destructive: bool = False
    block_discarded: bool = False
    destructive_evidence: list[Any] = field(default_factory=list)
    log_found: dict[str, str | None] = field(default_factory=dict)
    log_sha256: Evidence | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    from_event: str | None = None


@event_type()
class RunFileVanished(EventPayload):
    """A run file of an imported directory that was seen before is gone, and no purge says why."""

    session: str
    stage: str
    repeat: int
    sha256: str


@event_type()
class CalibrationResumed(EventPayload):
    """An interrupted session goes on. `stages` is the subset to run; git_sha is HEAD now.

    equivalent: HEAD is not the calibration commit but proven measurement-equivalent to it;
    changed_files is what was compared for the proof.
    """

    session: str
    git_sha: str
    dirty: bool
    stages: list[str]
    resumed_at: str
    equivalent: bool = False
    changed_files: list[str] = field(default_factory=list)


@event_type()
class RepeatPurged(EventPayload):
    """A repeat stops counting for all stages of a unit and may be measured again.

    The values stay in the events that recorded them; only the run files are removed.
    """

    session: str
    unit: str
    repeat: int
    stages: list[str]
    reason: str


class DestructiveValue(EventPayload):
    """Why a value condemns its round. Values are raw, not display units.

    robust_z: distance from the median in units of 1.4826 x MAD, null when the MAD is zero
    (infinite) or the value is not finite. gap: distance to the nearest other value; gap_fraction:
    gap over the absolute median of the rest, null when that is zero. resolution: the smallest step
    the display shows. reason: the physical reason instead, when the plan's `reject_when` condemns it;
    then `metric` is its code word.
    """

    stage: str
    metric: str
    value: float | None
    robust_z: float | None
    gap: float | None
    gap_fraction: float | None
    median_of_rest: float | None
    resolution: float
    reason: str | None = None


@event_type()
class RoundRejected(EventPayload):
    """A round of a unit is destructive: it stays on record and no longer counts."""

    session: str
    unit: str
    repeat: int
    stages: list[str]
    evidence: list[DestructiveValue]


@event_type()
class BlockDiscarded(EventPayload):
    """A whole block of rounds was discarded; new indices are measured instead, once per unit."""

    session: str
    unit: str
    repeats: list[int]
    stages: list[str]
    reason: str


@event_type()
class UnitFlagged(EventPayload):
    """A unit stayed unstable after its one restart: all rounds of the last block count, flagged."""

    session: str
    unit: str
    stages: list[str]
    reason: str


@event_type()
class RepeatsSettled(EventPayload):
    """Further repeats of a unit could hardly move any worst-of-N, so they were left out (opt-in).

    repeats of planned were measured. risk bounds the probability that a left-out repeat would have
    moved a worst value by more than the display shows; allowed is what it could be at this look;
    alpha the error rate asked for over all looks. saved_gpu_s: GPU seconds left unspent.
    """

    session: str
    unit: str
    stages: list[str]
    repeats: int
    planned: int
    risk: float
    allowed: float
    alpha: float
    saved_gpu_s: float


@event_type()
class CalibrationHalted(EventPayload):
    """The run stopped because going on would repeat a mistake (tests passed, metrics missing)."""

    session: str
    unit: str
    repeat: int
    stages: list[str]
    cause: str


@event_type()
class CalibrationEnded(EventPayload):
    """A `run` came to its end. ok of total stage-repeats are complete."""

    session: str
    complete: bool
    ok: int
    total: int
    passes: int


@event_type()
class CalibrationReported(EventPayload):
    """A report was written; the digests name its bytes in the evidence.

    previous_session: the last comparable calibration, changed_files the performance-sensitive files
    between its commit and this one.
    """

    session: str
    report: str
    report_sha256: Evidence
    html_sha256: Evidence | None
    calibration_git_sha: str
    previous_session: str | None = None
    previous_git_sha: str | None = None
    changed_files: list[str] = field(default_factory=list)


@event_type()
class CalibrationMerged(EventPayload):
    """Disjoint partitions were merged into this session; `plan` is the merged scope."""

    session: str
    plan: Plan
    sources: list[str]
    source_run_dirs: list[str]
    merged_at: str


@event_type()
class PullRequestCommitIntended(EventPayload):
    """The applied threshold files are about to be committed in the measured repository."""

    session: str
    repo_root: str
    files: list[str]
    message: str


@event_type()
class PullRequestCommitted(EventPayload):
    """The commit that was announced exists."""

    session: str
    repo_root: str
    git_sha: str
