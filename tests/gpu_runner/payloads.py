"""Observation payloads for tests, complete and small."""

from __future__ import annotations

from typing import Any

from ledger.events.observations import RepeatObserved, StageObservation, TelemetryRecorded


def stage(name: str, status: str = "ok", reason: str = "", **metrics: float | None) -> StageObservation:
    return StageObservation(
        stage=name, status=status, reason=reason, metrics=metrics, sample_counts={"total": 10, "ok": 10}
    )


def observed(*stages: StageObservation, repeat: int = 1, **changes: Any) -> RepeatObserved:
    values: dict[str, Any] = {
        "unit": "test_tts_ci",
        "repeat": repeat,
        "repeat_id": f"r{repeat}",
        "test": "tests/test_tts_ci.py",
        "stages": list(stages),
        "pytest_rc": 0,
        "attempts": 1,
        "attempt_history": [],
        "duration_s": 12.5,
        "recorded_at": "2026-06-27T12:03:11Z",
        "git_sha": "a" * 40,
        "git_sha_start": "a" * 40,
        "dirty": False,
        "diff_sha256": None,
        "host": "h20",
        "gpu_indices": [0],
        "gpu_uuids": ["GPU-a"],
        "telemetry": [],
        "telemetry_sha256": None,
        "environment": "e" * 64,
        "log": "/run1.log",
        "basetemp": "/bt",
        "log_sha256": None,
        "results": {},
    }
    return RepeatObserved(**{**values, **changes})


def telemetry(rows: int = 3, **changes: Any) -> TelemetryRecorded:
    values: dict[str, Any] = {
        "unit": "test_tts_ci",
        "repeat": 1,
        "attempt": 1,
        "repeat_id": "r1",
        "gpu_uuid": "GPU-a",
        "gpu_index": 0,
        "started_at": "2026-06-27T12:00:00.500+00:00",
        "stride": 1,
        "offset_ms": [1000 * n for n in range(rows)],
        "sm_clock_mhz": [1980] * rows,
        "memory_clock_mhz": [2619] * rows,
        "power_mw": [650_500] * rows,
        "temperature_c": [60 + n for n in range(rows)],
        "used_mib": [900] * rows,
        "utilization_percent": [None] * rows,
        "throttle": [0, 4, 1][:rows] + [0] * max(0, rows - 3),
    }
    return TelemetryRecorded(**{**values, **changes})
