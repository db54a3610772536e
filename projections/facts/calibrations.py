"""Facts about calibrations: what was planned, what each stage's repeats brought, what was set aside."""

from __future__ import annotations

from projections.facts.base import Fact


class FactCalibration(Fact, table=True):
    """A session was planned, imported, merged, resumed, ended, halted or reported; `kind` says which.

    The plan's columns are null for kinds without one. commits: further accepted commits, joined by spaces.
    """

    __tablename__ = "fact_calibration"

    session: str
    kind: str
    model: str | None
    repeats: int | None
    calibration_git_sha: str | None
    git_branch: str | None
    dirty: bool | None
    run_dir: str | None
    started_at: str | None
    gpu_summary: str | None
    commits: str | None
    diff_sha256: str | None


class FactCalibrationStage(Fact, table=True):
    """A stage of a session's plan. required_metrics: the keys the schema can read, joined by spaces.

    plan_position: the position of the plan's event, for stages that follow it in events of their own.
    """

    __tablename__ = "fact_calibration_stage"

    session: str
    stage: str
    number: int
    plan_position: int
    title: str
    stage_group: str
    test: str
    preset: str | None
    variant: str | None
    expected_samples: int | None
    counted: bool
    docs: bool
    required_metrics: str


class FactStageRepeat(Fact, table=True):
    """One stage's share of one repeat, measured here or imported.

    metrics: raw values as JSON text. null_count: how many of metric_count are null. foreign_file: it
    comes from a run file and not from this product's runner.
    """

    __tablename__ = "fact_stage_repeat"

    session: str
    stage: str
    repeat: int
    unit: str | None
    readable: bool
    status: str
    reason: str
    metrics: str
    metric_keys: str
    metric_count: int
    null_count: int
    samples_total: int | None
    samples_ok: int | None
    git_sha: str | None
    git_sha_start: str | None
    diff_sha256: str | None
    measured_at: str
    duration_s: float | None
    attempts: int | None
    pytest_rc: int | None
    destructive: bool
    block_discarded: bool
    suspect: str
    foreign_file: bool


class FactRoundMark(Fact, table=True):
    """A round of a stage was purged, vanished, rejected or discarded; `flagged` marks a whole stage.

    `settled`: `repeat` repeats were enough for the stage.
    """

    __tablename__ = "fact_round_mark"

    session: str
    stage: str
    repeat: int | None
    mark: str
    reason: str
