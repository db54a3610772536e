"""Raw benchmark results, `perf_*.json`: what the test run wrote, normalized as its history stores it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from commands.intake.formats.measured import Measured
from ledger.errors import BadInput
from projections.facts.record import METRICS
from projections.results.metric_policy import effective_limits, limits_as_dict
from projections.results.record_shape import STATIC_FIELDS, Record, measurement, storable_record
from projections.results.run_source import RUN_SOURCES, detect_run_source, pull_request

NAME = "raw"

# normalized metric, field of the raw result
METRIC_FIELDS = tuple((metric.name, metric.raw) for metric in METRICS)
SAMPLE_FIELDS = (("latency", "individual_times_s"), ("memory", "individual_peak_memories_mb"))
# field of both shapes, variable of the CI service that replaces it
PROVENANCE = (
    ("branch", "BUILDKITE_BRANCH"),
    ("pr_number", "BUILDKITE_PULL_REQUEST"),
    ("test_scope", "TEST_SCOPE"),
    ("build_url", "BUILDKITE_BUILD_URL"),
    ("build_id", "BUILDKITE_BUILD_ID"),
    ("job_id", "BUILDKITE_JOB_ID"),
)
COPIED = (
    "result_schema_version",
    "workload_id",
    "variant_id",
    "benchmark_version",
    "recipe",
    "recipe_fingerprint",
    "hardware_profile",
    "hardware_profile_id",
    "software_profile",
    "software_profile_id",
    "environment_metadata",
    "environment_fingerprint",
    "quality_metadata",
    "variant_metadata",
)


def matches(value: Mapping[str, Any]) -> bool:
    """Whether an object is a raw result."""
    return "benchmark_id" in value or "avg_generation_time_s" in value


def read(value: Mapping[str, Any], *, data: bytes, path: str, env: Mapping[str, str]) -> Measured:
    """Normalize a raw result. Raises `BadInput` when a field that names things is no text."""
    record, lost = storable_record(normalize(value, env, path=path))
    own_names = dict(METRIC_FIELDS)
    unusable = {own_names.get(name, name): reason for name, reason in lost.items()}
    samples = {metric: found for metric, name in SAMPLE_FIELDS if (found := _samples(value.get(name)))}
    return Measured(
        record=record,
        path=path,
        format=NAME,
        data=data,
        unusable=unusable,
        samples=samples,
        static_limits=_static_limits(value.get("thresholds")),
    )


def normalize(value: Mapping[str, Any], env: Mapping[str, str], *, path: str = "result") -> Record:
    """Return the normalized record of a raw result, before any comparison.

    What the raw result says wins over the environment. Metrics are still as they came (NaN included).
    """
    source = value.get("run_source")
    record: Record = {
        "model_id": _text(value, "benchmark_id", "unknown", path),
        "timestamp": _text(value, "timestamp", "", path) or datetime.now(UTC).isoformat(),
        "commit_sha": _text(value, "commit", "", path) or env.get("BUILDKITE_COMMIT", ""),
        "gpu_type": _text(value, "device", "unknown", path),
    }
    record.update({metric: value.get(name) for metric, name in METRIC_FIELDS})
    record["success"] = True
    record["regression_thresholds"] = limits_as_dict(effective_limits(value.get("regression_thresholds")))
    record["run_source"] = source if source in RUN_SOURCES else detect_run_source(env)
    record["baseline_eligible"] = False
    for name, variable in PROVENANCE:
        found = value.get(name) or env.get(variable, "")
        record[name] = pull_request(found) if name == "pr_number" else found
    record.update({name: value[name] for name in COPIED if value.get(name) is not None})
    recipe = value.get("recipe")
    benchmark = recipe.get("benchmark") if isinstance(recipe, dict) else None
    if isinstance(benchmark, dict):
        for name in ("workload_id", "variant_id", "benchmark_version"):
            if name not in record and benchmark.get(name) is not None:
                record[name] = benchmark[name]
    return record


def _text(value: Mapping[str, Any], name: str, default: str, path: str) -> str:
    found = value.get(name, default)
    if found is None:
        return default
    if not isinstance(found, str):
        raise BadInput(
            f"{path}: field {name} is {found!r}; it must be text",
            code="bad_field",
            hint="correct the file that the benchmark wrote",
            file=path,
            field=name,
        )
    return found


def _samples(values: Any) -> list[float]:
    if not isinstance(values, list):
        return []
    numbers = [measurement(item)[0] for item in values]
    return [number for number in numbers if number is not None]


def _static_limits(block: Any) -> dict[str, float]:
    if not isinstance(block, dict):
        return {}
    names = [limit for _, limit, _ in STATIC_FIELDS]
    return {name: number for name in names if (number := measurement(block.get(name))[0]) is not None}
