"""A run directory that another tool wrote, as events.

What changed or vanished since the last look is an event, never a silent update."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from commands.calibrate.config.planned_stages import file_digest, planned_stages
from commands.calibrate.config.stages import read_stages
from commands.calibrate.measured_repository import came_along, moved_along
from commands.calibrate.run_directory import SESSION_KEY, RunDirectory, read_run_file
from ledger import canonical
from ledger.errors import BadInput
from ledger.event import EventPayload, NewEvent
from ledger.events.calibrations import (
    Plan,
    PlanContinued,
    PlannedStage,
    RunDirectoryImported,
    RunFileVanished,
)
from projections.calibration.session import STREAM_PREFIX, Session, plan_in_parts, units_of

if TYPE_CHECKING:
    from ledger.ledger import Ledger


LEGACY_SCHEMA = ".claude/skills/tune-ci-thresholds/models/{model}/stages.yaml"


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says about a run directory: where its schema and repository are."""

    stages_yaml: Path | None = None
    repo_root: Path | None = None
    logs: bool = False


def session_id_of(plan: Mapping[str, Any]) -> str:
    """Return the session a plan.json belongs to: the one it names, else a name from what identifies it.

    Derived from model, stages, repeats, time stamp and commit, so that a copy of the directory, or
    another machine, arrives at the same session.
    """
    named = plan.get(SESSION_KEY)
    if isinstance(named, str) and re.fullmatch(r"[A-Za-z0-9._-]{1,80}", named):
        return named
    identity = {
        key: plan.get(key) for key in ("model", "stages", "repeats", "timestamp", "calibration_git_sha", "git_sha")
    }
    digest = hashlib.sha256(canonical.encode(identity)).hexdigest()
    stamp = re.sub(r"[^0-9TZ]", "", str(plan.get("timestamp") or "")) or "undated"
    return f"{stamp}-{digest[:12]}"


def new_events(ledger: Ledger, directory: RunDirectory, known: Session | None, sources: Sources) -> list[NewEvent]:
    """Return the events that bring the ledger level with a run directory; empty when it is.

    Raises `BadInput` when the directory has no plan, or its schema cannot be found.
    """
    document, data = directory.plan()
    session = session_id_of(document)
    plan = _plan(ledger, directory, document, known, sources)
    payloads: list[EventPayload] = []
    if known is None or known.plan != plan:
        digest = ledger.evidence.put(data, "application/json")
        whole, parts = plan_in_parts(plan)
        payloads.append(RunDirectoryImported(session=session, plan=whole, plan_sha256=digest))
        payloads += [PlanContinued(session=session, part=n, stages=p) for n, p in enumerate(parts, 1)]
    payloads += _run_files(ledger, directory, session, plan, known, sources)
    return [NewEvent(stream=STREAM_PREFIX + session, payload=p) for p in payloads]


def _run_files(
    ledger: Ledger,
    directory: RunDirectory,
    session: str,
    plan: Plan,
    known: Session | None,
    sources: Sources,
) -> list[EventPayload]:
    payloads: list[EventPayload] = []
    stages = {stage.key: stage for stage in plan.stages}
    units = {key: unit.name for unit in units_of(plan) for key in unit.keys}
    seen = dict(known.observations) if known else {}
    kept: dict[Path, str] = {}
    for stage, repeat, data in directory.run_files(list(stages)):
        before = seen.pop((stage, repeat), None)
        digest = hashlib.sha256(data).hexdigest()
        if before is not None and before.sha256 == digest:
            continue
        payload = read_run_file(session, stage, repeat, data)
        if sources.logs or stages[stage].evidence_patterns:
            log = directory.pytest_log(units[stage], repeat)
            if sources.logs and log.is_file() and log not in kept:
                kept[log] = ledger.evidence.put_file(log)
            found = look_for_evidence(stages[stage], log)
            payload = msgspec.structs.replace(payload, log_found=found, log_sha256=kept.get(log))
        payloads.append(payload)
    payloads += [
        RunFileVanished(session=session, stage=stage, repeat=repeat, sha256=gone.sha256)
        for (stage, repeat), gone in sorted(seen.items())
        if stage in stages
    ]
    return payloads


