"""`perfledger calibrate run`: measure the selected stages N times on one commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from commands.calibrate.config.selection import ALL
from commands.calibrate.config.workspace import find_workspace
from commands.calibrate.measured_repository import root_of
from commands.calibrate.measuring import milestones
from commands.calibrate.measuring.beside import end_dead_runs, shared_beside
from commands.calibrate.measuring.loop import Halted, Measuring
from commands.calibrate.measuring.run_planning import (
    Asked,
    Place,
    default_output_dir,
    fresh_session,
    look_at_head,
    only_runner,
    resume_command,
    resume_session,
)
from commands.calibrate.measuring.run_settings import settings_of
from commands.calibrate.options import config_dir_option, host_option, model_option, repo_root_option
from commands.calibrate.progress import after_each_repeat
from commands.calibrate.run_directory import REPEATS_MAX, RunDirectory
from commands.calibrate.sessions import follow, known_session
from commands.cli.app import App, command
from commands.cli.numbers import Finite, Whole
from gpu_runner import interrupts
from ledger.errors import BadInput, Refused, Unavailable
from ledger.event import NewEvent
from ledger.events.calibrations import CalibrationEnded
from ledger.layout import outside_ledger
from projections.calibration.audit import readiness
from projections.calibration.current import CurrentSession
from projections.calibration.session import Session


@command("run")
@model_option
@click.option("--stages", default=ALL, metavar="S", help="Keys, @groups, bases; ALL is all of them.")
@click.option(
    "--repeats", type=click.IntRange(1, REPEATS_MAX), metavar="N", help="Strict repeats per stage. Default 5."
)
@click.option("--output-dir", type=click.Path(path_type=Path), help="A fresh folder. Default: below .tune-runs/.")
@click.option("--resume", is_flag=True, help="Go on with the session in --output-dir.")
@click.option("--max-passes", type=Whole(1), default=10, show_default=True, help="Passes over what is open.")
@click.option("--skip-precheck", is_flag=True, help="Do not check interpreter, pins, assets and GPUs first.")
@click.option("--stages-yaml", type=click.Path(path_type=Path), help="The schema. Default: the model's own.")
@click.option("--venv-python", metavar="PATH", help="The interpreter that runs pytest.")
@click.option("--destructive-rejection/--no-destructive-rejection", default=True, help="Replace destructive rounds.")
@click.option(
    "--reject-when",
    default="",
    metavar="REASONS",
    help="Health reasons that make a round destructive: throttling, clocks, foreign_process, ecc, lost.",
)
@click.option("--keep-caches", is_flag=True, help="Do not wipe the FlashInfer cache before each GPU attempt.")
@click.option(
    "--stop-early",
    "stop_early_alpha",
    type=Finite(0.0001, 0.5),
    metavar="ALPHA",
    help="End repeats that could hardly move the worst of N, at this error rate.",
)
@click.option("--sync/--no-sync", default=True, help="Push new events to the known remote beside the repeats.")
@click.option(
    "--stall-limit",
    "stall_s",
    type=Finite(1),
    metavar="S",
    help="Seconds without output after which a repeat is ended.",
)
@click.option("--wall-limit", "wall_s", type=Finite(1), metavar="S", help="Seconds one attempt may take.")
@config_dir_option
@host_option
@repo_root_option
def run(app: App, **options: Any) -> int:
    """Measure stages N times on HEAD; audited, resumable, and reported when strict-ready.

    Exit 0: complete and reported. 1: precheck failed, incomplete, halted or not ready; the last line
    says how to go on. 4: GPUs did not get free; run it again with --resume.
    """
    asked = Asked(**options)
    place, known = _place(app, asked)
    with only_runner(place.directory), interrupts.raised():
        head = look_at_head(place)
        if known is None:
            current = fresh_session(app.note, place, asked, head)
            wanted = frozenset(current.session.stages)
        else:
            current = known
            wanted = resume_session(place, current, asked.stages, head)
            end_dead_runs(current, app.note)
            _note_kept(app, asked, current.session)
        session = current.session

        def say(line: str) -> None:
            place.directory.append_log(line)
            app.note(line)

        say(f"calibration_git_sha: {session.plan.calibration_git_sha}")
        say(f"run directory: {place.directory.path.resolve()}")
        settings = settings_of(session, place.model, place.host, asked)
        with shared_beside(place.ledger, place.directory, say, wanted=asked.sync) as share:
            after = after_each_repeat(app, current, share)
            measuring = Measuring(place, current, settings, say, after)
            session = _measure(measuring, wanted, resumed=known is not None)
    return _conclude(app, place, session)


def _place(app: App, asked: Asked) -> tuple[Place, CurrentSession | None]:
    """Find configuration, repository and run directory; nothing is written yet."""
    ledger = app.ledger()
    space = find_workspace(asked.config_dir)
    model = space.model(asked.model)
    host = space.host(asked.host)
    if host is not None:
        app.note(f"host: {host.name} (repo={host.repo_root})")
    directory = RunDirectory(asked.output_dir or default_output_dir(model.name))
    outside_ledger(directory.path, ledger.path)
    known = None
    if directory.exists():
        if not asked.resume:
            raise BadInput(
                f"{directory.plan_path} exists already; nothing was run",
                code="plan_exists",
                hint="give a fresh --output-dir, or --resume to go on with that session",
                run_dir=str(directory.path),
            )
        known = known_session(ledger, directory)
    if known:
        root = root_of(known.session, directory.path, Path(asked.repo_root) if asked.repo_root else None)
    else:
        root = space.repo_root(given=asked.repo_root, host=host)
    return Place(ledger=ledger, directory=directory, root=root, model=model, host=host), known


def _measure(measuring: Measuring, wanted: frozenset[str], *, resumed: bool) -> Session:
    """Run to the end and record how it ended; interruptions pass through, resumable."""
    say, session = measuring.say, measuring.session
    again = resume_command(session, measuring.place)
    try:
        passes = measuring.run(wanted, resumed=resumed)
    except Halted as halt:
        for line in milestones.halt_lines(halt.unit, halt.repeat, halt.cause, session.plan.model, again):
            say(line)
        say(milestones.completeness(readiness(measuring.session), "at HALT"))
        raise Refused(
            f"metric extraction HALT after [{halt.unit.name}] run {halt.repeat}: {halt.cause}",
            code="halted",
            hint=again,
        ) from None
    except Unavailable as error:
        say(f"error: {error.message}")
        say(milestones.completeness(readiness(measuring.session), "at the stop"))
        raise Unavailable(error.message, code=error.code, hint=again, **error.details) from None
    session = measuring.session
    result = readiness(session)
    ended = CalibrationEnded(
        session=session.id, complete=result.complete, ok=result.ok, total=result.total, passes=passes
    )
    return follow(measuring.current, [NewEvent(stream=session.stream, payload=ended)])


def _conclude(app: App, place: Place, session: Session) -> int:
    result = readiness(session)
    document = {
        "session": session.id,
        "run_dir": str(place.directory.path.resolve()),
        "calibration_git_sha": session.plan.calibration_git_sha,
        "ready": result.ready,
        "complete": result.complete,
        "ok": result.ok,
        "total": result.total,
        "strict_ready": result.strict_ratio,
        "reasons": list(result.reasons),
        "missing": [m.name() for m in result.missing],
        "saved_gpu_s": sum(s.saved_gpu_s for s in session.settled.values()),
        "resume": resume_command(session, place),
    }
    if not result.ready:
        lines = [f"error: not ready: {'; '.join(result.reasons)}"]
        if result.missing:
            lines = milestones.incomplete_lines(result, resume_command(session, place))
        app.emit(document, milestones.joined(lines))
        return 1
    from commands.calibrate.report import write_report

    shown = str(place.directory.path)
    written = write_report(place.ledger, session, place.directory, shown_dir=shown)
    app.emit({**document, "report": str(written)}, f"report written to {written}")
    return 0


def _note_kept(app: App, asked: Asked, session: Session) -> None:
    if asked.repeats is not None and asked.repeats != session.plan.repeats:
        app.note(f"warning: --repeats {asked.repeats} ignored, the plan says {session.plan.repeats}")
    if asked.stages != ALL:
        app.note(f"resume: executing subset {asked.stages}")
