"""What `discover` would change in a `stages.yaml`, and which files moved since it was written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from commands.calibrate.config.stages import Stage

# The time of the last discovery does not affect what a stage measures.
_STAMP = "last_discovered_at"


class Drift(msgspec.Struct, frozen=True):
    """One difference. `field` is empty when the whole stage appears or goes."""

    stage: str
    field: str
    written: Any
    found: Any

    def line(self) -> str:
        """The difference in one line."""
        if not self.field:
            return f"  {self.stage}: " + ("no longer found" if self.found is None else "new")
        return f"  {self.stage}.{self.field}: {self.written} -> {self.found}"


def drift_between(written: Mapping[str, Stage], found: Mapping[str, Stage]) -> list[Drift]:
    """Compare the stages of a file with those found now; stamps do not count."""
    differences = []
    for key in dict.fromkeys([*written, *found]):
        if key not in found:
            differences.append(Drift(key, "", "written", None))
        elif key not in written:
            differences.append(Drift(key, "", None, "found"))
        else:
            differences += _fields(key, _flat(written[key]), _flat(found[key]))
    return differences


def _fields(key: str, written: dict[str, Any], found: dict[str, Any]) -> list[Drift]:
    return [
        Drift(key, field, written.get(field), found.get(field))
        for field in dict.fromkeys([*written, *found])
        if written.get(field) != found.get(field)
    ]


def _flat(stage: Stage) -> dict[str, Any]:
    """The stage's fields under dotted names; empty values are left out, so absent equals empty."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for name, inner in value.items():
                walk(f"{prefix}.{name}" if prefix else name, inner)
        elif value not in (None, {}, [], ""):
            flat[prefix] = value

    walk("", msgspec.to_builtins(stage))
    flat.pop(_STAMP, None)
    return flat


class FileDrift(msgspec.Struct, frozen=True):
    """A file that is no longer what a stage was discovered from. `found` None: it is missing."""

    stage: str
    file: str
    expected: str
    found: str | None

    def line(self) -> str:
        """The finding in one line."""
        if self.found is None:
            return f"{self.stage}: {self.file} is missing"
        return f"{self.stage}: {self.file} changed since discover ({self.found[:8]} != {self.expected[:8]})"


def drifted_files(stages: Iterable[Stage], root: Path) -> list[FileDrift]:
    """Return the test and threshold files whose SHA-256 is not the one in `stages.yaml`.

    A stage without a recorded digest is not judged.
    """
    digests: dict[str, str | None] = {}
    findings = []
    for stage in stages:
        pairs = [(stage.test, stage.test_file_sha256)]
        if stage.threshold_file:
            pairs.append((stage.threshold_file, stage.threshold_file_sha256 or ""))
        for file, expected in pairs:
            if file not in digests:
                digests[file] = _digest(root / file)
            if expected and digests[file] != expected:
                findings.append(FileDrift(stage.key, file, expected, digests[file]))
    return findings


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (FileNotFoundError, IsADirectoryError):
        return None
