"""The repository, the interpreter, and the versions that the repository pins."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path

from commands.calibrate.config.metrics import bad_config
from commands.calibrate.config.model import ModelConfig
from commands.calibrate.prechecking.findings import Findings
from gpu_runner import workspace

IMPORT_TIMEOUT_S = 300
# `==2.11.*` is a range and pins nothing; the extras may stand apart from the name
PIN = re.compile(r"^\s*([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*===?\s*([^\s;,=*]+)(?!\S*\*)")

# How a version must agree with its pin: wheels of torch carry their CUDA version behind a plus sign. A model's
# config.yaml may add names under `precheck_pins`.
AGREEMENT = {"sglang": "exact", "torch": "prefix"}

PROBE = Path(__file__).with_name("import_package.py")


def check_repository(findings: Findings, root: Path) -> dict[str, object]:
    """Say branch and commit; stops where there is no project. Returns sha, branch and dirty."""
    if not (root / "pyproject.toml").is_file():
        raise findings.stop(f"no pyproject.toml in {root}", "perfledger calibrate precheck --repo-root DIR")
    seen = workspace.look(root)
    branch = _branch(root)
    findings.say(f"git: {branch or '?'} @ {(seen.sha or '?')[:8]}" + (" (dirty)" if seen.dirty else ""))
    if seen.sha is None:
        findings.error(f"{root} has no commit to measure on", f"git -C {root} status")
    return {"sha": seen.sha or "", "branch": branch or "", "dirty": bool(seen.dirty)}


def check_interpreter(findings: Findings, python: str) -> None:
    """Stops where the interpreter is missing."""
    if shutil.which(python) is None:
        raise findings.stop(
            f"calibration interpreter not found: {python}",
            f"python3 -m venv {Path(python).parent.parent}" if "/" in python else f"command -v {python}",
            "perfledger calibrate precheck --venv-python PATH",
        )


def read_pins(root: Path) -> dict[str, str]:
    """Return the `name==version` entries of `[project].dependencies`, names in lower case."""
    document = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    entries = document.get("project", {}).get("dependencies", [])
    found = (PIN.match(entry) for entry in entries if isinstance(entry, str))
    return {match[1].lower(): match[2] for match in found if match}


def agreement_of(model: ModelConfig) -> dict[str, str]:
    """Package to `exact` or `prefix`: the known ones and the model's. Raises `BadInput` naming the field."""
    from commands.calibrate.config.yaml_reader import parse_yaml

    own = parse_yaml(model.path.read_bytes(), model.path).get("precheck_pins") or {}
    if not isinstance(own, dict) or not all(value in ("exact", "prefix") for value in own.values()):
        raise bad_config(model.path, "precheck_pins", "package names with `exact` or `prefix`")
    return {**AGREEMENT, **{name.lower(): value for name, value in own.items()}}


def check_pins(
    findings: Findings,
    root: Path,
    python: str,
    env: Mapping[str, str],
    *,
    agreement: Mapping[str, str],
    only_warn: bool,
) -> tuple[dict[str, str], dict[str, str]]:
    """Import every package whose agreement is known and compare it with its pin.

    Returns versions and pins by name. A package that is not pinned is not looked at.
    """
    try:
        pins = read_pins(root)
    except (tomllib.TOMLDecodeError, OSError) as error:
        findings.error(f"{root / 'pyproject.toml'} cannot be read: {error}", f"$EDITOR {root / 'pyproject.toml'}")
        return {}, {}
    wanted = {name: pins[name] for name in agreement if name in pins}
    versions: dict[str, str] = {}
    for name, pin in wanted.items():
        version, why = _import_version(python, name, env)
        install = f"{python} -m pip install '{name}=={pin}'"
        if version is None:
            findings.error(f"{name} cannot be imported by {python}: {why}", install)
            continue
        versions[name] = version
        agrees = version == pin if agreement[name] == "exact" else version.startswith(pin)
        findings.say(f"  {name}: {version} (pin {pin}) [{'ok' if agrees else 'mismatch'}]")
        if not agrees:
            tell = findings.warn if only_warn else findings.error
            tell(f"{name} is {version}, the repository pins {pin}", install)
    return versions, wanted


def _import_version(python: str, name: str, env: Mapping[str, str]) -> tuple[str | None, str]:
    try:
        done = subprocess.run(
            [python, str(PROBE), name],
            capture_output=True,
            text=True,
            timeout=IMPORT_TIMEOUT_S,
            check=False,
            env=dict(env),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        return None, (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
    return str(json.loads(lines[-1])), ""


def _branch(root: Path) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--abbrev-ref", "HEAD"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
