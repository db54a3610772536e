"""What a run is about to measure: a fresh plan on a commit, or the resumption of an old one."""

from __future__ import annotations

import fcntl
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from commands.calibrate.config.model import ModelConfig
from commands.calibrate.config.selection import ALL
from commands.calibrate.planning import refuse_drift
from commands.calibrate.repository import Repository
from commands.calibrate.run_directory import RunDirectory
from commands.calibrate.sessions import follow, read_session
from commands.calibrate.stamps import compact_stamp, utc_stamp
from gpu_runner import workspace
from ledger.errors import BadInput, Conflict
from ledger.event import NewEvent
from ledger.events.calibrations import CalibrationPlanned, CalibrationResumed, Plan, PlannedStage
from projections.calibration_session import EMPTY_SHA256, STREAM_PREFIX, Session

if TYPE_CHECKING:
    from ledger.ledger import Ledger

RUNS_FOLDER = ".tune-runs"
DIFF_NAME = "workspace.diff"


class Interpreter(msgspec.Struct, frozen=True):
    """The Python that runs pytest, and who chose it: flag, env, host, default, or this one."""

    path: str
    source: str


class HeadNow(msgspec.Struct, frozen=True):
    """The measured checkout at this moment; diff_sha256 is None without changes to tracked files."""

    sha: str
    branch: str
    dirty: bool
    diff: bytes
    diff_sha256: str | None


def default_output_dir(model: str) -> Path:
    """`.tune-runs/<stamp>_<model>` below the working directory; a fresh one for every request."""
    return Path(RUNS_FOLDER) / f"{compact_stamp()}_{model}"


def choose_interpreter(
    given: str | None, host_python: str | None, model: ModelConfig
) -> Interpreter:
    """--venv-python, $TUNE_VENV_PYTHON, the host profile, the model's default, else this Python."""
    candidates = (
        ("flag", given),
        ("env", os.environ.get("TUNE_VENV_PYTHON")),
        ("host", host_python),
        ("default", model.venv_python()),
    )
    for source, path in candidates:
        if path:
            return Interpreter(path, source)
    return Interpreter(sys.executable, "this interpreter")


def look_at_head(ledger: Ledger, root: Path) -> HeadNow:
    """Return HEAD and the changes on top. Raises `BadInput` where there is no commit to plan on."""
    seen = workspace.look(root)
    if seen.sha is None:
        Repository(root).head()  # says in git's words what is wrong
        raise AssertionError(root)
    branch = Repository(root).branch()
    digest = ledger.evidence.put(seen.diff, "text/x-diff") if seen.diff else None
    return HeadNow(seen.sha, branch, bool(seen.dirty), seen.diff, digest)


def new_plan(
    ledger: Ledger, directory: RunDirectory, stages: list[PlannedStage], repeats: int, *,
    model: ModelConfig, root: Path, interpreter: Interpreter, head: HeadNow, schema: Path,
    rejection: bool, precheck: Mapping[str, object],
) -> Session:  # fmt: skip
    """Plan a fresh session. Raises `BadInput` when the directory holds a plan or the schema is stale."""
    if directory.exists():
        raise BadInput(
            f"{directory.plan_path} exists already; nothing was run",
            code="plan_exists",
            hint="give a fresh --output-dir, or --resume to go on with that session",
            run_dir=str(directory.path),
        )
    if not stages:
        raise BadInput("no stage was selected", code="no_stages", hint="perfledger calibrate stages")
    refuse_drift(stages, root, model.name)
    directory.path.mkdir(parents=True, exist_ok=True)
    versions = precheck.get("versions")
    plan = Plan(
        model=model.name, stages=stages, repeats=repeats, run_dir=str(directory.path.resolve()),
        calibration_git_sha=head.sha, git_branch=head.branch, dirty=head.dirty,
        diff_sha256=head.diff_sha256, started_at=utc_stamp(), repo_root=str(root),
        venv_python=interpreter.path, venv_source=interpreter.source,
        stages_yaml=str(schema.resolve()),
        stages_yaml_sha256=ledger.evidence.put(schema.read_bytes(), "application/yaml"),
        gpu_summary=str(precheck.get("gpu_summary") or ""),
        versions={str(k): str(v) for k, v in versions.items()} if isinstance(versions, dict) else {},
        destructive_rejection=rejection, performance_sensitive=list(model.performance_sensitive),
    )  # fmt: skip
    session_id = f"{compact_stamp()}-{secrets.token_hex(6)}"
    payload = CalibrationPlanned(session=session_id, plan=plan)
    stream = STREAM_PREFIX + session_id
    ledger.append([NewEvent(stream=stream, payload=payload, git_sha=head.sha)], seen={stream: 0})
    session = read_session(ledger, session_id)
    assert session is not None
    _write_workspace(directory, session, head)
    return session


def resume(
    ledger: Ledger, directory: RunDirectory, session: Session, wanted: str, head: HeadNow
) -> tuple[Session, frozenset[str]]:
    """Go on with a session: same commit or one proven equivalent, same workspace.

    wanted: `ALL` is every stage of the plan, else a comma list of its stage keys and `@group`s.
    Returns the session and the stages to run. Raises `BadInput` for anything that would mix measurements.
    """
    if session.imported:
        raise BadInput(
            f"{directory.path} was measured by another tool",
            code="foreign_run",
            hint="resume it there, or start a fresh --output-dir",
        )
    stages = _subset(session, wanted)
    commit = session.plan.calibration_git_sha
    changed: list[str] = []
    if head.sha not in session.accepted_commits:
        changed, breaking = Repository(Path(session.plan.repo_root)).prove_equivalent(commit, head.sha)
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
            hint=f"git -C {session.plan.repo_root} diff HEAD, and undo what is not of the plan",
        )
    refuse_drift(session.plan.stages, Path(session.plan.repo_root), session.plan.model)
    payload = CalibrationResumed(
        session=session.id, git_sha=head.sha, dirty=head.dirty, stages=sorted(stages),
        resumed_at=utc_stamp(), equivalent=bool(changed) or head.sha != commit,
        changed_files=changed,
    )  # fmt: skip
    session = follow(ledger, session, [NewEvent(stream=session.stream, payload=payload)])
    _write_workspace(directory, session, head)
    directory.project(session)
    return session, stages


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
        (directory.path / DIFF_NAME).write_bytes(head.diff)


@contextmanager
def only_runner(directory: RunDirectory) -> Iterator[None]:
    """Hold the run directory for one `run`; the kernel lets go when the process ends, however it does.

    Raises `Conflict` when another process measures here.
    """
    path = directory.path / ".run.lock"
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
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
