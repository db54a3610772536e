"""`perfledger gpu` as a person or a script uses it, on a machine made of text."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PERFLEDGER, clean_env
from tests.gpu_runner.conftest import machine, nvml_dir, sleeper
from tests.gpu_runner.machine import Machine, Sleeper

__all__ = ["machine", "nvml_dir", "sleeper"]
Run = Callable[..., Any]


@pytest.fixture
def gpu(cli: Run, machine: Machine, tmp_path: Path) -> Run:
    env = {**machine.env, "PERFLEDGER_GPU_LOCK_DIR": str(tmp_path / "gpu-locks")}
    return lambda *args, **more: cli("gpu", *args, env={**env, **more.pop("env", {})}, **more)


def test_list_shows_every_gpu_and_why_it_is_not_free(gpu: Run, machine: Machine, sleeper: Sleeper) -> None:
    pid = sleeper.start().pid
    machine.say(f"gpu 0 proc {pid} 30000", "gpu 1 used 17000")
    done = gpu("list", "--json", code=0)
    assert done.json["driver"] == {"driver": "570.86.15", "nvml": "12.fake", "cuda": "12.8"}
    first, second = done.json["gpus"]
    assert (first["free"], first["processes"]) == (False, [{"pid": pid, "used_mib": 30000}])
    assert (second["ghost_memory"], second["processes"], second["used_mib"]) == (True, [], 17000)
    text = gpu("list", code=0).out
    assert f"in use by pid {pid}" in text and "ghost memory: 17000 MiB" in text and "NVIDIA H20" in text


def test_list_answers_unsupported_values_with_null(gpu: Run, machine: Machine) -> None:
    machine.forget("gpu 0 power ", "gpu 0 util ", "gpu 0 throttle ", "gpu 0 ecc ")
    row = gpu("list", "--json", code=0).json["gpus"][0]
    assert [row[key] for key in ("power_mw", "utilization_percent", "throttle_reasons", "ecc")] == [None] * 4
    assert row["temperature_c"] == 31 and row["free"] is True


def test_list_shows_gpus_a_scheduler_hid_and_wait_does_not_take_them(gpu: Run) -> None:
    env = {"CUDA_VISIBLE_DEVICES": "1"}
    assert len(gpu("list", "--json", env=env, code=0).json["gpus"]) == 2
    assert gpu("wait", "--settle", "0", env=env, code=0).out == "1\n"


def test_wait_prints_what_cuda_visible_devices_should_be(gpu: Run, machine: Machine) -> None:
    machine.add("GPU-c")
    assert gpu("wait", "-n", "2", "--settle", "0", "--exclude", "0", code=0).out == "1,2\n"
    document = gpu("wait", "--settle", "0", "--include", "GPU-c", "--json", code=0).json
    assert document["cuda_visible_devices"] == "2" and document["gpus"][0]["uuid"] == "GPU-c"


def test_wait_gives_up_with_exit_4_and_the_reasons(gpu: Run, machine: Machine) -> None:
    machine.say("gpu 0 used 17000", "gpu 1 used 17000")
    done = gpu("wait", "--timeout", "0.2", "--poll", "0.05", "--settle", "0", "--json", code=4)
    error = done.json["error"]
    assert error["code"] == "gpus_not_free" and set(error["details"]["reasons"]) == {"0", "1"}
    assert gpu("wait", "-n", "3", code=4).err.startswith("perfledger: need 3 GPU(s), but only 2 can be used here")


def test_without_a_driver_there_is_one_sentence_and_no_traceback(cli: Run) -> None:
    for args in (("list",), ("wait",), ("sample", "--seconds", "1")):
        done = cli("gpu", *args, env={"FAKE_NVML_STATE": "/nonexistent"})
        if done.code == 0:
            pytest.skip("this machine has a real NVIDIA driver")
        assert done.code == 4 and done.err.startswith("perfledger: no NVIDIA driver answers here")
        assert len(done.err.strip().splitlines()) == 2


def test_sample_summarizes_writes_parquet_and_records(gpu: Run, machine: Machine, cli: Run, tmp_path: Path) -> None:
    cli("init", code=0)
    machine.say("gpu 0 power 400000", "gpu 0 throttle 32")
    out = tmp_path / "rows.parquet"
    done = gpu("sample", "--seconds", "0.6", "--hz", "10", "-o", out, "--record", "--json", code=0)
    first = done.json["gpus"][0]
    assert first["columns"]["power_w"] == {"min": 400.0, "median": 400.0, "p95": 400.0, "max": 400.0}
    assert first["throttle_reasons"] == {"sw_thermal": 1.0} and first["samples"] >= 3
    rows = cli(
        "sql",
        "SELECT count(*) AS n, min(power_w) AS p, bool_and(throttled) AS t FROM telemetry WHERE gpu_index = 0",
        "--json",
        code=0,
    ).json
    found = rows["rows"] if isinstance(rows, dict) else rows
    assert found == [{"n": first["samples"], "p": 400.0, "t": True}]
    pq = pytest.importorskip("pyarrow.parquet")
    assert pq.read_table(out).num_rows == sum(gpu["samples"] for gpu in done.json["gpus"])
    again = gpu("sample", "-o", out, code=2)
    assert "exists already; nothing was sampled" in again.err
    assert "power_w" in gpu("sample", "--seconds", "0.2", "--hz", "10", code=0).out


def test_ctrl_c_ends_sampling_early_and_keeps_what_there_is(machine: Machine, tmp_path: Path) -> None:
    running = subprocess.Popen(
        [PERFLEDGER, "gpu", "sample", "--seconds", "600", "--hz", "10"],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_env(**machine.env),
    )
    deadline = time.monotonic() + 60
    while len(list(Path(f"/proc/{running.pid}/task").iterdir())) < 2:  # the sampler is a thread
        assert time.monotonic() < deadline and running.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130 and "power_w" in out and "Traceback" not in err, (out, err, sys.version)
