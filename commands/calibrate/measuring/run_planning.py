"""What a run is about to measure: a fresh plan on a commit, or the resumption of an old one."""

from __future__ import annotations

import fcntl
import os
import secrets
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from commands.calibrate.config.host import HostProfile
from commands.calibrate.config.interpreter import Interpreter, choose_interpreter
from commands.calibrate.config.model import ModelConfig
from commands.calibrate.config.planned_stages import planned_stage, refuse_drift
from commands.calibrate.config.repository import Repository
from commands.calibrate.config.selection import ALL, select_stages
from commands.calibrate.config.stages import read_stages
from commands.calibrate.config.stamps import compact_stamp, utc_stamp
from commands.calibrate.measured_repository import root_of
from commands.calibrate.run_directory import RunDirectory, to_file_json, write_if_changed
from commands.calibrate.sessions import follow
from gpu_runner import workspace
from gpu_runner.health import REASONS
from ledger.errors import BadInput, Conflict, Refused
from ledger.event import EventPayload, NewEvent
from ledger.events.calibrations import (
    CalibrationPlanned,
    CalibrationResumed,
    Plan,
    PlanContinued,
    PlannedStage,
)
from ledger.ledger import Ledger
from projections.calibration.current import CurrentSession
from projections.calibration.destructive_rounds import OBSERVATIONS_MIN
from projections.calibration.session import EMPTY_SHA256, STREAM_PREFIX, Session, plan_in_parts

if TYPE_CHECKING:
    from commands.calibrate.prechecking.check import Prechecked

RUNS_FOLDER = ".tune-runs"
DIFF_NAME = "workspace.diff"
REPEATS = 5

Say = Callable[[str], None]  # where notes for the person at the terminal go


class HeadNow(msgspec.Struct, frozen=True):
    """The measured checkout at this moment; diff_sha256 is None without changes to tracked files."""

    sha: str
    branch: str
    dirty: bool
    diff: bytes
    diff_sha256: str | None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one `run`; None where the command line does not give one."""

    model: str | None
    stages: str
    repeats: int | None
    output_dir: Path | None
    resume: bool
    max_passes: int
    skip_precheck: bool
    stages_yaml: Path | None
    config_dir: str | None
    host: str | None
    repo_root: str | None
    venv_python: str | None
    destructive_rejection: bool
    reject_when: str
    keep_caches: bool
    stop_early_alpha: float | None
    sync: bool
    stall_s: float | None
    wall_s: float | None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run happens: ledger, run directory, measured repository, model and host."""

    ledger: Ledger
    directory: RunDirectory
    root: Path
    model: ModelConfig
    host: HostProfile | None


def default_output_dir(model: str) -> Path:
    """`.tune-runs/<stamp>_<model>` below the working directory; a fresh one for every request."""
    return Path(RUNS_FOLDER) / f"{compact_stamp()}_{model}"


def _reasons(text: str) -> list[str]:
    """The health reasons of --reject-when. Raises `BadInput` for one there is not."""
    chosen = [part.strip() for part in text.split(",") if part.strip()]
    for reason in chosen:
        if reason not in REASONS:
            raise BadInput(
                f"--reject-when {reason}: no such health reason",
                code="unknown_reason",
                hint="one of " + ", ".join(REASONS),
                field="reject_when",
            )
    return chosen


def look_at_head(place: Place) -> HeadNow:
    """Return HEAD and the changes on top. Raises `BadInput` where there is no commit to plan on."""
    root, ledger = place.root, place.ledger
    seen = workspace.look(root)
    if seen.sha is None:
        Repository(root).head()  # says in git's words what is wrong
        raise AssertionError(root)
    repository = Repository(root)
    ours = (ledger.path.resolve(), place.directory.path.resolve())
    dirty = bool(seen.diff) or repository.dirty(ours=ours)
    digest = ledger.evidence.put(seen.diff, "text/x-diff") if seen.diff else None
    return HeadNow(seen.sha, repository.branch(), dirty, seen.diff, digest)


