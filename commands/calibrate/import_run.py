"""`perfledger calibrate import`: a run directory that another tool wrote becomes events.

Reading commands do the same on the way, so that a directory the existing tool still writes to can be
audited at any moment. What changed or vanished since the last look is an event, never a silent update.
"""

from __future__ import annotations

from pathlib import Path

import click

from commands.calibrate.foreign_run import Sources
from commands.calibrate.run_directory import RunDirectory
from commands.cli.app import App, command
from ledger.events.calibrations import (
    RepeatImported,
    RunFileVanished,
)


@command("import")
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--stages-yaml", type=click.Path(path_type=Path), help="The schema of the run.")
@click.option("--repo-root", type=click.Path(path_type=Path), help="The measured repository.")
@click.option("--logs/--no-logs", default=True, help="Keep the pytest logs as evidence too.")
def import_run(app: App, run_dir: Path, stages_yaml: Path | None, repo_root: Path | None, logs: bool) -> None:
    """Bring a run directory of the existing tool in as events; again and again, only what is new."""
    from commands.calibrate.sessions import level_with

    ledger = app.ledger()
    sources = Sources(stages_yaml=stages_yaml, repo_root=repo_root, logs=logs)
    session, added = level_with(ledger, RunDirectory(run_dir), sources)
    files = [e for e in added if isinstance(e.payload, RepeatImported)]
    gone = [e for e in added if isinstance(e.payload, RunFileVanished)]
    document = {
        "session": session.id,
        "model": session.plan.model,
        "stages": len(session.plan.stages),
        "repeats": session.plan.repeats,
        "run_files": len(session.observations),
        "imported": len(files),
        "vanished": len(gone),
    }
    app.emit(
        document,
        f"session {session.id}: {len(files)} run file(s) new or changed, {len(gone)} vanished, "
        f"{len(session.observations)} known",
    )
