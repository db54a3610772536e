"""Turn the published calibrations in examples/data into a performance history, and into results to check.

    python examples/make_history.py history DIR           one normalized record per measured repeat
    python examples/make_history.py result KIND FILE      a new result: equal, faster, regressed or shifted-1 to -3

The numbers are those of examples/data/sglang-omni (see the README there); only the new results are made up, as
multiples of the measured median.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data" / "sglang-omni" / "calibration_reports.json"
COLUMNS = {"Latency mean (s)": "latency", "Throughput (req/s)": "throughput"}
CHECKED = ("mmmu-talker", "2x NVIDIA H20")
FACTORS = {
    "equal": 1.004,
    "faster": 0.85,
    "regressed": 1.14,
    "shifted-1": 1.141,
    "shifted-2": 1.136,
    "shifted-3": 1.144,
}


def started(report: dict[str, Any]) -> datetime:
    """When a calibration began: as published, else the stamp in its name."""
    if report["started_at"]:
        return datetime.fromisoformat(report["started_at"])
    stamp = re.search(r"(\d{8})(?:T(\d{6})Z)?", report["report"])
    assert stamp is not None, report["report"]
    return datetime.strptime(stamp[1] + (stamp[2] or "120000"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def records() -> list[dict[str, Any]]:
    """Every repeat of every speed stage as a normalized record."""
    found = []
    for report in json.loads(DATA.read_text(encoding="utf-8")):
        for index, stage in enumerate(report["stages"]):
            if not stage["title"].endswith(" Speed"):
                continue
            for repeat in stage["repeats"]:
                values = {field: repeat["metrics"].get(column) for column, field in COLUMNS.items()}
                found.append(
                    {
                        "model_id": stage["title"].removesuffix(" Speed").lower().replace(" ", "-"),
                        "timestamp": (started(report) + timedelta(minutes=40 * repeat["repeat"] + index)).isoformat(),
                        "commit_sha": report["calibration_commit"] or "",
                        "gpu_type": report["gpu"].replace("×", "x"),
                        **values,
                        "success": True,
                    }
                )
    return found


def write_history(folder: Path) -> int:
    """Write the records where a history keeps them: <model>/<time>_<commit>.json."""
    made = records()
    for record in made:
        name = re.sub(r"[^A-Za-z0-9._-]", "_", f"{record['timestamp']}_{record['commit_sha'] or 'unknown'}.json")
        path = folder / record["model_id"] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return len(made)


def write_result(kind: str, file: Path) -> None:
    """Write a new result of one target: its median latency times the factor, throughput accordingly."""
    mine = [r for r in records() if (r["model_id"], r["gpu_type"]) == CHECKED]
    factor = FACTORS[kind]
    record = {
        "model_id": CHECKED[0],
        "timestamp": f"2026-07-01T12:{10 * list(FACTORS).index(kind):02d}:00+00:00",
        "commit_sha": f"{list(FACTORS).index(kind) + 1:040x}",
        "gpu_type": CHECKED[1],
        "latency": round(statistics.median(r["latency"] for r in mine) * factor, 3),
        "throughput": round(statistics.median(r["throughput"] for r in mine) / factor, 3),
        "success": True,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "history":
        print(f"{write_history(Path(sys.argv[2]))} records in {sys.argv[2]}")
    else:
        write_result(sys.argv[2], Path(sys.argv[3]))
