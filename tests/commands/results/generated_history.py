"""Histories of records made up at random, with the oddities of real ones, and their baselines computed a second time.

The rules are sections 4.4 and 5.1 to 5.3 of the description of the performance CI, and its section 11 where we do
better: NaN is no measurement, the text "false" is no success, and a result that measured nothing enters no baseline.
"""

from __future__ import annotations

import json
import math
import random
import statistics
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.commands.records import IDENTITY

METRICS = ("latency", "throughput", "memory", "text_encoder_time_s", "dit_time_s", "vae_decode_time_s")
START = datetime(2026, 5, 1, tzinfo=UTC)
# cohorts by the name that their records have in common: two of the older shape, two with an identity
COHORTS: dict[str, dict[str, Any]] = {
    "old-a": {"gpu_type": "NVIDIA L40S"},
    "old-b": {"gpu_type": "NVIDIA H100"},
    "new-a": {"gpu_type": "NVIDIA L40S", **IDENTITY, "workload_id": "a"},
    "new-b": {"gpu_type": "NVIDIA L40S", **IDENTITY, "workload_id": "b"},
}


def stamp(chance: random.Random, moment: datetime) -> Any:
    """A time in one of the forms that are found; None and words for records that have none."""
    kind = chance.randrange(10)
    if kind == 0:
        return moment.replace(tzinfo=None).isoformat()  # naive: UTC
    if kind == 1:
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if kind == 2:
        return (moment + timedelta(hours=2)).replace(tzinfo=None).isoformat() + "+02:00"
    if kind == 3:
        return moment.strftime("%Y%m%dT%H%M%SZ")
    if kind == 4:
        return chance.choice([None, "yesterday", 1780000000])
    return moment.isoformat()


def instant(value: Any) -> datetime:
    """The moment a time stamp names; the earliest there is for what names none."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def measured(value: Any) -> float | None:
    """A finite number, by Python's `float` (section 3.2); None for anything else."""
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def succeeded(record: dict[str, Any]) -> bool:
    """Section 4.4, without its reading of the text "false" as true."""
    value = record.get("success", True)
    return bool(value) and str(value).strip().lower() != "false"


def counts(record: dict[str, Any]) -> bool:
    """Whether a record enters baselines: successful, something measured, and eligible (section 5.1)."""
    eligible = record.get("baseline_eligible") is True
    older = "baseline_eligible" not in record and "run_source" not in record
    return succeeded(record) and (eligible or older) and any(measured(record.get(m)) is not None for m in METRICS)


@dataclass
class History:
    """A folder of records, by their path below it."""

    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def write(self, root: Path) -> Path:
        """Write one file for each record."""
        for name, record in self.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record))
        return root

    def window(self, cohort: str, length: int = 5) -> list[dict[str, Any]]:
        """The last records of a cohort that count, in the order of (instant, path)."""
        found = [(instant(r.get("timestamp")), p, r) for p, r in self.files.items() if r["model_id"] == cohort]
        return [r for _, _, r in sorted(found, key=lambda row: row[:2]) if counts(r)][-length:]

    def medians(self, cohort: str, length: int = 5) -> dict[str, float | None]:
        """The median of what the window has of each metric; the window is not made longer for a gap."""
        window = self.window(cohort, length)
        values = {m: [v for r in window if (v := measured(r.get(m))) is not None] for m in METRICS}
        return {m: statistics.median(v) if v else None for m, v in values.items()}


def generate(seed: int, *, records: int = 40) -> History:
    """A history of the four cohorts."""
    chance = random.Random(seed)
    history = History()
    for number in range(records):
        cohort = chance.choice(sorted(COHORTS))
        moment = START + timedelta(minutes=chance.randrange(0, 60 * 24 * 60))
        record: dict[str, Any] = {
            "model_id": cohort,
            **COHORTS[cohort],
            "commit_sha": f"{number:040x}",
            "timestamp": stamp(chance, moment),
            "success": True,
        }
        for metric in METRICS:
            record[metric] = odd_value(chance, round(chance.uniform(1, 50), 3))
        if chance.random() < 0.2:
            del record[chance.choice(METRICS)]
        if cohort.startswith("new"):
            record |= {"run_source": "scheduled_main", "baseline_eligible": True}
        odd_fields(chance, record)
        history.files[f"{cohort}/{chance.choice(['x', 'y'])}/{number:03d}.json"] = record
    return history


def odd_value(chance: random.Random, value: float) -> Any:
    """A value as records have it."""
    kind = chance.randrange(14)
    odd = {0: None, 1: math.nan, 2: math.inf, 3: f" {value} ", 4: "n/a", 5: str(value)}
    return odd.get(kind, value)


def odd_fields(chance: random.Random, record: dict[str, Any]) -> None:
    """Change what decides whether a record counts."""
    kind = chance.randrange(10)
    if kind == 0:
        del record["success"]
    elif kind == 1:
        record["success"] = chance.choice([False, None, "false", 0, ""])
    elif kind == 2:
        record["baseline_eligible"] = chance.choice(["true", 1, None, False])
    elif kind == 3:
        record["run_source"] = None
        record.pop("baseline_eligible", None)
    elif kind == 4:
        record.update(dict.fromkeys(METRICS))
