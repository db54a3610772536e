"""A second comparator, written from the rules alone, sharing no code with the product.

It reads a folder of records and judges results in the plainest way: read all, filter, sort, take the last
five, median. The rules are those of the performance CI of hao-ai-lab/FastVideo (facts, August and May 2026),
with the product's documented improvements: NaN is no measurement, a record without any metric never counts,
the text "false" is no success, and records are matched by their own model id.
"""

from __future__ import annotations

import glob
import json
import math
import os
import statistics
from datetime import UTC, datetime
from typing import Any

METRICS = {  # name: (higher is better, percent floor, absolute floor)
    "latency": (False, 0.08, 0.5),
    "throughput": (True, 0.08, 0.05),
    "memory": (False, 0.05, 256.0),
    "text_encoder_time_s": (False, 0.05, 0.25),
    "dit_time_s": (False, 0.05, 0.25),
    "vae_decode_time_s": (False, 0.05, 0.25),
}
SIX = [
    "workload_id",
    "variant_id",
    "benchmark_version",
    "recipe_fingerprint",
    "hardware_profile_id",
    "software_profile_id",
]


def value_of(raw: Any) -> float | None:
    try:
        number = float(raw)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def metrics_of(record: dict[str, Any]) -> dict[str, float | None]:
    return {m: None if record.get(m) is None else value_of(record[m]) for m in METRICS}


def instant_of(record: dict[str, Any]) -> datetime:
    floor = datetime.min.replace(tzinfo=UTC)
    if not record.get("timestamp"):
        return floor
    try:
        stamp = datetime.fromisoformat(str(record["timestamp"]))
    except ValueError:
        return floor
    return stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)


def load(root: str) -> list[tuple[datetime, str, dict[str, Any]]]:
    found = []
    for path in glob.glob(os.path.join(root, "**", "*.json"), recursive=True):
        try:
            with open(path, encoding="utf-8") as file:
                record = json.load(file)
        except (OSError, ValueError):
            continue
        if isinstance(record, dict):
            found.append((instant_of(record), path, record))
    return sorted(found, key=lambda row: row[:2])


def successful(record: dict[str, Any], *, truth: bool = False) -> bool:
    answer = record.get("success", True)
    if not truth and isinstance(answer, str) and answer.strip().lower() in {"false", "0", "no", "off", ""}:
        return False
    return bool(answer)


def claims_identity(record: dict[str, Any]) -> bool:
    return str(record.get("result_schema_version")) == "2" or any(key in record for key in SIX)


def identity(record: dict[str, Any]) -> tuple[str, ...] | None:
    for key in SIX:
        if record.get(key) is None or (isinstance(record[key], str) and record[key].strip() == ""):
            return None
    return tuple(str(record[key]) for key in SIX)


def eligible(record: dict[str, Any]) -> bool:
    if record.get("baseline_eligible") is True:
        return True
    if "baseline_eligible" not in record and "run_source" not in record:
        return True
    # without identity nothing is ever marked: what the scheduled main run measured is the history
    return not claims_identity(record) and record.get("run_source") == "scheduled_main"


def limits_for(record: dict[str, Any], metric: str) -> tuple[float, float, bool]:
    _, percent, absolute = METRICS[metric]
    gated = True
    overrides = record.get("regression_thresholds")
    block = overrides.get(metric) if isinstance(overrides, dict) else None
    if isinstance(block, dict):
        given = block.get("threshold_percent")
        if not isinstance(given, bool) and isinstance(given, (int, float, str)) and value_of(given) is not None:
            percent = float(given)
        given = block.get("threshold_absolute")
        if not isinstance(given, bool) and isinstance(given, (int, float, str)) and value_of(given) is not None:
            absolute = float(given)
        given = block.get("gated")
        if isinstance(given, bool):
            gated = given
        elif str(given).strip().lower() in {"1", "true", "yes", "on"}:
            gated = True
        elif str(given).strip().lower() in {"0", "false", "no", "off"}:
            gated = False
    return percent, absolute, gated


