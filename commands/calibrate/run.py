"""`perfledger calibrate run`: measure the selected stages N times on one commit."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from commands.calibrate import milestones
from commands.calibrate.config.model import ModelConfig
from commands.calibrate.config.options import config_dir_option, host_option, model_option, repo_root_option
from commands.calibrate.config.selection import ALL, select_stages
from commands.calibrate.config.stages import read_stages
from commands.calibrate.config.workspace import find_workspace
from commands.calibrate.measuring import Halted, Measuring, Settings
from commands.calibrate.planning import planned_stage
from commands.calibrate.run_directory import RunDirectory
from commands.calibrate.run_planning import (
    choose_interpreter,
    default_output_dir,
    look_at_head,
    new_plan,
    only_runner,
)
from commands.calibrate.run_planning import (
    resume as resume_session,
)
from commands.calibrate.sessions import follow, read_session
from commands.common import App, command
from gpu_runner.request import GatePolicy, Limits
from ledger.errors import BadInput, Refused, Unavailable
from ledger.event import NewEvent
from ledger.events.calibrations import CalibrationEnded
from projections.audit import readiness
from projections.calibration_session import Session, units_of
from projections.destructive_rounds import OBSERVATIONS_MIN

if TYPE_CHECKING:
    from ledger.ledger import Ledger


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one `run`."""

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
    stall_s: float | None
    wall_s: float | None


@command("run")
@model_option
@click.option("--stages", default=ALL, metavar="S", help="Keys, @groups, bases; ALL is all of them.")
@click.option("--repeats", type=click.IntRange(1), metavar="N", help="Strict repeats per stage. Default 5.")
@click.option("--output-dir", type=click.Path(path_type=Path), help="A fresh folder. Default: below .tune-runs/.")
@click.option("--resume", is_flag=True, help="Go on with the session in --output-dir.")
@click.option("--max-passes", type=click.IntRange(1), default=10, show_default=True, help="Passes over what is missing.")
@click.option("--skip-precheck", is_flag=True, help="Do not check interpreter, pins, assets and GPUs first.")
@click.option("--stages-yaml", type=click.Path(path_type=Path), help="The schema. Default: the model's own.")
@click.option("--venv-python", metavar="PATH", help="The interpreter that runs pytest.")
@click.option("--destructive-rejection/--no-destructive-rejection", default=True, help="Replace destructive rounds.")
@click.option("--stall-limit", "stall_s", type=click.FloatRange(1), metavar="S", help="Seconds a log may stand still.")
@click.option("--wall-limit", "wall_s", type=click.FloatRange(1), metavar="S", help="Seconds one attempt may take.")
@config_dir_option
@host_option
@repo_root_option
def run(app: App, **options: Any) -> int:
    """Measure stages N times on HEAD; audited, resumable, and reported when strict-ready.

    Exit 0: complete and reported. 1: incomplete, halted or not ready; the last line says how to go on.
    """
    asked = Asked(**options)
    session = _run(app, asked)
    ledger = app.ledger()
    result = readiness(session)
    resume_with = resume_command(session)
    if not result.ready:
        lines = milestones.incomplete_lines(result, resume_with) if result.missing else [
            f"error: not ready: {'; '.join(result.reasons)}"
        ]
        app.emit(_document(session), milestones.joined(lines))
        return 1
    from commands.calibrate.report import write_report

    written = write_report(ledger, session, shown_dir=session.plan.run_dir)
    app.emit({**_document(session), "report": str(written)}, f"report written to {written}")
    return 0


def _run(app: App, asked: Asked) -> Session:
    ledger = app.ledger()
    space = find_workspace(asked.config_dir)
    model = space.model(asked.model)
    host = space.host(asked.host)
    if host is not None:
        app.note(f"host: {host.name} (repo={host.repo_root})")
    directory = RunDirectory(asked.output_dir or default_output_dir(model.name))
    if directory.exists() and not asked.resume:
        raise BadInput(
            f"{directory.plan_path} exists already; nothing was run",
            code="plan_exists",
            hint="give a fresh --output-dir, or --resume to go on with that session",
            run_dir=str(directory.path),
        )
    known = _known(ledger, directory) if directory.exists() else None
    root = Path(known.plan.repo_root) if known else space.repo_root(given=asked.repo_root, host=host)
    with only_runner(directory):
        head = look_at_head(ledger, root)
        if known is not None:
            session, wanted = resume_session(ledger, directory, known, asked.stages, head)
            _note_kept(app, asked, session)
        else:
            session = _fresh(app, ledger, directory, asked, model, root, head, host)
            wanted = frozenset(session.stages)
        say = _sayer(app, directory)
        say(f"calibration_git_sha: {session.plan.calibration_git_sha}")
        say(f"run directory: {session.plan.run_dir}")
        settings = _settings(asked, session, model, host)
        return _measure(ledger, Measuring(ledger, session, settings, say), wanted, resumed=known is not None)


