"""`perfledger calibrate discover`: write `stages.yaml` from configuration and source files."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.calibrate.options import (
    config_dir_option,
    host_option,
    model_option,
    repo_root_option,
)
from commands.cli.app import App, command
from ledger.errors import BadInput
from ledger.layout import outside_ledger

if TYPE_CHECKING:
    from commands.calibrate.config.stages import Stage
    from commands.calibrate.discovery.drift import Drift
    from commands.calibrate.discovery.model_stages import Discovery


@dataclass(frozen=True)
class Asked:
    """What the options of `discover` say."""

    model: str | None
    config_dir: str | None
    host: str | None
    repo_root: str | None
    only: str | None
    output: str | None
    check: bool
    dry_run: bool


@command("discover", asks=Asked)
@model_option
@config_dir_option
@host_option
@repo_root_option
@click.option("--stage", "only", metavar="KEY", help="Renew this stage; every other one stays.")
@click.option("--output", metavar="FILE", help="Write here instead of beside config.yaml.")
@click.option("--check", is_flag=True, help="Write nothing; say what drifted, exit 1 if anything.")
@click.option("--dry-run", is_flag=True, help="Write nothing; show the change as a diff.")
def discover(app: App, asked: Asked) -> int:
    """Write a model's stages.yaml from its config.yaml and its test files."""
    from commands.calibrate.config.workspace import find_workspace
    from commands.calibrate.discovery.drift import drift_between
    from commands.calibrate.discovery.model_stages import discover_model

    workspace = find_workspace(asked.config_dir)
    config = workspace.model(asked.model)
    root = workspace.repo_root(given=asked.repo_root, host=workspace.host(asked.host))
    path = Path(asked.output) if asked.output else config.stages_path
    if not asked.check:
        outside_ledger(path)
    found = discover_model(config, root, stamp=_now())
    found = found if asked.only is None else _only(found, asked.only)
    renewed = found.stages
    written = _written(path, must_be_whole=asked.check or asked.only is not None)
    compared = {key: written[key] for key in renewed if key in written} if asked.only else written
    drift = drift_between(compared, renewed)
    document = _document(found, path, drift)
    if asked.check:
        app.emit(document, lambda: _check_text(found, path, drift))
        return 1 if drift else 0
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    text = _new_text(before, renewed, asked.only)
    if asked.dry_run:
        lines = difflib.unified_diff(before.splitlines(), text.splitlines(), str(path), str(path), lineterm="")
        app.emit(document, "\n".join([*found.messages, *lines]))
        return 0
    _write(path, text)
    app.emit(document, "\n".join([*found.messages, found.summary(path)]))
    return 0


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _only(found: Discovery, only: str) -> Discovery:
    if only not in found.stages:
        raise BadInput(
            f"discover finds no stage {only!r} in the model {found.model}",
            code="unknown_stage",
            hint="one of: " + ", ".join(sorted(found.stages)),
            stage=only,
        )
    return found.only(only)


def _written(path: Path, *, must_be_whole: bool) -> dict[str, Stage]:
    """The stages of the file as it is; one that is damaged is no obstacle to writing all of it anew."""
    from commands.calibrate.config.stages import read_stages

    try:
        return read_stages(path).stages if path.is_file() else {}
    except BadInput:
        if must_be_whole:
            raise
        return {}


def _new_text(before: str, renewed: dict[str, Stage], only: str | None) -> str:
    from commands.calibrate.config.stages_writer import render_stages, replace_stages

    if only is None or not before:
        return render_stages(renewed.values())
    return replace_stages(before, renewed.values())


def _write(path: Path, text: str) -> None:
    from commands.literals.files import replace_file

    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode("utf-8"))


def _check_text(found: Discovery, path: Path, drift: list[Drift]) -> str:
    if not drift:
        return f"{path} is what discover would write"
    lines = [f"{path} drifted in {len(drift)} place(s):", *(each.line() for each in drift)]
    return "\n".join([*found.messages, *lines])


def _document(found: Discovery, path: Path, drift: list[Drift]) -> dict[str, Any]:
    ok, need = found.counts
    return {
        "model": found.model,
        "path": str(path),
        "stages": [
            {
                "stage": stage.key,
                "test": stage.test,
                "group": stage.group,
                "expected_samples": stage.expected_samples,
                "metrics": [
                    {"metric": metric.key, "source": metric.source, "status": metric.status}
                    for metric in stage.metrics.values()
                ],
            }
            for stage in found.stages.values()
        ],
        "metrics_ok": ok,
        "metrics_need_config": need,
        "unclaimed": list(found.unclaimed),
        "messages": [line.strip() for line in found.messages],
        "drift": [
            {
                "stage": each.stage,
                "field": each.field or None,
                "written": each.written,
                "found": each.found,
            }
            for each in drift
        ],
    }