class Comparator:
    """The history of a folder, and the results judged so far in this run."""

    def __init__(self, root: str, *, old_rules: bool = False) -> None:
        self.root = root
        self.old_rules = old_rules
        self.history = load(root)

    def window(self, record: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        own = identity(record)
        rows = []
        for instant, path, other in self.history:
            if not successful(other, truth=self.old_rules):
                continue
            if own is not None:
                if identity(other) != own or not eligible(other):
                    continue
            elif claims_identity(other) or str(other.get("gpu_type", "unknown")) != record["gpu_type"]:
                continue
            elif self.old_rules:
                if os.path.relpath(path, self.root).split(os.sep)[0] != record["model_id"]:
                    continue
            elif other.get("model_id") != record["model_id"] or not eligible(other):
                continue
            if all(v is None for v in metrics_of(other).values()):
                continue
            rows.append((instant, path, other))
        if self.old_rules:
            rows.sort(key=lambda row: row[1])
        return [(path, other) for _, path, other in rows][-5:]

    def other_recipes(self, record: dict[str, Any]) -> set[str]:
        own = identity(record)
        assert own is not None
        return {
            str(other.get("recipe_fingerprint"))
            for _, _, other in self.history
            if successful(other)
            and [str(other.get(k)) for k in SIX[:3]] == list(own[:3])
            and other.get("recipe_fingerprint") is not None
            and str(other.get("recipe_fingerprint")) != own[3]
            and (
                other.get("run_source") == "scheduled_main"
                or other.get("baseline_eligible") is True
                or (identity(other) is not None and eligible(other))
            )
        }

    def judge(
        self, record: dict[str, Any], *, static: dict[str, float], run_source: str, failed_run: bool, any_breach: bool
    ) -> dict[str, Any]:
        """Return status, window (paths, oldest first), medians, regressed metrics, success and eligibility."""
        current = metrics_of(record)
        broken = claims_identity(record) and identity(record) is None
        window = [] if broken else self.window(record)
        medians: dict[str, float | None] = {}
        regressed = []
        for metric, (higher, _, _) in METRICS.items():
            values = [v for v in (metrics_of(r)[metric] for _, r in window) if v is not None]
            base = medians[metric] = statistics.median(values) if values else None
            now = current[metric]
            if base is None or now is None or base <= 0:
                continue
            delta = base - now if higher else now - base
            percent, absolute, gated = limits_for(record, metric)
            if self.old_rules:
                exceeded, gated = delta / base > 0.05, True
            else:
                exceeded = delta / base > percent and delta > absolute
            if exceeded and gated:
                regressed.append(metric)
        breach = breaches(record, static)
        if broken:
            status = "INFRA_ERROR"
        elif identity(record) is not None and not window and self.other_recipes(record):
            status = "RECIPE_MISMATCH"
        elif breach:
            status = "REGRESSION"
        elif failed_run and not any_breach:
            status = "INFRA_ERROR"
        elif all(v is None for v in current.values()):
            status = "NOTHING_MEASURED"
        elif not window:
            status = "CALIBRATION_NEEDED" if identity(record) is not None else "PASS"
        else:
            status = "REGRESSION" if regressed else "PASS"
        claimed = "run_source" in record or "baseline_eligible" in record
        trusted = run_source == "scheduled_main" or (identity(record) is None and not claimed and run_source == "local")
        return {
            "status": status,
            "window": [path for path, _ in window],
            "medians": medians,
            "regressed": regressed,
            "success": status in ("PASS", "CALIBRATION_NEEDED"),
            "eligible": status == "PASS" and trusted,
        }

    def remember(self, path: str, record: dict[str, Any], verdict: dict[str, Any], run_source: str) -> None:
        """Add a judged result to the history, as a later result of the same run sees it."""
        judged = {
            **record,
            "success": verdict["success"],
            "baseline_eligible": verdict["eligible"],
            "run_source": run_source,
        }
        self.history.append((instant_of(record), path, judged))
        self.history.sort(key=lambda row: row[:2])


def breaches(record: dict[str, Any], static: dict[str, float]) -> bool:
    pairs = [
        ("latency", "max_generation_time_s"),
        ("memory", "max_peak_memory_mb"),
        ("text_encoder_time_s", "max_text_encoder_time_s"),
        ("dit_time_s", "max_dit_time_s"),
        ("vae_decode_time_s", "max_vae_decode_time_s"),
    ]
    current = metrics_of(record)
    measured = ((current[metric], limit) for metric, limit in pairs)
    return any(limit in static and value is not None and value > static[limit] for value, limit in measured)
