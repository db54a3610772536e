"""`perfledger calibrate stages`: what a model's `stages.yaml` holds."""

from __future__ import annotations

from pathlib import Path

import click

from commands.calibrate.options import config_dir_option, model_option
from commands.cli.app import App, command


@command("stages")
@model_option
@config_dir_option
@click.option("--stages", "wanted", default="ALL", metavar="S", help="Keys, @groups and bases.")
@click.option("--stages-yaml", metavar="FILE", help="Read this file instead of the model's own.")
def stages(app: App, model: str | None, config_dir: str | None, wanted: str, stages_yaml: str | None) -> None:
    """List the stages of a model, its test-file bases and its groups."""
    from commands.calibrate.config.selection import list_stages, select_stages
    from commands.calibrate.config.stages import read_stages
    from commands.calibrate.config.workspace import find_workspace

    if stages_yaml:
        path = Path(stages_yaml)
    else:
        path = find_workspace(config_dir).model(model).stages_path
    selection = select_stages(read_stages(path), wanted)
    if selection.note:
        app.note(selection.note)
    rows = [
        {
            "stage": stage.key,
            "test": stage.test,
            "group": stage.group,
            "preset": stage.calibration_preset,
            "variant": stage.variant,
            "gpus": stage.gpus,
            "expected_samples": stage.expected_samples,
            "bases": stage.aliases(),
            "metrics": {metric.key: metric.status for metric in stage.metrics.values()},
        }
        for stage in selection.stages
    ]
    app.emit({"stages_yaml": str(path), "stages": rows}, lambda: list_stages(selection.stages))
