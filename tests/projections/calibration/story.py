"""Sessions for tests, told as events in a real ledger."""

from __future__ import annotations

from typing import Any

from ledger.event import EventPayload, NewEvent
from ledger.events.calibrations import (
    CalibrationPlanned,
    EvidencePattern,
    Plan,
    PlannedMetric,
    PlannedStage,
    RepeatImported,
    RepeatPurged,
    SampleSource,
)
from ledger.events.observations import RepeatObserved, StageObservation
from ledger.ledger import Ledger
from projections.calibration.fold import fold
from projections.calibration.session import Session

COMMIT = "a5abacd5334c743c81fcd0426628876333bd10f0"
OTHER = "0000000000000000000000000000000000000001"


def metric(key: str = "throughput_qps", worst: str = "min", **more: Any) -> PlannedMetric:
    """A configured metric; `scale=`, `digits=`, `configured=` as needed."""
    configured = more.pop("configured", True)
    where = {"json_file": "r.json", "json_path": f"m.{key}"} if configured else {}
    named: dict[str, Any] = {"source": key.upper(), "label": key, "configured": configured} | where | more
    return PlannedMetric(key=key, worst=worst, **named)


def stage(
    key: str = "s",
    *metrics: PlannedMetric,
    test: str = "tests/test_a_ci.py",
    counted: bool = True,
    docs: bool = False,
    **more: Any,
) -> PlannedStage:
    """A stage with one throughput metric unless others, or `docs`, are asked for."""
    place = SampleSource(json_file="r.json", json_path="n") if counted and not docs else None
    patterns = [EvidencePattern(name=k, pattern=v) for k, v in more.pop("evidence", {}).items()]
    return PlannedStage(
        key=key,
        test=test,
        title=more.pop("title", key.upper()),
        group=more.pop("group", "speed"),
        metrics=[] if docs else list(metrics or (metric(),)),
        samples_total=place,
        samples_ok=place,
        sample_columns=counted,
        evidence_patterns=patterns,
        **more,
    )


class Story:
    """A session in a ledger; every method appends and returns the story."""

    def __init__(
        self,
        ledger: Ledger,
        *stages: PlannedStage,
        repeats: int = 5,
        session: str = "story",
        rejection: bool = False,
        sha: str = COMMIT,
        **plan: Any,
    ) -> None:
        self.ledger, self.id, self.stages = ledger, session, stages
        self.stream = f"calibration/{session}"
        self.plan = Plan(
            model=plan.pop("model", "m"),
            stages=list(stages),
            repeats=repeats,
            run_dir=plan.pop("run_dir", "/runs/x"),
            calibration_git_sha=sha,
            started_at=plan.pop("started_at", "2026-06-27T11:51:30Z"),
            destructive_rejection=rejection,
            **plan,
        )
        self.append(CalibrationPlanned(session=session, plan=self.plan))

    def append(self, *payloads: EventPayload) -> Story:
        self.ledger.append([NewEvent(stream=self.stream, payload=p) for p in payloads])
        return self

    @property
    def session(self) -> Session:
        """The session as the log has it now."""
        found = fold(self.ledger.read_stream(self.stream), own_origin=self.ledger.origin)
        assert found is not None
        return found

    def observe(self, repeat: int, *values: StageObservation, unit: str = "test_a_ci", **more: Any) -> Story:
        """One RepeatObserved; without values every stage measured 1.0 on 10 of 10 samples."""
        stages = list(values) or [share(s.key) for s in self.stages]
        return self.append(observation(repeat, stages, unit=unit, **more))

    def all_strict(self) -> Story:
        """Every planned repeat, measured whole."""
        for repeat in range(1, self.plan.repeats + 1):
            self.observe(repeat)
        return self

    def import_file(self, stage_key: str, repeat: int, **fields: Any) -> Story:
        """One run file of a foreign directory."""
        given: dict[str, Any] = {
            "status": "ok",
            "metrics": {"throughput_qps": 1.0},
            "samples_total": 10,
            "samples_ok": 10,
            "git_sha": COMMIT,
            "sha256": f"{stage_key}{repeat}",
        } | fields
        return self.append(RepeatImported(session=self.id, stage=stage_key, repeat=repeat, **given))

    def purge(self, repeat: int, *stages: str, unit: str = "test_a_ci") -> Story:
        return self.append(
            RepeatPurged(
                session=self.id,
                unit=unit,
                repeat=repeat,
                reason="asked for",
                stages=list(stages) or [s.key for s in self.stages],
            )
        )


def share(
    key: str = "s",
    value: float | None = 1.0,
    *,
    total: int | None = 10,
    ok: int | None = 10,
    status: str = "ok",
    **more: Any,
) -> StageObservation:
    """One stage's share of a repeat; `metrics=` replaces the single throughput value."""
    metrics = more.pop("metrics", {"throughput_qps": value})
    return StageObservation(
        stage=key,
        status=status,
        reason=more.pop("reason", ""),
        metrics=metrics,
        sample_counts={"total": total, "ok": ok},
        **more,
    )


def observation(
    repeat: int, stages: list[StageObservation], *, unit: str = "test_a_ci", sha: str = COMMIT, **more: Any
) -> RepeatObserved:
    """A RepeatObserved with everything a test does not care about filled in."""
    given: dict[str, Any] = {
        "repeat_id": f"r{repeat}",
        "test": "tests/test_a_ci.py",
        "pytest_rc": 0,
        "attempts": 1,
        "attempt_history": [],
        "duration_s": 1.5,
        "recorded_at": "2026-06-27T12:03:11Z",
        "git_sha_start": sha,
        "dirty": False,
        "diff_sha256": None,
        "host": "h",
        "gpu_indices": [],
        "gpu_uuids": [],
        "telemetry": [],
        "telemetry_sha256": None,
        "environment": None,
        "log": "/runs/x/_pytest/u/run.log",
        "basetemp": "/b",
        "log_sha256": None,
        "results": {},
    }
    return RepeatObserved(unit=unit, repeat=repeat, stages=stages, git_sha=sha, **given | more)
