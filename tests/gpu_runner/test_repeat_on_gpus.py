"""A repeat on GPUs: the real pynvml on a stand-in driver, real processes that hold its memory."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpu_runner.gate import NotGranted
from gpu_runner.locks import GpuLock, lock_dir, try_lock
from gpu_runner.repeat import GatePolicy, Limits
from ledger.errors import Unavailable
from tests.gpu_runner.machine import Machine, Sleeper
from tests.gpu_runner.repeats import PASSES, WRITES, Bench

# What a model server does to a GPU, as the stand-in driver understands it: memory held while the pid lives.
HOLDS = (
    WRITES
    + """
    import pathlib, subprocess, sys, time
    def say(*lines):
        with open(os.environ["FAKE_NVML_STATE"], "a") as state:
            state.write("".join(line + "\\n" for line in lines))
    def hold(gpu, mib, pid=None):
        say(f"gpu {gpu} proc {pid or os.getpid()} {mib}")
"""
)


def free(uuid: str) -> bool:
    lock = try_lock(lock_dir(), uuid)
    if isinstance(lock, GpuLock):
        lock.release()
        return True
    return False


def test_the_test_sees_exactly_the_picked_gpus_and_every_decision_is_an_event(
    machine: Machine, bench: Bench, sleeper: Sleeper
) -> None:
    machine.add("GPU-c")
    machine.say(f"gpu 0 proc {sleeper.start().pid} 30000")
    seen = bench.run(
        WRITES
        + """
    def test_it(tmp_path):
        measured(tmp_path)
        print("\\nVISIBLE", os.environ["CUDA_VISIBLE_DEVICES"])
    """,
        gpus=2,
    )
    assert "VISIBLE 1,2" in (bench.root / "run" / "run1.log").read_text()
    (picked,) = bench.named("GpusPicked")
    assert (picked.gpu_indices, picked.gpu_uuids) == ([1, 2], ["GPU-b", "GPU-c"])
    assert (seen.gpu_indices, seen.gpu_uuids) == ([1, 2], ["GPU-b", "GPU-c"])
    assert seen.attempt_history[0].gpu_indices == [1, 2] and not bench.named("GpuWaited")
    assert "using GPU(s) [1, 2] (CUDA_VISIBLE_DEVICES=1,2)" in bench.words
    assert free("GPU-b") and free("GPU-c")


def test_gpus_that_never_get_free_are_no_observation(machine: Machine, bench: Bench, sleeper: Sleeper) -> None:
    """Pytest never ran: nothing is extracted, nothing halts, nothing is recorded as measured."""
    machine.say(f"gpu 0 proc {sleeper.start().pid} 30000", "gpu 1 used 17000")
    old = bench.root / "run" / "basetemp_run1" / "test_it0"
    old.mkdir(parents=True)
    (old / "r.json").write_text('{"speed": {"qps": 999.0}}')
    with pytest.raises(NotGranted, match="ghost memory: 17000 MiB"):
        bench.run(PASSES, gpus=1)
    assert [type(event).__name__ for event in bench.events] == ["EnvironmentSeen", "GpuWaited"]
    (waited,) = bench.named("GpuWaited")
    assert (waited.granted, waited.needed) == (False, 1) and set(waited.reasons) == {"0", "1"}


def test_without_a_driver_a_gpu_test_is_one_sentence_and_a_cpu_test_runs(machine: Machine, bench: Bench) -> None:
    machine.say("init 9")
    with pytest.raises(Unavailable, match="no NVIDIA driver answers here"):
        bench.run(PASSES, gpus=1)
    assert bench.run(PASSES, gpus=0).stages[0].metrics == {"throughput_qps": 17.5}


def test_a_server_left_on_the_gpu_is_ended_and_its_memory_waited_for(machine: Machine, bench: Bench) -> None:
    seen = bench.run(
        HOLDS
        + """
    def test_it(tmp_path):
        server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        hold(0, 30000, server.pid)
        measured(tmp_path)
    """,
        gpus=1,
    )
    assert seen.stages[0].status == "ok" and seen.environment_problems == [] and seen.suspect == []
    again = bench.run(gpus=1, repeat=2, log=bench.root / "run/run2.log", basetemp=bench.root / "run/basetemp_run2")
    assert again.gpu_uuids == ["GPU-a"], "the GPU was free again for the next repeat"


def test_memory_that_does_not_come_back_is_named_and_the_measurement_stands(machine: Machine, bench: Bench) -> None:
    seen = bench.run(
        HOLDS
        + """
    def test_it(tmp_path):
        measured(tmp_path)
        say("gpu 0 used 17000")
    """,
        gpus=1,
    )
    assert seen.stages[0].metrics == {"throughput_qps": 17.5} and seen.stages[0].status == "ok"
    (problem,) = seen.environment_problems
    assert problem.startswith("ghost memory: GPU memory not released after run on GPU 0: ghost memory: 17000 MiB")


def test_a_crash_moves_on_to_a_gpu_that_still_works(machine: Machine, bench: Bench) -> None:
    seen = bench.run(
        HOLDS
        + """
    def test_it(tmp_path):
        if os.environ["CUDA_VISIBLE_DEVICES"] == "0":
            say("gpu 0 error * 15")
            os._exit(134)
        measured(tmp_path)
    """,
        gpus=1,
    )
    assert [a.gpu_indices for a in seen.attempt_history] == [[0], [1]]
    assert seen.stages[0].status == "ok" and seen.gpu_uuids == ["GPU-b"]


def test_when_a_retry_finds_no_gpu_the_attempt_that_ran_is_still_observed(machine: Machine, bench: Bench) -> None:
    seen = bench.run(
        HOLDS
        + """
    def test_it(tmp_path):
        say("gpu 0 used 9000", "gpu 1 used 9000")
        os._exit(137)
    """,
        gpus=1,
    )
    assert [a.outcome for a in seen.attempt_history] == ["exit 137 (killed)"]
    assert seen.stages[0].status == "failed" and seen.halt is None
    assert any("GPUs did not get free before a retry" in sentence for sentence in seen.environment_problems)
    assert bench.named("GpuWaited")[-1].granted is False


def test_when_the_only_gpu_fell_off_the_bus_the_attempt_it_killed_is_still_observed(
    machine: Machine, bench: Bench
) -> None:
    machine.forget("gpu 1 ")
    seen = bench.run(
        HOLDS
        + """
    def test_it(tmp_path):
        say("gpu 0 error * 15")
        os._exit(134)
    """,
        gpus=1,
    )
    assert [a.outcome for a in seen.attempt_history] == ["exit 134 (abort)"] and seen.stages[0].status == "failed"
    assert bench.named("GpuWaited")[-1].reasons == {"all": "need 1 GPU(s), but only 0 can be used here"}
    assert any("GPUs did not get free before a retry" in sentence for sentence in seen.environment_problems)


def test_telemetry_is_summed_up_kept_as_rows_and_as_parquet(machine: Machine, bench: Bench) -> None:
    seen = bench.run(
        HOLDS
        + """
    def test_it(tmp_path):
        say("gpu 0 power 400000", "gpu 0 energy 1500000", "gpu 0 throttle 0")
        time.sleep(1.0)
        measured(tmp_path)
    """,
        gpus=2,
        telemetry_hz=10,
    )
    gpu, other = seen.telemetry
    assert (gpu.uuid, gpu.index, other.uuid) == ("GPU-a", 0, "GPU-b") and gpu.samples >= 2
    assert gpu.columns["power_w"].max == 400.0 and gpu.columns["power_w"].min == 75.0
    assert gpu.energy_j == 500.0 and gpu.throttled_share == 0.0
    rows = {event.gpu_uuid: event for event in bench.named("TelemetryRecorded")}
    assert len(rows["GPU-a"].offset_ms) == gpu.samples == len(rows["GPU-a"].power_mw) and rows["GPU-a"].stride == 1
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(io.BytesIO(bench.store.kept[str(seen.telemetry_sha256)]))
    assert table.num_rows == gpu.samples + other.samples
    assert table.column("power_mw").to_pylist()[: gpu.samples] == rows["GPU-a"].power_mw


def test_a_stranger_on_the_gpu_throttling_and_ecc_errors_make_an_observation_suspect(
    machine: Machine, bench: Bench, sleeper: Sleeper
) -> None:
    stranger = sleeper.start().pid
    machine.say("gpu 0 throttle 64", "gpu 0 sm 1410")
    seen = bench.run(
        HOLDS
        + f"""
    def test_it(tmp_path):
        hold(0, 100)
        hold(0, 100, {stranger})
        say("gpu 0 ecc_uncorrected 2")
        time.sleep(0.6)
        measured(tmp_path)
    """,
        gpus=1,
        telemetry_hz=10,
        clock_medians_mhz={"GPU-a": 1980.0},
        gate=GatePolicy(wait_s=0, poll_s=0.05, settle_s=0, release_wait_s=0.1),
    )
    assert [doubt.split(":")[0] for doubt in seen.suspect] == ["throttling", "clocks", "foreign_process", "ecc"]
    assert f"shared with pid {stranger}, not of this repeat" in seen.suspect[2]
    assert seen.stages[0].status == "ok", "a witness changes no number and fails nothing"


def test_a_gpu_lost_during_the_repeat_is_a_physical_reason(machine: Machine, bench: Bench) -> None:
    seen = bench.run(
        HOLDS
        + """
    def test_it(tmp_path):
        say("gpu 0 error * 15")
        time.sleep(0.4)
        os._exit(134)
    """,
        gpus=1,
        telemetry_hz=10,
        limits=Limits(attempts=1, poll_s=0.05),
    )
    assert seen.suspect == ["lost: GPU 0 fell off the bus during the repeat"]
    assert "lost: it fell off the bus and needs a reset or a reboot" in seen.environment_problems[0]


def test_the_fingerprint_names_driver_and_gpus_and_is_recorded_once(machine: Machine, bench: Bench) -> None:
    first = bench.run(PASSES, gpus=1)
    (environment,) = bench.named("EnvironmentSeen")
    assert environment.fingerprint["driver"] == {"driver": "570.86.15", "nvml": "12.fake", "cuda": "12.8"}
    assert [gpu["uuid"] for gpu in environment.fingerprint["gpus"]] == ["GPU-a", "GPU-b"]
    again = bench.run(gpus=1, known_environment=first.environment)
    assert again.environment == first.environment and len(bench.named("EnvironmentSeen")) == 1
    machine.say("driver 580.0")
    assert bench.run(gpus=1, known_environment=first.environment).environment != first.environment


def test_two_runners_at_once_never_share_a_gpu(machine: Machine, bench: Bench, tmp_path: Path) -> None:
    """Two whole runners, three repeats each, two GPUs: at any moment each GPU serves one test."""
    bench.write(f"""
        import os, time
        def test_it():
            place = {str(tmp_path)!r} + "/in-use-" + os.environ["CUDA_VISIBLE_DEVICES"]
            fd = os.open(place, os.O_CREAT | os.O_EXCL)
            time.sleep(0.3)
            os.unlink(place)
    """)
    code = """
import sys
from pathlib import Path
from gpu_runner.repeat import *
root, name = Path(sys.argv[1]), sys.argv[2]
for k in (1, 2, 3):
    seen = run_repeat(RepeatRequest(
        unit=name, repeat=k, python=sys.executable, test="test_it.py", cwd=root, basetemp=root / name / f"bt{k}",
        log=root / name / f"run{k}.log", emit=lambda payload: None, gpus=1, telemetry_hz=0,
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, stages=(StageSpec(key="a", metrics={}),),
        gate=GatePolicy(wait_s=60, poll_s=0.05, settle_s=0.02)))
    print(seen.gpu_uuids[0], seen.stages[0].status)
"""
    import os

    env: dict[str, Any] = {**os.environ, **machine.env}
    runners = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(bench.root), f"unit{n}"], stdout=subprocess.PIPE, text=True, env=env
        )
        for n in range(2)
    ]
    lines = [line for runner in runners for line in runner.communicate(timeout=120)[0].splitlines()]
    assert len(lines) == 6 and all(line.endswith(" ok") for line in lines), json.dumps(lines)
