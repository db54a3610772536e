"""All checks in their order, and the documents a run directory keeps of them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from commands.calibrate.config.host import HostProfile
from commands.calibrate.config.interpreter import Interpreter
from commands.calibrate.config.model import ModelConfig
from commands.calibrate.config.stamps import utc_stamp
from commands.calibrate.prechecking.assets import check_assets, check_files
from commands.calibrate.prechecking.findings import Findings, Measured, Stopped
from commands.calibrate.prechecking.gpus import check_gpus
from commands.calibrate.prechecking.software import agreement_of, check_interpreter, check_pins, check_repository
from commands.literals.files import replace_file
from ledger.errors import PerfledgerError

PRECHECK_NAME = "precheck.json"
FINGERPRINT_NAME = "environment-fingerprint.json"


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is checked. stages None: everything the model knows, else what was selected."""

    model: ModelConfig
    root: Path
    interpreter: Interpreter
    host: HostProfile | None = None
    stages: Sequence[Measured] | None = None
    skip_version_check: bool = False

    def environment(self) -> dict[str, str]:
        """The environment the tests will get, as far as it is known before a stage is chosen."""
        from_host = self.host.environment() if self.host else {}
        return {**os.environ, **self.model.environment(), **from_host}


class Prechecked(msgspec.Struct, frozen=True):
    """findings, the `precheck.json` document (None when stopped before there is one), and the fingerprint."""

    findings: Findings
    document: dict[str, Any] | None
    fingerprint: dict[str, Any] | None

    @property
    def ok(self) -> bool:
        """Whether nothing is missing."""
        return not self.findings.errors

    def write(self, folder: Path) -> None:
        """Write precheck.json and environment-fingerprint.json; nothing when the checks stopped early."""
        if self.document is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        for name, document in ((PRECHECK_NAME, self.document), (FINGERPRINT_NAME, self.fingerprint)):
            replace_file(folder / name, (json.dumps(document, indent=2) + "\n").encode())


def precheck(subject: Subject) -> Prechecked:
    """Run every check. Nothing is installed, downloaded, ended or recorded."""
    findings = Findings()
    try:
        document, fingerprint = _check(subject, findings)
    except Stopped:
        return Prechecked(findings, None, None)
    return Prechecked(findings, document, fingerprint)


def _check(subject: Subject, findings: Findings) -> tuple[dict[str, Any], dict[str, Any]]:
    model, python, env = subject.model, subject.interpreter.path, subject.environment()
    findings.say(f"model: {model.name}")
    findings.say(f"venv_python: {python} ({subject.interpreter.source})")
    if subject.interpreter.source == "default" and len(model.default_venv_python) > 1:
        findings.say(f"  (tried in order: {', '.join(model.default_venv_python)})")
    git = check_repository(findings, subject.root)
    check_interpreter(findings, python)
    versions, pins = check_pins(
        findings, subject.root, python, env, agreement=agreement_of(model), only_warn=subject.skip_version_check
    )
    for name, value in model.environment().items():
        findings.say(f"  auto env: {name}={value}")
    revisions = check_assets(findings, model, subject.stages, subject.root, env)
    check_files(findings, model, subject.stages, subject.host, env)
    seen = check_gpus(findings, model, subject.stages, subject.host)
    fingerprint = _fingerprint(subject, findings, env)
    document = {
        "timestamp": utc_stamp(),
        "model": model.name,
        "venv_python": python,
        "venv_source": subject.interpreter.source,
        "versions": versions,
        "pins": pins,
        "git": git,
        "nvidia_smi_L": seen.listing,
        "gpu_summary": seen.summary,
        "host": subject.host.name if subject.host else None,
        "assets": revisions,
        "environment_fingerprint": fingerprint.get("digest"),
        "comparability": {"environment": fingerprint.get("digest"), "assets": revisions, "gpus": seen.summary},
    }
    return document, {**fingerprint, "assets": revisions}


def _fingerprint(subject: Subject, findings: Findings, env: dict[str, str]) -> dict[str, Any]:
    from gpu_runner import fingerprint
    from gpu_runner.nvml import Nvml
    from gpu_runner.request import PACKAGES

    try:
        nvml: Nvml | None = Nvml()
    except PerfledgerError:
        nvml = None
    try:
        document = fingerprint.fingerprint(
            python=subject.interpreter.path,
            packages=PACKAGES,
            env=env,
            nvml=nvml,
        )
    except PerfledgerError as error:
        findings.error(error.message, error.hint)
        return {}
    finally:
        if nvml is not None:
            nvml.__exit__(None, None, None)
    return {"digest": fingerprint.digest(document), "fingerprint": document}
