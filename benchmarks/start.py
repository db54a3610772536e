"""Whole processes at their fastest: `--help` and one `record`, against Python importing click and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PERFLEDGER = str(Path(sys.executable).with_name("perfledger"))
HELP_RATIO_LIMIT, RECORD_RATIO_LIMIT = 1.6, 3.0
REPEATS = 25


def environment() -> dict[str, str]:
    """The process environment as users have it: byte code is written and read."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE" and not k.startswith("PERF")}


def fastest(command: list[str], *, cwd: Path, repeats: int, codes: tuple[int, ...] = (0,)) -> float:
    """Seconds of the fastest of several runs of a command, after one that fills the caches."""
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
        times.append(time.perf_counter() - began)
        assert done.returncode in codes, done.stderr
    return min(times[1:])


def row(
    name: str, seconds: float, *, peer: float, against: str, limit: float | None, fewer: bool = True
) -> dict[str, Any]:
    """One line of the result. `fewer`: the ratio may be at most the limit; else it must be at least that."""
    ratio = seconds / peer if fewer else peer / seconds
    return {
        "name": name,
        "value": round(seconds * 1000, 1),
        "unit": "ms",
        "ratio": round(ratio, 2),
        "against": against,
        "limit": limit,
        "ok": limit is None or (ratio <= limit if fewer else ratio >= limit),
    }


def raw_result(number: int, model: str) -> dict[str, Any]:
    """A raw result as a benchmark run writes it."""
    return {
        "benchmark_id": model,
        "device": "NVIDIA L40S",
        "avg_generation_time_s": 28.4 + number / 1000,
        "throughput_fps": 1.58,
        "max_peak_memory_mb": 10840.0,
        "text_encoder_time_s": 2.141,
        "dit_time_s": 8.437,
        "vae_decode_time_s": 3.208,
        "commit": f"{number:040x}",
        "timestamp": "2026-08-21T22:10:05.123456+00:00",
    }


def main() -> list[dict[str, Any]]:
    """Measure and return the rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([PERFLEDGER, "init"], cwd=folder, env=environment(), check=True, capture_output=True)
        results = folder / "perf_a.json"
        results.write_text(json.dumps(raw_result(1, "wan-t2v-1.3b-2gpu")))
        click = help_text = record = float("inf")
        for _ in range(3):  # interleaved, so that a busy spell hits all three
            click = min(click, fastest([sys.executable, "-c", "import click"], cwd=folder, repeats=REPEATS // 3))
            help_text = min(help_text, fastest([PERFLEDGER, "--help"], cwd=folder, repeats=REPEATS // 3))
            record = min(record, fastest([PERFLEDGER, "record", str(results)], cwd=folder, repeats=REPEATS // 3))
    against = f"python -c 'import click', {click * 1000:.0f} ms"
    return [
        row("perfledger --help", help_text, peer=click, against=against, limit=HELP_RATIO_LIMIT),
        row("perfledger record, one result", record, peer=click, against=against, limit=RECORD_RATIO_LIMIT),
    ]


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Print the rows as a table. A row without a ratio or a limit says only what was measured."""
    width = max((len(found["name"]) for found in rows), default=0)
    for found in rows:
        peer = "" if found["ratio"] is None else f"{found['ratio']:>8}x of {found['against']}"
        limit = "" if found["limit"] is None else f"  (limit {found['limit']})"
        print(
            f"{'ok  ' if found['ok'] else 'MISS'}  {found['name']:<{width}}{found['value']:>12,} {found['unit']:<12}"
            f"{peer}{limit}",
            flush=True,
        )


if __name__ == "__main__":
    print_rows(main())
