"""The stricter rules of a first baseline for an identity: only approved calibrations of main may begin one."""

from __future__ import annotations

from collections.abc import Sequence

from commands.reseed.work.sources import Source
from ledger.errors import BadInput, Refused
from projections.facts.record import CORE
from projections.reseed.medians import HistoryRecord
from projections.results.identity import RECIPE_COHORT_FIELDS
from projections.results.record_shape import succeeded

REQUIRED = (
    ("result_schema_version", 2, "the integer 2"),
    ("comparison_status", "CALIBRATION_NEEDED", "CALIBRATION_NEEDED"),
    ("success", True, "true"),
    ("baseline_eligible", False, "false"),
    ("run_source", "scheduled_main", "scheduled_main"),
    ("branch", "main", "main"),
    ("test_scope", "full", "full"),
)


def check_sources(sources: Sequence[Source]) -> None:
    """Raise `BadInput` naming file and field of the first source that may not begin an identity's baseline."""
    seen: dict[str, str] = {}
    for source in sources:
        record = source.record
        for field, wanted, words in REQUIRED:
            value = record.get(field)
            if type(value) is not type(wanted) or value != wanted:
                raise _bad(source.path, field, f"is {value!r}, a first seed needs {words}")
        if record.get("pr_number") not in (None, ""):
            raise _bad(source.path, "pr_number", f"is {record['pr_number']!r}, a first seed comes from main")
        for metric in CORE:
            if record.get(metric) is None:
                raise _bad(source.path, metric, "is missing")
        run = str(record.get("job_id") or record.get("build_id") or (record.get("commit_sha"), record.get("timestamp")))
        if run in seen:
            raise _bad(source.path, "job_id", f"is the same run as {seen[run]}")
        seen[run] = source.path


def check_history(sources: Sequence[Source], records: Sequence[HistoryRecord]) -> None:
    """Raise `Refused` when the same workload, variant and version has a trusted result with another recipe."""
    mine = sources[0].record
    recipe = str(mine.get("recipe_fingerprint"))
    for found in records:
        record = found.record
        if any(str(record.get(f)) != str(mine.get(f)) for f in RECIPE_COHORT_FIELDS):
            continue
        trusted = record.get("run_source") == "scheduled_main" or record.get("baseline_eligible") is True
        if trusted and succeeded(record.get("success", True)) and str(record.get("recipe_fingerprint")) != recipe:
            raise Refused(
                f"{found.path} has the same workload, variant and version with another recipe "
                f"({str(record.get('recipe_fingerprint'))[:12]}); a first seed would mix recipes",
                code="recipe_mismatch",
                hint="give the new recipe a new benchmark_version",
                path=found.path,
            )


def _bad(path: str, field: str, why: str) -> BadInput:
    return BadInput(
        f"{path}: field {field} {why}; nothing was planned",
        code="not_a_first_seed",
        hint="the first baseline of an identity is seeded from scheduled runs of main",
        file=path,
        field=field,
    )
