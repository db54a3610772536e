"""From `stages.yaml` to what a session plans: the schema as events keep it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from commands.calibrate.config.context_values import context_values
from commands.calibrate.config.stages import JsonPath, Metric, Stage, StagesFile
from ledger.errors import BadInput
from ledger.events.calibrations import EvidencePattern, PlannedMetric, PlannedStage, SampleSource


def planned_stage(stage: Stage, repo_root: Path | None, *, gpus: int | None = None) -> PlannedStage:
    """Return a stage as the plan holds it; context literals are read below `repo_root` when given."""
    counts = stage.sample_counts
    test_file = (repo_root / stage.test) if repo_root else Path(stage.test)
    return PlannedStage(
        key=stage.key,
        test=stage.test,
        title=stage.title,
        group=stage.group,
        metrics=[_metric(metric) for metric in stage.metrics.values()],
        extra_env=dict(stage.extra_env),
        context=context_values(test_file, stage.context_vars),
        variant=stage.variant,
        calibration_preset=stage.calibration_preset,
        gpus=stage.gpus if stage.gpus is not None else gpus,
        hf_model_ids=list(stage.hf_model_ids),
        expected_samples=stage.expected_samples,
        samples_total=_source(counts.total) if counts else None,
        samples_ok=_source(counts.ok) if counts else None,
        sample_columns=counts is not None,
        test_file_sha256=stage.test_file_sha256 or None,
        threshold_file=stage.threshold_file,
        threshold_file_sha256=stage.threshold_file_sha256,
        evidence_patterns=[EvidencePattern(name=n, pattern=p) for n, p in stage.runtime_evidence.items()],
        observation_validity=_joined(stage.observation_validity),
        allowed_pytest_failure=_joined(stage.allowed_pytest_failure),
    )


def planned_stages(keys: Iterable[str], schema: StagesFile, repo_root: Path | None) -> list[PlannedStage]:
    """Return the stages of a plan in its order. Raises `BadInput` for a key the schema lacks."""
    return [planned_stage(schema.get(key), repo_root) for key in keys]


def drift(stages: Iterable[PlannedStage], repo_root: Path) -> list[str]:
    """Name the stages whose test or threshold file is not the one `discover` read.

    Raises `BadInput` for a file that is missing: nothing could be measured.
    """
    digests: dict[str, str] = {}
    lines: list[str] = []
    for stage in stages:
        pairs = [("test", stage.test, stage.test_file_sha256)]
        if stage.threshold_file:
            pairs.append(("threshold", stage.threshold_file, stage.threshold_file_sha256))
        for kind, path, recorded in pairs:
            if path not in digests:
                digests[path] = _digest(repo_root, path, stage.key)
            if recorded and digests[path] != recorded:
                lines.append(f"{stage.key} {kind} sha mismatch")
    return lines


def refuse_drift(stages: Iterable[PlannedStage], repo_root: Path, model: str) -> None:
    """Raise `BadInput` when the schema was made from other files than those about to be run."""
    lines = drift(stages, repo_root)
    if lines:
        raise BadInput(
            f"stages.yaml is stale: {', '.join(lines)}; nothing was run",
            code="stale_schema",
            hint=f"perfledger calibrate discover --model {model}",
            drift=lines,
        )


def file_digest(path: Path) -> str:
    """SHA-256 hex of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(repo_root: Path, path: str, stage: str) -> str:
    try:
        return file_digest(repo_root / path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise BadInput(
            f"stage {stage}: {repo_root / path} does not exist",
            code="test_file_missing",
            hint="give the measured repository with --repo-root, or run discover again",
            file=str(repo_root / path),
        ) from None


def _metric(metric: Metric) -> PlannedMetric:
    return PlannedMetric(
        key=metric.key,
        source=metric.source,
        worst=metric.worst,
        label=metric.display.label,
        scale=metric.display.scale,
        digits=metric.display.digits,
        json_file=metric.at.json_file,
        json_path=metric.at.json_path,
        configured=metric.at.configured,
    )


def _source(place: JsonPath) -> SampleSource | None:
    if place.json_file is None or place.json_path is None:
        return None
    return SampleSource(json_file=place.json_file, json_path=place.json_path)


def _joined(place: JsonPath | None) -> str | None:
    """`file::dotted.path`, the notation of config.yaml."""
    if place is None or place.json_file is None or place.json_path is None:
        return None
    return f"{place.json_file}::{place.json_path}"
