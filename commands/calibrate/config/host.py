"""`hosts/<name>.yaml`: the paths of one machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from commands.calibrate.config.metrics import bad_config
from commands.calibrate.config.stages import scalar_text
from ledger.errors import BadInput


class HostProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One host. `hostname` is compared with this machine's; paths are absolute on that machine.

    `gpu_exclude` are indices that calibrations leave alone. `warm_cache_command` says how the
    speaker-similarity weights get there; it is shown as a hint and never run.
    """

    name: str
    path: Path
    hostname: str | None = None
    repo_root: str | None = None
    venv_python: str | None = None
    hf_hub: str | None = None
    speaker_sim: str | None = None
    omni_ci_home: str | None = None
    gpu_exclude: tuple[int, ...] = ()
    warm_cache_command: str | None = None

    def environment(self) -> dict[str, str]:
        """What the profile's `physical` paths mean to the programs that run."""
        pairs = {
            "HF_HOME": self.hf_hub,
            "SEEDTTS_SIM_CACHE_DIR": self.speaker_sim,
            "OMNI_CI_HOME": self.omni_ci_home,
        }
        return {name: value for name, value in pairs.items() if value}


def load_host(path: Path) -> HostProfile:
    """Read a host profile. Raises `BadInput` naming file and field."""
    from commands.calibrate.config.yaml_reader import parse_yaml

    document = parse_yaml(path.read_bytes(), path)
    physical = _mapping(document, "physical", path)
    bootstrap = _mapping(document, "speaker_similarity_bootstrap", path)
    warm_cache = _mapping(bootstrap, "warm_cache", path)
    return HostProfile(
        name=_text(document, "name", path) or path.stem,
        path=path,
        hostname=_text(document, "hostname", path),
        repo_root=_text(document, "repo_root", path),
        venv_python=_text(document, "venv_python", path),
        hf_hub=_text(physical, "hf_hub", path),
        speaker_sim=_text(physical, "speaker_sim", path),
        omni_ci_home=_text(physical, "omni_ci_home", path),
        gpu_exclude=_indices(document.get("gpu_exclude"), path),
        warm_cache_command=_text(warm_cache, "command", path),
    )


def host_names(folder: Path) -> list[str]:
    """Return the sorted names of the profiles in a `hosts/` folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def choose_host(folder: Path, given: str | None) -> HostProfile | None:
    """Return the profile named by `given`, else by `$TUNE_HOST`, else the one of this machine.

    None when nothing names one and none fits. Raises `BadInput` for a name without a file.
    """
    name = given or os.environ.get("TUNE_HOST")
    if name:
        path = folder / f"{name}.yaml"
        if not path.is_file():
            known = ", ".join(host_names(folder))
            raise BadInput(
                f"host profile not found: {path} (known: {known})",
                code="host_not_found",
                hint="perfledger calibrate hosts",
                host=name,
            )
        return load_host(path)
    here = socket.gethostname()
    for known_name in host_names(folder):
        profile = load_host(folder / f"{known_name}.yaml")
        if profile.hostname == here:
            return profile
    return None


def _text(document: Mapping[str, Any], field: str, path: Path) -> str | None:
    value = document.get(field)
    if isinstance(value, list):
        raise bad_config(path, field, "one value")
    return None if value is None or isinstance(value, dict) else scalar_text(value)


def _mapping(document: Mapping[str, Any], field: str, path: Path) -> dict[str, Any]:
    value = document.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_config(path, field, "a mapping")
    return value


def _indices(value: Any, path: Path) -> tuple[int, ...]:
    """GPU indices: a list, one number, or text like `0,3`."""
    if value is None or value == {}:
        return ()
    parts = value if isinstance(value, list) else str(value).split(",")
    try:
        indices = tuple(int(part) for part in parts)
    except (TypeError, ValueError):
        raise bad_config(path, "gpu_exclude", "GPU indices, like [0, 3]") from None
    if any(index < 0 for index in indices):
        raise bad_config(path, "gpu_exclude", "GPU indices, like [0, 3]")
    return indices
