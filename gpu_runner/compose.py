"""The command line, environment and folders of one attempt, and what is refused before anything starts."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gpu_runner.request import RepeatRequest
from ledger.errors import BadInput, Unavailable

LOOPBACK = "localhost,127.0.0.1,::1"
FORBIDDEN_ENV = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
# These would end a run at the first missed threshold and lose every metric after it. Behind a letter that takes a
# value, as in `-rx` and `-kmax`, an x is a part of the value.
STOPS_EARLY = re.compile(
    r"^(?:-(?:(?![kmpcrWon])[a-zA-Z])*x.*|--exitfirst|--maxfail(?:=.*)?|--(?:sw|stepwise)(?:-skip|-reset)?)$"
)


def check(request: RepeatRequest) -> None:
    """Raise `BadInput` for a request that cannot be run as asked."""
    for name in FORBIDDEN_ENV:
        if name in request.env or name in request.stage_env:
            raise BadInput(
                f"{request.unit}: the environment sets {name}, but the runner picks the GPUs",
                code="bad_repeat_env",
                hint=f"remove {name}; use the include and exclude lists",
                field=name,
            )
    for argument in request.extra_args:
        if STOPS_EARLY.match(argument) or argument.startswith("--basetemp"):
            raise BadInput(
                f"{request.unit}: the pytest argument {argument} is not allowed: a repeat always runs to its end "
                "in a folder of its own",
                code="bad_pytest_args",
                hint="remove it from pytest_extra_args",
                field="extra_args",
            )
    test = request.cwd / request.test.partition("::")[0]
    if not test.exists():
        raise BadInput(
            f"{request.unit}: no test file {test}",
            code="no_test_file",
            hint="check the repository root",
            field="test",
        )
    if shutil.which(request.python) is None:
        raise BadInput(
            f"{request.unit}: the interpreter {request.python} is missing or not executable",
            code="bad_interpreter",
            hint="name a working one with --venv-python or in the host profile",
            field="python",
        )
    if request.cwd.resolve().is_relative_to(request.basetemp.absolute()):
        raise BadInput(
            f"{request.unit}: basetemp {request.basetemp} holds the repository, and would be emptied",
            code="bad_basetemp",
            hint="choose a run directory inside or beside the repository",
            field="basetemp",
        )


def command(request: RepeatRequest, basetemp: Path) -> list[str]:
    """The pytest command. `--maxfail=0` comes last: it undoes a `-x` in a project's own addopts."""
    # absolute, because pytest runs elsewhere; never resolved, because a venv's python is a link on purpose
    found = shutil.which(request.python)
    python = str(Path(found).absolute()) if found else request.python
    return [
        python,
        "-m",
        "pytest",
        request.test,
        "-v",
        "-s",
        f"--basetemp={basetemp}",
        *request.extra_args,
        "--maxfail=0",
    ]


def environment(request: RepeatRequest, visible: str, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of pytest: what is inherited, the model's, the GPUs, the paths, then the stage's.

    visible: the value of CUDA_VISIBLE_DEVICES; empty hides every GPU from a CPU test. CUDA counts
    GPUs fastest first unless told to use the order of the bus, which is NVML's.
    """
    env = {**inherited, **request.env}
    env["CUDA_VISIBLE_DEVICES"] = visible
    env["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    env["PYTHONPATH"] = _prepend(str(request.cwd.resolve()), env.get("PYTHONPATH"))
    if os.sep in request.python:
        env["PATH"] = _prepend(str(Path(request.python).absolute().parent), env.get("PATH"))
    for name in ("NO_PROXY", "no_proxy"):
        env[name] = f"{LOOPBACK},{env[name]}" if env.get(name) else LOOPBACK
    env.update(request.stage_env)
    return env


def empty(basetemp: Path) -> None:
    """Remove what an earlier attempt left in basetemp; raises `Unavailable` when any of it stays."""
    if basetemp.is_symlink() or basetemp.is_file():
        basetemp.unlink()
    if basetemp.exists():
        try:
            shutil.rmtree(basetemp, onerror=_make_writable)
        except OSError as error:
            raise Unavailable(
                f"cannot empty {basetemp}: {error.strerror}; results of an earlier attempt would be read",
                code="basetemp_not_empty",
                hint="remove it by hand, then run again",
            ) from None
    assert not basetemp.exists(), basetemp
    basetemp.parent.mkdir(parents=True, exist_ok=True)


def put_aside(log: Path) -> None:
    """Keep an existing log under the next free number: `run1.log` becomes `run1.1.log`, then `run1.2.log`, ..."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        number = 1
        while (kept := log.with_name(f"{log.stem}.{number}{log.suffix}")).exists():
            number += 1
        log.rename(kept)


def _prepend(first: str, rest: str | None) -> str:
    return f"{first}{os.pathsep}{rest}" if rest else first


def _make_writable(function: Callable[..., Any], path: str, _info: object) -> None:
    # a test may have left a folder without write permission behind
    for part in (Path(path).parent, Path(path)):
        part.chmod(part.stat().st_mode | stat.S_IRWXU)
    function(path)
