"""The driver's answers, the missing ones included, as the rest of the runner sees them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gpu_runner.nvml import Nvml
from ledger.errors import Unavailable
from tests.gpu_runner.machine import Machine, Sleeper


def test_gpus_are_described_in_the_order_of_the_driver(machine: Machine) -> None:
    with Nvml() as nvml:
        assert nvml.driver() == {"driver": "570.86.15", "nvml": "12.fake", "cuda": "12.8"}
        a, b = nvml.gpus()
        assert (a.index, a.uuid, a.name, a.total_mib, a.visible, a.pci) == (
            0,
            "GPU-a",
            "NVIDIA H20",
            97871,
            "0",
            "00000000:01:00.0",
        )
        assert b.label == "1"
        described = nvml.describe(a)
        assert described["compute_capability"] == "9.0" and described["ecc"] is True
        assert described["power_limit_mw"] == 500000 and nvml.pcie(a) == {"pcie_generation": 5, "pcie_width": 16}


def test_the_drivers_own_reserved_memory_is_not_used_memory(machine: Machine) -> None:
    """NVML's first memory struct counts it as used, which alone could exceed the gate."""
    machine.say("gpu 0 used 100", "gpu 0 reserved 3000")
    with Nvml() as nvml:
        assert nvml.load(nvml.gpus()[0]).used_mib == 100
        machine.say("error nvmlDeviceGetMemoryInfo_v2 13")  # an old driver
        assert nvml.load(nvml.gpus()[0]).used_mib == 3100


def test_processes_are_listed_by_the_newest_call_the_driver_has(machine: Machine, sleeper: Sleeper) -> None:
    pid = sleeper.start().pid
    machine.say(f"gpu 1 proc {pid} 17000")
    with Nvml() as nvml:
        gpu = nvml.gpus()[1]
        assert nvml.load(gpu).processes == {pid: 17000} and nvml.load(gpu).used_mib == 17004
        machine.say("error nvmlDeviceGetComputeRunningProcesses_v3 13")
        assert nvml.load(gpu).processes == {pid: 17000}
        machine.say("error nvmlDeviceGetComputeRunningProcesses_v2 3")
        assert nvml.load(gpu).processes is None


def test_many_processes_on_one_gpu_are_all_listed(machine: Machine, sleeper: Sleeper) -> None:
    pids = {sleeper.start().pid for _ in range(9)}
    machine.say(*(f"gpu 0 proc {pid} 10" for pid in pids))
    with Nvml() as nvml:
        assert set(nvml.load(nvml.gpus()[0]).processes or ()) == pids


@pytest.mark.parametrize(
    ("key", "column"),
    [
        ("sm", "sm_clock_mhz"),
        ("mem", "memory_clock_mhz"),
        ("power", "power_mw"),
        ("temp", "temperature_c"),
        ("total", "used_mib"),
        ("util", "utilization_percent"),
        ("throttle", "throttle"),
    ],
)
def test_what_a_gpu_does_not_support_is_none_and_nothing_else_is(machine: Machine, key: str, column: str) -> None:
    with Nvml() as nvml:
        gpu = nvml.gpus()[0]
        whole = nvml.read(gpu)
        machine.forget(f"gpu 0 {key} ")
        part = nvml.read(gpu)
    for name in whole.__slots__:
        assert getattr(part, name) == (None if name == column else getattr(whole, name)), name
    assert getattr(whole, column) is not None


def test_older_calls_stand_in_for_temperature_and_throttle_reasons(machine: Machine) -> None:
    machine.say("gpu 0 throttle 72", "gpu 0 temp 84")
    machine.say("error nvmlDeviceGetTemperatureV 13", "error nvmlDeviceGetCurrentClocksEventReasons 13")
    with Nvml() as nvml:
        reading = nvml.read(nvml.gpus()[0])
    assert (reading.temperature_c, reading.throttle) == (84, 72)


def test_a_gpu_that_fell_off_the_bus_is_lost_and_the_others_are_not(machine: Machine) -> None:
    with Nvml() as nvml:
        a, b = nvml.gpus()
        machine.say("gpu 0 error * 15")
        assert nvml.load(a).lost and nvml.read(a).lost and nvml.energy_mj(a) is None
        assert not nvml.load(b).lost and nvml.read(b).power_mw == 75000
        assert [gpu.uuid for gpu in nvml.gpus()] == ["GPU-b"]


def test_an_unplugged_gpu_is_gone_from_the_list(machine: Machine) -> None:
    with Nvml() as nvml:
        assert len(nvml.gpus()) == 2
        machine.forget("gpu 1 ")
        assert [gpu.uuid for gpu in nvml.gpus()] == ["GPU-a"]


def test_a_gpu_in_mig_mode_is_its_slices_and_cuda_gets_their_uuids(machine: Machine) -> None:
    machine.say(
        "gpu 0 mig 1",
        "gpu 0/0 uuid MIG-x",
        "gpu 0/0 name H20 MIG 1g.12gb",
        "gpu 0/0 total 12000",
        "gpu 0/2 uuid MIG-y",
        "gpu 0/2 total 24000",
    )
    with Nvml() as nvml:
        found = [(gpu.label, gpu.visible, gpu.total_mib) for gpu in nvml.gpus()]
    assert found == [("0/0", "MIG-x", 12000), ("0/2", "MIG-y", 24000), ("1", "1", 97871)]


def test_calls_a_mig_device_does_not_take_are_none_and_it_is_not_lost(machine: Machine) -> None:
    machine.say("gpu 0 mig 1", "gpu 0/0 uuid MIG-x", "gpu 0/0 total 12000", "gpu 0/0 used 7")
    refused = ("nvmlDeviceGetPowerUsage", "nvmlDeviceGetClockInfo", "nvmlDeviceGetComputeRunningProcesses_v3")
    machine.say(*(f"gpu 0/0 error {call} 2" for call in refused))
    with Nvml() as nvml:
        gpu = nvml.gpus()[0]
        reading, load = nvml.read(gpu), nvml.load(gpu)
    assert not reading.lost and reading.power_mw is None and reading.used_mib == 7
    assert not load.lost and load.used_mib == 7 and load.processes == {}


def test_a_handle_of_a_removed_gpu_is_a_lost_gpu(machine: Machine) -> None:
    with Nvml() as nvml:
        gpu = nvml.gpus()[0]
        machine.say("gpu 0 error * 2")
        assert nvml.load(gpu).lost and nvml.read(gpu).lost


def test_without_a_loaded_driver_there_is_one_clear_sentence(machine: Machine) -> None:
    machine.say("init 9")
    with pytest.raises(Unavailable, match=r"^no NVIDIA driver answers here: Driver Not Loaded$") as refused:
        Nvml()
    assert refused.value.code == "no_gpu_driver" and "0 GPUs" in refused.value.hint


def test_without_the_driver_library_the_sentence_is_the_same() -> None:
    code = "from gpu_runner.nvml import Nvml\ntry: Nvml()\nexcept Exception as e: print(type(e).__name__, e)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"LD_LIBRARY_PATH": "/nonexistent", "PATH": "/bin"},
    )
    if "NVIDIA driver" not in done.stdout:
        pytest.skip("this machine has a real NVIDIA driver")
    assert done.stdout.startswith("Unavailable no NVIDIA driver answers here:")
