"""Which Python runs the measured tests."""

from __future__ import annotations

import os
import sys

import msgspec

from commands.calibrate.config.model import ModelConfig


class Interpreter(msgspec.Struct, frozen=True):
    """The Python that runs pytest, and who chose it: flag, env, host, default, or this one."""

    path: str
    source: str


def choose_interpreter(given: str | None, host_python: str | None, model: ModelConfig) -> Interpreter:
    """--venv-python, $TUNE_VENV_PYTHON, the host profile, the model's default, else this Python."""
    candidates = (
        ("flag", given),
        ("env", os.environ.get("TUNE_VENV_PYTHON")),
        ("host", host_python),
        ("default", model.venv_python()),
    )
    for source, path in candidates:
        if path:
            return Interpreter(path, source)
    return Interpreter(sys.executable, "this interpreter")
