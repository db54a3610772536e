"""`perfledger calibrate precheck`: what a calibration needs, and the command for what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from commands.calibrate.options import config_dir_option, host_option, model_option, repo_root_option
from commands.cli.app import App, command
from ledger.layout import outside_ledger


@dataclass(frozen=True)
class Asked:
    """What the options of `precheck` say."""

    model: str | None
    stages: str | None
    stages_yaml: Path | None
    output_dir: Path | None
    venv_python: str | None
    skip_version_check: bool
    config_dir: str | None
    host: str | None
    repo_root: str | None


@command("precheck", asks=Asked)
@model_option
@click.option("--stages", default=None, metavar="S", help="Keys, @groups, bases. Default: all the model knows.")
@click.option("--stages-yaml", type=click.Path(path_type=Path), help="The schema. Default: the model's own.")
@click.option("--output-dir", type=click.Path(path_type=Path), help="Also write precheck.json there.")
@click.option("--venv-python", metavar="PATH", help="The interpreter that runs pytest.")
@click.option("--skip-version-check", is_flag=True, help="Pins that do not match are warnings.")
@config_dir_option
@host_option
@repo_root_option
def precheck(app: App, asked: Asked) -> int:
    """Check repository, interpreter, pins, models, datasets, files and GPUs; print the command for each gap.

    Nothing is installed, downloaded or ended. Exit 0 when nothing is missing, else 1.
    """
    from commands.calibrate.config.interpreter import choose_interpreter
    from commands.calibrate.config.workspace import find_workspace
    from commands.calibrate.prechecking.check import Subject
    from commands.calibrate.prechecking.check import precheck as check

    if asked.output_dir is not None:
        outside_ledger(asked.output_dir)
    space = find_workspace(asked.config_dir)
    config = space.model(asked.model)
    profile = space.host(asked.host)
    if profile is not None:
        app.note(f"host: {profile.name} (repo={profile.repo_root})")
    subject = Subject(
        model=config,
        root=space.repo_root(given=asked.repo_root, host=profile),
        interpreter=choose_interpreter(asked.venv_python, profile.venv_python if profile else None, config),
        host=profile,
        stages=None if asked.stages is None else _selected(app, asked.stages, asked.stages_yaml or config.stages_path),
        skip_version_check=asked.skip_version_check,
    )
    result = check(subject)
    if asked.output_dir is not None:
        result.write(asked.output_dir)
    document: dict[str, Any] = {
        "ok": result.ok,
        "errors": result.findings.errors,
        "warnings": result.findings.warnings,
        **(result.document or {"model": config.name}),
    }
    app.emit(document, result.findings.text)
    return 0 if result.ok else 1


def _selected(app: App, wanted: str, schema: Path) -> tuple[Any, ...]:
    from commands.calibrate.config.selection import select_stages
    from commands.calibrate.config.stages import read_stages

    chosen = select_stages(read_stages(schema), wanted)
    if chosen.note:
        app.note(chosen.note)
    return chosen.stages
