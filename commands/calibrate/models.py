"""`perfledger calibrate models`: which models can be calibrated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commands.calibrate.options import config_dir_option, model_option
from commands.cli.app import App, command

if TYPE_CHECKING:
    from commands.calibrate.config.model import ModelConfig


@command("models")
@model_option
@config_dir_option
def models(app: App, model: str | None, config_dir: str | None) -> None:
    """List the models that can be calibrated, one name per line; with --model, what one says.

    A model is a folder models/NAME with a config.yaml in it.
    """
    from commands.calibrate.config.workspace import find_workspace

    workspace = find_workspace(config_dir)
    if model is not None:
        about = _about(workspace.model(model))
        app.emit(about, "\n".join(f"{key}: {_shown(value)}" for key, value in about.items()))
        return
    names = workspace.models()
    app.emit({"config_dir": str(workspace.folder), "models": names}, "\n".join(names))


def _about(config: ModelConfig) -> dict[str, Any]:
    return {
        "model": config.name,
        "description": config.description,
        "config": str(config.path),
        "stages_yaml": str(config.stages_path) if config.stages_path.is_file() else None,
        "test_globs": list(config.test_globs),
        "venv_python": config.venv_python(),
        "hf_model_id": config.hf_model_id,
        "hf_datasets": list(config.hf_datasets),
    }


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "-"
    return "-" if value in (None, "") else str(value)
