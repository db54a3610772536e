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
from pathlib import Path
from typing import Any

from benchmarks.log import QUICK, event
from benchmarks.start import print_rows, row
from ledger.ledger import Ledger

EVENTS = 100_000 if QUICK else 1_000_000
BATCH = 50_000
MEMORY_LIMIT_MIB = 2048
RATIO_LIMIT = 6.0


def write(path: Path, events: int) -> Ledger:
    """Make a ledger of so many results."""
    ledger = Ledger.create(path / ".perfledger", origin="bench", actor="a@b")
    for start in range(0, events, BATCH):
        ledger.append([event(n) for n in range(start, min(start + BATCH, events))])
    ledger.log.seal()
    return ledger


def measure(path: str) -> None:
    """Rebuild and scan in turns in this process; print seconds of both and the peak memory in MiB."""
    from projections import arrivals, engine, store

    ledger = Ledger.open(path)
    files = arrivals._files(arrivals.after(ledger, {}, tail=False).paths)
    rebuilds, scans = [], []
    for _ in range(3):
        began = time.perf_counter()
        store.rebuild(ledger)
        rebuilds.append(time.perf_counter() - began)
        connection = engine.connect(memory_limit=store.BUILD_MEMORY)
        began = time.perf_counter()
        connection.execute(
            f"SELECT count(json_extract_string(payload, '$.record.latency')) FROM {files}").fetchall()
        scans.append(time.perf_counter() - began)
        connection.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(min(rebuilds), min(scans), peak)


def main(events: int = EVENTS) -> list[dict[str, Any]]:
    """Measure and return the rows."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = write(Path(folder), events)
        done = subprocess.run([sys.executable, "-m", "benchmarks.rebuild", "--measure", str(ledger.path)],
                              capture_output=True, text=True, check=True, env={**os.environ})
        rebuild, scan, peak = map(float, done.stdout.split())
    return [
        row(f"rebuild from {events:,} events", rebuild, peer=scan,
            against="DuckDB taking one field from the same payloads", limit=RATIO_LIMIT),
        {"name": f"peak memory, rebuild from {events:,} events", "value": round(peak), "unit": "MiB",
         "ratio": round(peak / MEMORY_LIMIT_MIB, 2), "against": "2 GiB", "limit": 1.0, "ok": peak <= MEMORY_LIMIT_MIB},
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2])
    elif sys.argv[1:2] == ["--events"]:
        print_rows(main(int(sys.argv[2])))
    else:
        print_rows(main())
