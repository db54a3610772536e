"""Where a project keeps its calibration configuration, and where its repository begins.

A configuration folder holds `models/<name>/config.yaml` and `hosts/<name>.yaml`. It is looked for
from the working directory upward: the folder itself, `calibration/` in it, or tune.py's own
`.claude/skills/tune-ci-thresholds/`.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from commands.calibrate.config.host import HostProfile, choose_host, host_names
from commands.calibrate.config.model import ModelConfig, load_model
from ledger.errors import BadInput

FOLDER_VARIABLE = "PERFLEDGER_CALIBRATION_DIR"
ROOT_VARIABLE = "TUNE_REPO_ROOT"
PLACES = (".", "calibration", ".claude/skills/tune-ci-thresholds")


class Workspace(msgspec.Struct, frozen=True):
    """A configuration folder, and the repository root that follows from where it lies."""

    folder: Path
    root: Path

    def models(self) -> list[str]:
        """Return the sorted names of the folders below `models/` that hold a `config.yaml`."""
        return sorted(path.parent.name for path in self.folder.glob("models/*/config.yaml"))

    def model(self, name: str | None) -> ModelConfig:
        """Read a model's configuration; without a name the only one there is.

        Raises `BadInput` naming the known models.
        """
        known = self.models()
        if name is None:
            if len(known) != 1:
                raise BadInput(
                    f"{self.folder} has {len(known)} models; say which one",
                    code="model_not_given",
                    hint="--model " + " | ".join(known),
                )
            name = known[0]
        path = self.folder / "models" / name / "config.yaml"
        if name not in known:
            raise BadInput(
                f"model config not found: {path}. Known models: {known}",
                code="model_not_found",
                hint="perfledger calibrate models",
                model=name,
            )
        return load_model(path)

    def hosts(self) -> list[str]:
        """Return the sorted names of the host profiles."""
        return host_names(self.folder / "hosts")

    def host(self, given: str | None = None) -> HostProfile | None:
        """Return the active host profile: `given`, `$TUNE_HOST`, or the one of this machine."""
        return choose_host(self.folder / "hosts", given)

    def repo_root(self, *, given: str | None = None, host: HostProfile | None = None) -> Path:
        """Return the root of the repository whose tests are calibrated.

        `given` wins, then `$TUNE_REPO_ROOT`, then the host profile's `repo_root` where it exists,
        then the folder the configuration was found below. Raises `BadInput` for a missing folder.
        """
        named = given or os.environ.get(ROOT_VARIABLE)
        if named:
            path = Path(named).resolve()
            if not path.is_dir():
                raise BadInput(
                    f"repository root not found: {path}",
                    code="repo_root_not_found",
                    hint=f"--repo-root DIR or {ROOT_VARIABLE}=DIR",
                )
            return path
        if host is not None and host.repo_root and Path(host.repo_root).is_dir():
            return Path(host.repo_root).resolve()
        return self.root


def find_workspace(given: str | None = None, *, start: Path | None = None) -> Workspace:
    """Return the configuration folder: `given`, `$PERFLEDGER_CALIBRATION_DIR`, or the nearest one.

    Raises `BadInput` when there is none.
    """
    named = given or os.environ.get(FOLDER_VARIABLE)
    if named:
        folder = Path(named).resolve()
        if not folder.is_dir():
            raise BadInput(
                f"configuration folder not found: {folder}",
                code="config_dir_not_found",
                hint="--config-dir DIR with models/NAME/config.yaml in it",
            )
        return Workspace(folder, _root_above(folder))
    here = (start or Path.cwd()).resolve()
    for parent in (here, *here.parents):
        for place in PLACES:
            folder = (parent / place).resolve()
            if any(folder.glob("models/*/config.yaml")):
                return Workspace(folder, parent)
    raise BadInput(
        f"no models/NAME/config.yaml in {here} or above it",
        code="no_calibration_config",
        hint="--config-dir DIR, or write one: docs/calibrate.md",
    )


def _root_above(folder: Path) -> Path:
    """The folder a configuration folder belongs to, by the places it is looked for at."""
    for place in PLACES[1:]:
        tail = Path(place).parts
        if folder.parts[-len(tail) :] == tail:
            return folder.parents[len(tail) - 1]
    return folder