def fresh_session(say: Say, place: Place, asked: Asked, head: HeadNow) -> CurrentSession:
    """Select stages, precheck, and plan them on HEAD as a new session.

    Raises `BadInput` for an empty selection or a stale schema, `Refused` when the precheck fails;
    then nothing was planned.
    """
    schema_path = asked.stages_yaml or place.model.stages_path
    schema = read_stages(schema_path)
    chosen = select_stages(schema, asked.stages)
    if chosen.note:
        say(chosen.note)
    if not chosen.stages:
        raise BadInput("no stage was selected", code="no_stages", hint="perfledger calibrate stages")
    stages = [planned_stage(s, place.root, gpus=place.model.gpus_for(s.test)) for s in chosen.stages]
    refuse_drift(stages, place.root, place.model.name)
    repeats = asked.repeats or REPEATS
    _warn(say, asked, stages, repeats)
    host_python = place.host.venv_python if place.host else None
    interpreter = choose_interpreter(asked.venv_python, host_python, place.model)
    checked = None if asked.skip_precheck else _precheck(say, place, interpreter, stages)
    plan = Plan(
        model=place.model.name,
        stages=stages,
        repeats=repeats,
        run_dir=str(place.directory.path.resolve()),
        calibration_git_sha=head.sha,
        git_branch=head.branch,
        dirty=head.dirty,
        diff_sha256=head.diff_sha256,
        started_at=utc_stamp(),
        repo_root=str(place.root),
        venv_python=interpreter.path,
        venv_source=interpreter.source,
        stages_yaml=str(schema_path.resolve()),
        stages_yaml_sha256=place.ledger.evidence.put(schema_path.read_bytes(), "application/yaml"),
        destructive_rejection=asked.destructive_rejection,
        reject_when=_reasons(asked.reject_when),
        performance_sensitive=list(place.model.performance_sensitive),
        **_checked_fields(place.ledger, checked),
    )
    current = _append_plan(place.ledger, plan)
    _write_workspace(place.directory, current.session, head)
    if checked is not None:
        checked.write(place.directory.path)
    return current


def _append_plan(ledger: Ledger, plan: Plan) -> CurrentSession:
    session_id = f"{compact_stamp()}-{secrets.token_hex(6)}"
    stream = STREAM_PREFIX + session_id
    whole, parts = plan_in_parts(plan)
    payloads: list[EventPayload] = [CalibrationPlanned(session=session_id, plan=whole)]
    payloads += [PlanContinued(session=session_id, part=n, stages=p) for n, p in enumerate(parts, 1)]
    sha = plan.calibration_git_sha
    ledger.append([NewEvent(stream=stream, payload=p, git_sha=sha) for p in payloads], seen={stream: 0})
    current = CurrentSession(ledger, session_id)
    current.refresh()
    return current


def _warn(say: Say, asked: Asked, stages: list[PlannedStage], repeats: int) -> None:
    if asked.destructive_rejection and repeats < OBSERVATIONS_MIN:
        say(f"warning: fewer than {OBSERVATIONS_MIN} repeats: destructive rounds are not rejected")
    for stage in stages:
        lacking = [m.key for m in stage.metrics if not m.configured]
        if lacking:
            say(
                f"warning: {stage.key}: {', '.join(lacking)} needs configuration (metric_sources); "
                "the stage cannot become strict-ready"
            )


def _precheck(say: Say, place: Place, interpreter: Interpreter, stages: list[PlannedStage]) -> Prechecked:
    """Check what the selected stages need. Raises `Refused` naming the first gap; all are shown."""
    from commands.calibrate.prechecking.check import Subject, precheck

    subject = Subject(model=place.model, root=place.root, interpreter=interpreter, host=place.host, stages=stages)
    result = precheck(subject)
    say(result.findings.text())
    if not result.ok:
        raise Refused(
            f"precheck failed: {result.findings.errors[0].message}",
            code="precheck_failed",
            hint="close the gaps above, or --skip-precheck",
            gaps=[gap.message for gap in result.findings.errors],
        )
    return result


def _checked_fields(ledger: Ledger, checked: Prechecked | None) -> dict[str, Any]:
    document = checked.document if checked else None
    if not document:
        return {}
    versions = {k: str(v) for k, v in document.get("versions", {}).items() if v}
    data = to_file_json(document)
    return {
        "gpu_summary": str(document.get("gpu_summary") or ""),
        "versions": versions,
        "precheck_sha256": ledger.evidence.put(data, "application/json"),
    }


