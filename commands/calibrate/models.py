"""`perfledger calibrate models`: which models can be calibrated."""

from __future__ import annotations

from commands.calibrate.config.options import config_dir_option
from commands.common import App, command


@command("models")
@config_dir_option
def models(app: App, config_dir: str | None) -> None:
    """List the models that can be calibrated, one name per line.

    A model is a folder models/NAME with a config.yaml in it.
    """
    from commands.calibrate.config.workspace import find_workspace

    workspace = find_workspace(config_dir)
    names = workspace.models()
    app.emit({"config_dir": str(workspace.folder), "models": names}, "\n".join(names))