def look_for_evidence(stage: PlannedStage, log: Path) -> dict[str, str | None]:
    """Return, for each evidence pattern of a stage, the first log line it matches, or None.

    Empty when the stage has no patterns or the log is not there. Raises `BadInput` for a pattern that
    is not a regular expression.
    """
    if not stage.evidence_patterns or not log.is_file():
        return {}
    patterns: dict[str, re.Pattern[str]] = {}
    for wanted in stage.evidence_patterns:
        try:
            patterns[wanted.name] = re.compile(wanted.pattern)
        except re.error as error:
            raise BadInput(
                f"stage {stage.key}: runtime evidence {wanted.name!r} is not a regular expression: {error}",
                code="bad_pattern",
                hint="correct runtime_evidence in config.yaml and run discover again",
            ) from None
    found: dict[str, str | None] = dict.fromkeys(patterns)
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            for name, pattern in patterns.items():
                if found[name] is None and pattern.search(line):
                    found[name] = line.strip()[:400]
            if None not in found.values():
                break
    return found


def _plan(
    ledger: Ledger,
    directory: RunDirectory,
    document: Mapping[str, Any],
    known: Session | None,
    sources: Sources,
) -> Plan:
    root = _repo_root(directory, document, known, sources)
    stages, schema, schema_sha = _schema(ledger, document, known, sources, root)
    precheck = directory.precheck()
    versions = precheck.get("versions")
    text = _TextOf(document)
    return Plan(
        model=document["model"],
        stages=stages,
        repeats=document["repeats"],
        run_dir=str(directory.path.resolve()),
        calibration_git_sha=text("calibration_git_sha") or text("git_sha"),
        git_branch=text("git_branch"),
        dirty=document.get("dirty") is True,
        started_at=text("calibration_started_at") or text("timestamp"),
        repo_root=str(root) if root else "",
        venv_python=text("venv_python"),
        venv_source=text("venv_source"),
        tune_version=text("tune_version") or None,
        stages_yaml=schema,
        stages_yaml_sha256=schema_sha,
        gpu_summary=_TextOf(precheck)("gpu_summary"),
        versions={k: v for k, v in versions.items() if isinstance(v, str)} if isinstance(versions, dict) else {},
        equivalent_commits=_texts(document.get("equivalent_commits")),
    )


def _schema(
    ledger: Ledger,
    document: Mapping[str, Any],
    known: Session | None,
    sources: Sources,
    root: Path | None,
) -> tuple[list[PlannedStage], str, str | None]:
    path = _schema_path(document, known, sources, root)
    if path is None:
        if known is not None:  # the file is gone, what it said is in the log
            return list(known.plan.stages), known.plan.stages_yaml, known.plan.stages_yaml_sha256
        raise BadInput(
            f"the stages.yaml of this run ({document.get('stages_yaml') or 'not named'}) is not here",
            code="stages_missing",
            hint="give it with --stages-yaml FILE",
        )
    if known is not None and known.plan.stages_yaml_sha256 == file_digest(path):
        same_root = known.plan.repo_root == (str(root) if root else "")
        if same_root and [s.key for s in known.plan.stages] == list(document["stages"]):
            return list(known.plan.stages), str(path), known.plan.stages_yaml_sha256
    schema = read_stages(path)
    digest = ledger.evidence.put(path.read_bytes(), "application/yaml")
    return planned_stages(document["stages"], schema, root), str(path), digest


def _schema_path(
    document: Mapping[str, Any], known: Session | None, sources: Sources, root: Path | None
) -> Path | None:
    if sources.stages_yaml is not None:
        return sources.stages_yaml.resolve()
    named = document.get("stages_yaml")
    candidates = []
    if known and known.plan.stages_yaml:
        recorded = known.plan.stages_yaml
        candidates = [*([moved_along(known.plan, root, recorded)] if root else []), Path(recorded)]
    if isinstance(named, str) and named:
        candidates.append(Path(named))
    if root is not None:
        if isinstance(named, str) and named:
            candidates.append(root / named)
        candidates.append(root / LEGACY_SCHEMA.format(model=document["model"]))
    return next((path.resolve() for path in candidates if path.is_file()), None)


def _repo_root(
    directory: RunDirectory, document: Mapping[str, Any], known: Session | None, sources: Sources
) -> Path | None:
    """Return the given root, the known one, else the checkout that holds the named stages.yaml."""
    if sources.repo_root is not None:
        if not sources.repo_root.is_dir():
            raise BadInput(f"no such folder: {sources.repo_root}", code="no_repository", hint="give --repo-root")
        return sources.repo_root.resolve()
    if known is not None and known.plan.repo_root:
        return came_along(known.plan, directory.path) or Path(known.plan.repo_root)
    schema = sources.stages_yaml or Path(str(document.get("stages_yaml") or ""))
    for folder in schema.resolve().parents if str(schema) not in ("", ".") else ():
        if (folder / ".git").exists():
            return folder
    return None


class _TextOf:
    """Text fields of a JSON object; anything else reads as empty."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    def __call__(self, field: str) -> str:
        value = self.document.get(field)
        return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []
