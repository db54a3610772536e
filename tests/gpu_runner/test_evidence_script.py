"""examples/gpu_evidence.py: its logic on a stand-in machine, so that a person with a GPU can trust what it prints."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gpu_runner.machine import Machine

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "examples" / "gpu_evidence.py"


def run(env: dict[str, str], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    known = {k: v for k, v in os.environ.items() if k not in ("FAKE_NVML_STATE", "CUDA_VISIBLE_DEVICES")}
    env = {**known, "PYTHONPATH": str(ROOT), "PERFLEDGER_GPU_LOCK_DIR": str(tmp_path / "locks"), **env}
    return subprocess.run(
        [sys.executable, str(SCRIPT)], env=env, capture_output=True, text=True, timeout=240, check=False
    )


def test_without_a_gpu_it_says_so_and_checks_nothing(tmp_path: Path) -> None:
    done = run({"LD_LIBRARY_PATH": "/nonexistent"}, tmp_path)
    if "every check" in done.stdout:
        pytest.skip("this machine has a real NVIDIA driver")
    assert done.returncode == 4 and "no NVIDIA driver answers here" in done.stdout and "PASS" not in done.stdout


@pytest.mark.soak
def test_on_a_machine_that_behaves_every_check_holds(machine: Machine, tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler is not None
    source, library = Path(__file__).with_name("fake_cuda.c"), machine.library / "libcuda.so.1"
    subprocess.run([compiler, "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    done = run({**machine.env, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, tmp_path)
    assert done.stdout.rstrip().endswith("every check holds"), done.stdout + done.stderr
    assert done.stdout.count("PASS") == 17 and done.returncode == 0
