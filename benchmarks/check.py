"""`check` of one result on a long history, a whole process, against a bare loop that reads the history.

The loop is the least any tool must do that keeps one JSON file per record and no ledger: open and parse
every file. At 1,000,000 records it is taken as ten times what 100,000 files cost, which favours it: the
page cache holds the smaller set.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.start import PERFLEDGER, environment, fastest, print_rows, raw_result, row

RECORDS, MORE, MODELS = 100_000, 1_000_000, 200
RATIO_LIMIT, RATIO_LIMIT_MORE = 6.0, 50.0
IMPORT_RATIO_LIMIT = 60.0
BATCH = 5_000
LOOP = """
import json, os, sys
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        with open(os.path.join(folder, name)) as file:
            json.load(file)
"""


def record_of(number: int) -> dict[str, Any]:
    """Record `number` of the history: 200 models, one record a day each, values that vary."""
    day, model = divmod(number, MODELS)
    return {
        "model_id": f"model-{model:03d}",
        "gpu_type": "NVIDIA L40S",
        "commit_sha": f"{number:040x}",
        "timestamp": f"{2010 + day // 336:04d}-{1 + day // 28 % 12:02d}-{1 + day % 28:02d}T{number % 24:02d}:00:00Z",
        "latency": 28.4 + number % 97 / 200,
        "throughput": 1.58,
        "memory": 10840.0 + number % 31,
        "text_encoder_time_s": 2.141,
        "dit_time_s": 8.437,
        "vae_decode_time_s": 3.208,
        "success": True,
    }


def main() -> list[dict[str, Any]]:
    """Measure and return the rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        history = write_history(folder / "history", RECORDS)
        result = folder / "perf_a.json"
        result.write_text(json.dumps(raw_result(3_000, "model-007")))
        imported = _import(folder, history)
        check, loop = [PERFLEDGER, "check", str(result)], [sys.executable, "-c", LOOP, str(history)]
        seconds = bare = float("inf")
        for _ in range(5):  # interleaved, so that a busy spell hits both
            bare = min(bare, fastest(loop, cwd=folder, repeats=1))
            seconds = min(seconds, fastest(check, cwd=folder, repeats=5, codes=(0, 1)))
        _append_more(folder)
        more = fastest(check, cwd=folder, repeats=7, codes=(0, 1))
    against = f"a bare json.load loop over {RECORDS:,} files, {bare:.2f} s"
    return [
        row(f"import hf-tracking of {RECORDS:,} files", imported, peer=bare, against=against, limit=IMPORT_RATIO_LIMIT),
        row(
            f"check of one result, {RECORDS:,} records",
            seconds,
            peer=bare,
            against=against,
            limit=RATIO_LIMIT,
            fewer=False,
        ),
        row(
            f"check of one result, {MORE:,} records",
            more,
            peer=bare * MORE / RECORDS,
            against=f"the same loop, times {MORE // RECORDS}",
            limit=RATIO_LIMIT_MORE,
            fewer=False,
        ),
    ]


def write_history(history: Path, records: int) -> Path:
    """Write so many records, one file each, a folder per model; return the folder of all."""
    for number in range(records):
        record = record_of(number)
        path = history / record["model_id"] / f"{number:07d}.json"
        if number < MODELS:
            path.parent.mkdir(parents=True)
        path.write_text(json.dumps(record))
    return history


def _import(folder: Path, history: Path) -> float:
    """Make a ledger and import the history into it; return the seconds of the import."""
    subprocess.run([PERFLEDGER, "init"], cwd=folder, env=environment(), check=True, capture_output=True)
    began = time.perf_counter()
    subprocess.run(
        [PERFLEDGER, "import", "hf-tracking", str(history)],
        cwd=folder,
        env=environment(),
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - began


def _append_more(folder: Path) -> None:
    """Bring the ledger to a million records, as an import would but without writing 900,000 files first."""
    from commands.intake.formats import normalized
    from commands.intake.recording import recorded_event
    from ledger.ledger import Ledger

    ledger = Ledger.open(folder, actor="bench")
    for start in range(RECORDS, MORE, BATCH):
        events = []
        for number in range(start, start + BATCH):
            value = record_of(number)
            measured = normalized.read(
                value,
                data=json.dumps(value).encode(),
                path=f"{value['model_id']}/{number:07d}.json",
                format_name="hf-tracking",
            )
            events.append(recorded_event(measured, source=str(folder / "history")))
        ledger.append(events)
    subprocess.run([PERFLEDGER, "replay"], cwd=folder, env=environment(), check=True, capture_output=True)


if __name__ == "__main__":
    print_rows(main())
