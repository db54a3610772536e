"""Raw results as a benchmark of today writes them, made up for these tests."""

from __future__ import annotations

import json
from pathlib import Path


def write_raw(
    folder: Path,
    *,
    latency: float = 20.19,
    model: str = "wan-t2v-1.3b-2gpu",
    number: int = 0,
    commit: str = "0123456789abcdef0123456789abcdef01234567",
) -> Path:
    """Write one `perf_*.json` without identity; `number` moves its time."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"perf_{model}_20260821T2210{number:02d}Z.json"
    path.write_text(
        json.dumps(
            {
                "benchmark_id": model,
                "model_short_name": "Wan2.1-T2V-1.3B",
                "device": "NVIDIA L40S",
                "num_gpus": 2,
                "num_warmup_runs": 2,
                "num_measurement_runs": 5,
                "avg_generation_time_s": latency,
                "individual_times_s": [latency] * 5,
                "throughput_fps": 2.229,
                "max_peak_memory_mb": 10424.1,
                "individual_peak_memories_mb": [10424.1] * 5,
                "text_encoder_time_s": 2.1,
                "dit_time_s": 8.4,
                "vae_decode_time_s": 3.2,
                "thresholds": {"max_generation_time_s": 34.0, "max_peak_memory_mb": 11000.0},
                "commit": commit,
                "timestamp": f"2026-08-21T22:10:{number:02d}.000000+00:00",
                "run_source": "scheduled_main",
                "branch": "main",
                "pr_number": "",
                "test_scope": "full",
                "build_url": "",
                "build_id": "",
                "job_id": f"job-{number}",
            },
            indent=2,
        )
    )
    return path