def resume_session(place: Place, current: CurrentSession, wanted: str, head: HeadNow) -> frozenset[str]:
    """Go on with a session: same commit or one proven equivalent, same workspace.

    wanted: `ALL` is every stage of the plan, else a comma list of its stage keys and `@group`s.
    Returns the stages to run. Raises `BadInput` for anything that would mix measurements.
    """
    session = current.session
    if session.imported:
        raise BadInput(
            f"{place.directory.path} was measured by another tool",
            code="foreign_run",
            hint="resume it there, or start a fresh --output-dir",
        )
    session = current.refresh() or session  # as it is now that this process holds the run directory
    stages = _subset(session, wanted)
    commit = session.plan.calibration_git_sha
    changed: list[str] = []
    if head.sha not in session.accepted_commits:
        changed, breaking = Repository(place.root).prove_equivalent(commit, head.sha)
        if breaking:
            raise BadInput(
                f"HEAD {head.sha[:8]} is not the calibration commit {commit[:8]}, and "
                f"{', '.join(breaking[:5])} may change what is measured",
                code="other_commit",
                hint=f"git checkout {commit}, or start a fresh --output-dir",
                changed=breaking,
            )
    digest = head.diff_sha256 if head.diff_sha256 != EMPTY_SHA256 else None
    if digest != session.plan.diff_sha256:
        raise BadInput(
            "tracked files are not as they were when the session was planned",
            code="workspace_changed",
            hint=f"git -C {place.root} diff HEAD, and undo what is not of the plan",
        )
    refuse_drift(session.plan.stages, place.root, session.plan.model)
    payload = CalibrationResumed(
        session=session.id,
        git_sha=head.sha,
        dirty=head.dirty,
        stages=sorted(stages),
        resumed_at=utc_stamp(),
        equivalent=bool(changed) or head.sha != commit,
        changed_files=changed,
    )
    session = follow(current, [NewEvent(stream=session.stream, payload=payload)])
    _write_workspace(place.directory, session, head)
    place.directory.project(session)
    return stages


def _subset(session: Session, wanted: str) -> frozenset[str]:
    known = session.stages
    if wanted == ALL:
        return frozenset(known)
    chosen: set[str] = set()
    for token in (t.strip() for t in wanted.split(",") if t.strip()):
        group = [k for k, stage in known.items() if token == f"@{stage.group}"]
        if token not in known and not group:
            raise BadInput(
                f"stage {token!r} is not in the plan of this session",
                code="not_in_plan",
                hint="one of: " + ", ".join(known),
                stage=token,
            )
        chosen.update(group or [token])
    return frozenset(chosen)


def _write_workspace(directory: RunDirectory, session: Session, head: HeadNow) -> None:
    directory.write_plan(session)
    if head.diff:
        write_if_changed(directory.path / DIFF_NAME, head.diff)


def resume_command(session: Session, place: Place) -> str:
    """The command line that goes on with a session in this place; it works as printed, for subsets too."""
    words = ["perfledger", "calibrate", "run", "--model", session.plan.model]
    words += ["--output-dir", str(place.directory.path), "--resume"]
    if root_of(session, place.directory.path) != place.root.resolve():
        words += ["--repo-root", str(place.root)]
    return shlex.join(words)


@contextmanager
def only_runner(directory: RunDirectory) -> Iterator[None]:
    """Hold the run directory for one `run`; the kernel lets go when the process ends, however it does.

    A run that was refused before anything was planned leaves no folder behind that was made for it. Raises `Conflict`
    when another process measures here.
    """
    path = directory.path / ".run.lock"
    made = [folder for folder in (directory.path, *directory.path.parents) if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            raise Conflict(
                f"process {holder or '?'} is measuring in {directory.path}",
                code="run_active",
                hint=f"perfledger calibrate watch {directory.path}",
                run_dir=str(directory.path),
            ) from None
        if os.fstat(descriptor).st_nlink == 0:
            raise Conflict(f"a run in {directory.path} has just been refused", code="run_active", hint="run it again")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        try:
            yield
        finally:
            if not directory.exists():
                _remove_unused(path, made)
    finally:
        os.close(descriptor)


def _remove_unused(lock: Path, made: list[Path]) -> None:
    """Remove the lock and, innermost first, the folders made for it, as far as they hold nothing else."""
    lock.unlink(missing_ok=True)
    for folder in made:
        try:
            folder.rmdir()
        except OSError:
            return
