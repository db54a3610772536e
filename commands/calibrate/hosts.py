"""`perfledger calibrate hosts`: which host profiles there are, and which one is this machine's."""

from __future__ import annotations

from commands.calibrate.options import config_dir_option, model_option
from commands.cli.app import App, command


@command("hosts")
@model_option
@config_dir_option
def hosts(app: App, model: str | None, config_dir: str | None) -> None:
    """List the host profiles, one name per line; `*` marks the active one.

    Active is the one named by $TUNE_HOST, else the one whose hostname is this machine's.
    """
    from commands.calibrate.config.workspace import find_workspace

    workspace = find_workspace(config_dir)
    if model is not None:
        workspace.model(model)  # profiles serve every model; an unknown one is still a mistake
    names = workspace.hosts()
    active = workspace.host()
    chosen = active.path.stem if active else None
    document = {
        "config_dir": str(workspace.folder),
        "hosts": names,
        "active": chosen,
        "repo_root": str(workspace.repo_root(host=active)),
    }
    app.emit(document, "\n".join(f"{name} *" if name == chosen else name for name in names))