def _fresh(
    app: App, ledger: Ledger, directory: RunDirectory, asked: Asked, model: ModelConfig,
    root: Path, head: Any, host: Any,
) -> Session:  # fmt: skip
    schema_path = asked.stages_yaml or model.stages_path
    chosen = select_stages(read_stages(schema_path), asked.stages)
    if chosen.note:
        app.note(chosen.note)
    repeats = asked.repeats or 5
    if asked.destructive_rejection and repeats < OBSERVATIONS_MIN:
        app.note(f"warning: fewer than {OBSERVATIONS_MIN} repeats: destructive rounds are not rejected")
    stages = [planned_stage(s, root, gpus=model.gpus_for(s.test)) for s in chosen.stages]
    for stage in stages:
        lacking = [m.key for m in stage.metrics if not m.configured]
        if lacking:
            app.note(
                f"warning: {stage.key}: {', '.join(lacking)} needs configuration (metric_sources); "
                "the stage cannot become strict-ready"
            )
    interpreter = choose_interpreter(asked.venv_python, host.venv_python if host else None, model)
    precheck = {} if asked.skip_precheck else _precheck(app, directory, asked, stages)
    return new_plan(
        ledger, directory, stages, repeats, model=model, root=root, interpreter=interpreter,
        head=head, schema=schema_path, rejection=asked.destructive_rejection, precheck=precheck,
    )  # fmt: skip


def _measure(
    ledger: Ledger, measuring: Measuring, wanted: frozenset[str], *, resumed: bool
) -> Session:
    """Run to the end and record how it ended; interruptions pass through, resumable."""
    say, model = measuring.say, measuring.session.plan.model
    passes = 0
    try:
        passes = measuring.run(wanted, resumed=resumed)
    except Halted as halt:
        resume_with = resume_command(measuring.session)
        for line in milestones.halt_lines(halt.unit, halt.repeat, halt.cause, model, resume_with):
            say(line)
        say(milestones.completeness(readiness(measuring.session), "at HALT"))
        raise Refused(
            f"metric extraction HALT after [{halt.unit.name}] run {halt.repeat}: {halt.cause}",
            code="halted",
            hint=resume_with,
        ) from None
    except Unavailable as error:
        say(f"error: {error.message}")
        say(milestones.completeness(readiness(measuring.session), "at the stop"))
        raise Unavailable(
            error.message, code=error.code, hint=resume_command(measuring.session), **error.details
        ) from None
    session = measuring.session
    result = readiness(session)
    ended = CalibrationEnded(
        session=session.id, complete=result.complete, ok=result.ok, total=result.total, passes=passes
    )
    return follow(ledger, session, [NewEvent(stream=session.stream, payload=ended)])


def _settings(asked: Asked, session: Session, model: ModelConfig, host: Any) -> Settings:
    units = units_of(session.plan)
    env = model.environment() | (host.environment() if host else {})
    limits = Limits()
    if asked.stall_s is not None or asked.wall_s is not None:
        limits = Limits(
            stall_s=asked.stall_s if asked.stall_s is not None else limits.stall_s,
            wall_s=asked.wall_s if asked.wall_s is not None else limits.wall_s,
        )
    excluded = [str(i) for i in host.gpu_exclude] if host else []
    gate = GatePolicy(
        include=_listed("TUNE_GPU_INCLUDE"), exclude=(*excluded, *_listed("TUNE_GPU_EXCLUDE"))
    )
    return Settings(
        python=session.plan.venv_python, env=env, gate=gate, limits=limits,
        max_passes=asked.max_passes,
        extra_args={u.name: model.pytest_extra_args.get(Path(u.test).name, ()) for u in units},
        gpus={u.name: max((s.gpus or 0 for s in u.stages), default=0) for u in units},
    )  # fmt: skip


def resume_command(session: Session) -> str:
    """The command line that goes on with a session; it works as printed."""
    plan = session.plan
    return shlex.join(
        ["perfledger", "calibrate", "run", "--model", plan.model, "--output-dir", plan.run_dir, "--resume"]
    )


def _known(ledger: Ledger, directory: RunDirectory) -> Session:
    from commands.calibrate.import_run import session_id_of

    plan, _ = directory.plan()
    session = read_session(ledger, session_id_of(plan))
    if session is None:
        raise BadInput(
            f"this ledger does not know the session of {directory.path}",
            code="unknown_session",
            hint="open the ledger it was planned in with --ledger, or start a fresh --output-dir",
        )
    return session


def _note_kept(app: App, asked: Asked, session: Session) -> None:
    if asked.repeats is not None and asked.repeats != session.plan.repeats:
        app.note(f"warning: --repeats {asked.repeats} ignored, the plan says {session.plan.repeats}")
    if asked.stages != ALL:
        app.note(f"resume: executing subset {asked.stages}")


def _precheck(app: App, directory: RunDirectory, asked: Asked, stages: Any) -> dict[str, Any]:
    return {}


def _sayer(app: App, directory: RunDirectory) -> Any:
    def say(line: str) -> None:
        directory.append_log(line)
        app.note(line)

    return say


def _listed(variable: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in os.environ.get(variable, "").split(",") if part.strip())


def _document(session: Session) -> dict[str, Any]:
    result = readiness(session)
    return {
        "session": session.id,
        "run_dir": session.plan.run_dir,
        "calibration_git_sha": session.plan.calibration_git_sha,
        "ready": result.ready,
        "complete": result.complete,
        "ok": result.ok,
        "total": result.total,
        "strict_ready": result.strict_ratio,
        "reasons": list(result.reasons),
        "missing": [m.name() for m in result.missing],
        "resume": resume_command(session),
    }
