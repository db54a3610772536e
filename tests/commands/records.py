"""Records and raw results for the tests of commands. Shapes: performance CI of hao-ai-lab/FastVideo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MODEL, GPU = "wan-t2v-1.3b-2gpu", "NVIDIA L40S"
TARGET = f"{MODEL}@{GPU}"
IDENTITY: dict[str, Any] = {
    "result_schema_version": 2,
    "workload_id": "wan-t2v",
    "variant_id": "1.3b-sp2",
    "benchmark_version": 3,
    "recipe_fingerprint": "ec56b019",
    "hardware_profile_id": "hw-3dc7f1d8fc58debd",
    "software_profile_id": "sw-fbe0146609c2e645",
}


def legacy(day: int, **changes: Any) -> dict[str, Any]:
    """A record of the older shape, of the given day of June 2026."""
    record = {
        "model_id": MODEL,
        "timestamp": f"2026-06-{day:02d}T00:00:00+00:00",
        "commit_sha": f"{day:040x}",
        "gpu_type": GPU,
        "latency": 28.4,
        "throughput": 1.58,
        "memory": 10840.0,
        "text_encoder_time_s": 2.141,
        "dit_time_s": 8.437,
        "vae_decode_time_s": 3.208,
        "success": True,
    }
    return {**record, **changes}


def modern(day: int, **changes: Any) -> dict[str, Any]:
    """A record with the complete identity that counts for the baseline."""
    return {**legacy(day), **IDENTITY, "run_source": "scheduled_main", "baseline_eligible": True, **changes}


def raw(**changes: Any) -> dict[str, Any]:
    """A raw result without identity."""
    result = {
        "benchmark_id": MODEL,
        "device": GPU,
        "avg_generation_time_s": 28.4,
        "throughput_fps": 1.58,
        "max_peak_memory_mb": 10840.0,
        "text_encoder_time_s": 2.141,
        "dit_time_s": 8.437,
        "vae_decode_time_s": 3.208,
        "commit": "f" * 40,
        "timestamp": "2026-07-01T00:00:00+00:00",
        "thresholds": {"max_generation_time_s": 34.0, "max_peak_memory_mb": 11000.0},
    }
    return {**result, **changes}


def write(path: Path, value: Any) -> Path:
    """Write a value as JSON, making the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def history(root: Path, records: list[dict[str, Any]]) -> Path:
    """Write records as a history folder, one file each."""
    for index, record in enumerate(records):
        write(root / "records" / f"{index:03d}.json", record)
    return root
