"""Rebuilding every projection from a long log, against DuckDB scanning the same payload bytes in the same run.

The scan is the least a rebuild can be: reading every payload and taking one field out of it. Peak memory is that of a
process of its own, as the kernel counted it. `--events N` measures another size (10,000,000 takes some minutes).
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import log
from benchmarks.log import QUICK
from benchmarks.start import print_rows, row
from ledger.event import NewEvent
from ledger.events.results import ResultRecorded
from ledger.ledger import Ledger

EVENTS = 100_000 if QUICK else 1_000_000
FULL_EVENTS = 30_000 if QUICK else 300_000
BATCH = 25_000
ROUNDS = 5
MEMORY_LIMIT_MIB = 2048
RATIO_LIMIT = 6.0


def event(n: int) -> NewEvent:
    """Return a result as an import makes it, with the digest of a file of its own; about 600 bytes of JSON."""
    plain = log.event(n)
    return NewEvent(
        stream=plain.stream, payload=msgspec.structs.replace(plain.payload, sha256=sha256(b"file %d" % n).hexdigest())
    )


def full_event(n: int) -> NewEvent:
    """Return a result with all that a version 2 record says, about 2 kB of JSON: identity, thresholds, its CI run."""
    plain = event(n).payload
    assert isinstance(plain, ResultRecorded)
    digest = sha256(b"%d" % n).hexdigest()
    metrics = [name for name, value in plain.record.items() if isinstance(value, float)]
    record = plain.record | {
        "result_schema_version": 2,
        "workload_id": plain.record["model_id"],
        "variant_id": "1.3b-sp2",
        "benchmark_version": 3,
        "recipe": {"height": 480, "width": 832, "num_frames": 81, "steps": 50, "seed": 1024},
        "recipe_fingerprint": sha256(plain.target.encode()).hexdigest(),
        "hardware_profile_id": "hw-3dc7f1d8fc58debd",
        "hardware_profile": {
            "device_type": "cuda",
            "gpu_count": 2,
            "interconnect": "none_or_partial",
            "gpus": [{"name": "NVIDIA L40S", "memory_gb": 44, "compute_capability": "8.9"}] * 2,
        },
        "software_profile_id": "sw-fbe0146609c2e645",
        "environment_fingerprint": "env-88d4ec530eca6d14",
        "regression_thresholds": {
            name: {"threshold_percent": 0.08, "threshold_absolute": 0.5, "gated": True} for name in metrics
        },
        "run_source": "scheduled_main",
        "baseline_eligible": True,
        "branch": "main",
        "pr_number": "",
        "test_scope": "full",
        "build_url": f"https://ci.example.org/builds/{9000 + n // 50}",
        "build_id": digest[:32],
        "job_id": digest[32:],
        "baseline_status": "compared",
        "comparison_status": "PASS",
        "comparison_status_reason": "Comparable baseline found with no gated regressions",
    }
    identity = record["recipe_fingerprint"]
    payload = msgspec.structs.replace(
        plain, record=record, target=f"identity:{identity[:12]}", identity_digest=identity
    )
    return NewEvent(stream=f"target/{payload.target}", payload=payload)


def write(path: Path, events: int, make: Callable[[int], NewEvent] = event) -> Ledger:
    """Make a ledger of so many results."""
    ledger = Ledger.create(path / ".perfledger", origin="bench", actor="a@b")
    for start in range(0, events, BATCH):
        ledger.append([make(n) for n in range(start, min(start + BATCH, events))])
    ledger.log.seal()
    return ledger


def measure(path: str) -> None:
    """Rebuild and scan in turns in this process; print seconds of both and the peak memory in MiB."""
    from projections.state import arrivals, engine, store

    ledger = Ledger.open(path)
    files = arrivals._files(arrivals.after(ledger, {}, tail=False).paths)
    rebuilds, scans = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        store.rebuild(ledger)
        rebuilds.append(time.perf_counter() - began)
        connection = engine.connect(memory_limit=store.BUILD_MEMORY)
        began = time.perf_counter()
        connection.execute(f"SELECT count(json_extract_string(payload, '$.record.latency')) FROM {files}").fetchall()
        scans.append(time.perf_counter() - began)
        connection.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(min(rebuilds), min(scans), peak)


def measured(events: int, make: Callable[[int], NewEvent]) -> tuple[float, float, float]:
    """Return the seconds of a rebuild, those of a scan, and the peak memory in MiB, of a ledger of so many results."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = write(Path(folder), events, make)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.rebuild", "--measure", str(ledger.path)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ},
        )
    rebuild, scan, peak = map(float, done.stdout.split())
    return rebuild, scan, peak


def main(events: int = EVENTS) -> list[dict[str, Any]]:
    """Measure and return the rows."""
    against = "DuckDB taking one field from the same payloads"
    rebuild, scan, peak = measured(events, event)
    full_rebuild, full_scan, _ = measured(FULL_EVENTS, full_event)
    return [
        row(f"rebuild from {events:,} events", rebuild, peer=scan, against=against, limit=RATIO_LIMIT),
        row(
            f"rebuild from {FULL_EVENTS:,} events, version 2 records",
            full_rebuild,
            peer=full_scan,
            against=against,
            limit=RATIO_LIMIT,
        ),
        {
            "name": f"peak memory, rebuild from {events:,} events",
            "value": round(peak),
            "unit": "MiB",
            "ratio": round(peak / MEMORY_LIMIT_MIB, 2),
            "against": "2 GiB",
            "limit": 1.0,
            "ok": peak <= MEMORY_LIMIT_MIB,
        },
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2])
    elif sys.argv[1:2] == ["--events"]:
        print_rows(main(int(sys.argv[2])))
    else:
        print_rows(main())
