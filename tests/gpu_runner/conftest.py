"""A machine with GPUs made of a text file, read by the real pynvml through a stand-in driver library."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_runner.subreaper import is_subreaper
from tests.gpu_runner.machine import Machine, Sleeper
from tests.gpu_runner.repeats import Bench

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def nvml_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stand-in `libnvidia-ml.so.1`, for LD_LIBRARY_PATH of child processes."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to build the stand-in NVML library")
    folder = tmp_path_factory.mktemp("nvml")
    subprocess.run(
        [
            compiler,
            "-O1",
            "-Wall",
            "-Werror",
            "-shared",
            "-fPIC",
            "-Wl,-soname,libnvidia-ml.so.1",
            "-o",
            str(folder / "libnvidia-ml.so.1"),
            str(HERE / "fake_nvml.c"),
        ],
        check=True,
    )
    # A library with this soname that is loaded already is the one pynvml gets when it asks for it by name.
    ctypes.CDLL(str(folder / "libnvidia-ml.so.1"), mode=ctypes.RTLD_GLOBAL)
    return folder


@pytest.fixture
def machine(nvml_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Two free GPUs, `GPU-a` and `GPU-b`, and a lock folder of this test's own."""
    state = tmp_path / "machine.txt"
    monkeypatch.setenv("FAKE_NVML_STATE", str(state))
    monkeypatch.setenv("PERFLEDGER_GPU_LOCK_DIR", str(tmp_path / "gpu-locks"))
    for name in ("CUDA_VISIBLE_DEVICES", "TUNE_GPU_INCLUDE", "TUNE_GPU_EXCLUDE"):
        monkeypatch.delenv(name, raising=False)
    made = Machine(state, nvml_dir)
    made.add("GPU-a")
    made.add("GPU-b")
    return made


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    """Starts real processes that do nothing; whatever is left of them is ended afterwards."""
    made = Sleeper()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("PYTEST_ADDOPTS", "PERFLEDGER_")):
            monkeypatch.delenv(name)
    assert sys.platform == "linux"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A repository of its own to run a repeat in."""
    root = tmp_path / "repo"
    root.mkdir()
    return Bench(root)


@pytest.fixture(autouse=True)
def _no_orphans_are_adopted_for_ever() -> Iterator[None]:
    """A runner that has ended adopts no orphans any more: the next test's would look like its own."""
    yield
    assert not is_subreaper()
