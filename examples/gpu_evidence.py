"""Checks the GPU runner against real hardware, and prints what it saw. For a machine with an idle NVIDIA GPU.

    python examples/gpu_evidence.py | tee docs/evidence/<host>.txt

Needs perfledger and the driver, nothing else: memory is held, and load made, through the CUDA driver library itself
(libcuda.so.1 by ctypes). One GPU is used, for about a minute.
Exit 0: every check holds; 1: one does not; 4: no free GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gpu_runner import gate, processes
from gpu_runner.nvml import Gpu, Nvml
from gpu_runner.repeat import GatePolicy, Limits, RepeatObserved, RepeatRequest, StageSpec, ValueSource, run_repeat
from gpu_runner.telemetry import Sampler, summarize
from ledger.errors import PerfledgerError

HELD_MIB = 4096
LOAD_S = 6.0
MIB = 2**20

TEST = """
import json, os, subprocess, sys, time
def test_gpu(tmp_path):
    # a model server: its own session, memory on the GPU, and it stays when the test is over
    server = subprocess.Popen([sys.executable, {script!r}, "--hold", "{mib}", "--load"], stdout=subprocess.PIPE,
                              text=True, start_new_session=True)
    assert server.stdout.readline().startswith("holding")
    time.sleep({seconds})
    (tmp_path / "r.json").write_text(json.dumps({{"pid": server.pid, "speed": {{"qps": 1.0}}}}))
"""


class Report:
    """Prints each check as it is made, and remembers whether all held."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def check(self, holds: bool, what: str, *seen: object) -> None:
        """One line: what should hold, and what was seen."""
        print(f"{'PASS' if holds else 'FAIL'}  {what}: {' '.join(map(str, seen))}", flush=True)
        if not holds:
            self.failed.append(what)


class Cuda:
    """The few calls of the CUDA driver API that hold memory and make load. Raises OSError without the library."""

    def __init__(self) -> None:
        self.lib = ctypes.CDLL("libcuda.so.1")
        self("cuInit", 0)
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self("cuDeviceGet", ctypes.byref(device), 0)
        self("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self("cuCtxSetCurrent", context)

    def __call__(self, name: str, *args: Any) -> None:
        code = getattr(self.lib, name)(*args)
        if code != 0:
            raise SystemExit(f"{name} failed with CUDA error {code}")

    def allocate(self, mib: int) -> ctypes.c_uint64:
        """Allocate on the first visible GPU and touch all of it."""
        pointer = ctypes.c_uint64()
        self("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(mib * MIB))
        self.fill(pointer, mib)
        return pointer

    def fill(self, pointer: ctypes.c_uint64, mib: int) -> None:
        """Write every word: as fast as the memory goes, which draws power without needing a compiler."""
        self("cuMemsetD32_v2", pointer, ctypes.c_uint(7), ctypes.c_size_t(mib * MIB // 4))
        self("cuCtxSynchronize")


def hold(mib: int, load: bool) -> None:
    """The child: hold memory until ended, writing it again and again under `load`."""
    cuda = Cuda()
    pointer = cuda.allocate(mib)
    print(f"holding {mib} MiB", flush=True)
    while True:
        if load:
            for _ in range(50):
                cuda.fill(pointer, mib)
        else:
            time.sleep(0.2)


@contextlib.contextmanager
def holder(gpu: Gpu, *, load: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A child process that holds memory on one GPU."""
    command = [sys.executable, __file__, "--hold", str(HELD_MIB), *(["--load"] if load else [])]
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": gpu.visible, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        if not child.stdout.readline().startswith("holding"):
            raise SystemExit("the CUDA driver library did not allocate; see the lines above")
        yield child
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()


def check_gate(report: Report, nvml: Nvml, gpu: Gpu) -> None:
    """Memory held by a CUDA process is seen, attributed, refused by the gate, and comes back."""
    before = nvml.load(gpu).used_mib or 0
    with holder(gpu) as child:
        load = nvml.load(gpu)
        grown = (load.used_mib or 0) - before
        report.check(grown >= HELD_MIB, "memory held by a CUDA process shows in NVML", f"+{grown} MiB")
        report.check(child.pid in (load.processes or {}), "the process is listed by its pid", load.processes)
        reason = gate.judge(gpu, load, GatePolicy().memory_limit_mib).reason
        report.check("in use by" in reason or "ghost" in reason, "the gate refuses the GPU", reason)
    began = time.monotonic()
    left = gate.wait_released(nvml, [gpu], GatePolicy(release_wait_s=30.0))
    report.check(not left, "after SIGKILL the memory comes back", f"{time.monotonic() - began:.2f} s")


def check_telemetry(report: Report, nvml: Nvml, gpu: Gpu) -> None:
    """Clocks and power move under load, and sampling costs next to nothing."""
    with Sampler(nvml, [gpu], hz=10) as idle:
        time.sleep(3.0)
    with holder(gpu, load=True), Sampler(nvml, [gpu], hz=10) as busy:
        cpu = time.process_time()
        time.sleep(LOAD_S)
        share = (time.process_time() - cpu) / LOAD_S
    before, after = summarize(idle.tracks[0]), summarize(busy.tracks[0])
    for name in sorted(set(before.columns) & set(after.columns)):
        low, high = before.columns[name], after.columns[name]
        print(f"      {name}: idle median {low.median:g}, under load median {high.median:g} max {high.max:g}")
    print(
        f"      energy {before.energy_j} J idle in 3 s, {after.energy_j} J under load in {LOAD_S:g} s; "
        f"throttled {after.throttled_share} {after.throttle_reasons}"
    )
    power = [summary.columns.get("power_w") for summary in (before, after)]
    if power[0] and power[1]:
        report.check(
            power[1].median > power[0].median,
            "power rises under load",
            f"{power[0].median:g} W to {power[1].median:g} W",
        )
    clock = after.columns.get("sm_clock_mhz")
    report.check(clock is not None, "the SM clock is sampled", clock)
    report.check(share < 0.01, "sampling at 10 Hz costs under 1 % of a core", f"{100 * share:.3f} %")


def repeat(folder: Path, gpu: Gpu, name: str, *, seconds: float, stall_s: float | None) -> tuple[RepeatObserved, float]:
    """Run one repeat on exactly this GPU; returns it and how long it took."""
    script = str(Path(__file__).resolve())
    (folder / "test_gpu.py").write_text(TEST.format(script=script, mib=HELD_MIB, seconds=seconds))
    source = ValueSource(json_file="test_gpu0/r.json", json_path="speed.qps")
    request = RepeatRequest(
        unit=name,
        repeat=1,
        python=sys.executable,
        test="test_gpu.py",
        cwd=folder,
        gpus=1,
        telemetry_hz=10,
        basetemp=folder / name / "basetemp_run1",
        log=folder / name / "run1.log",
        emit=lambda _: None,
        stages=(StageSpec(key="gpu", metrics={"qps": source}),),
        gate=GatePolicy(include=(gpu.uuid,), wait_s=60.0, release_wait_s=60.0),
        limits=Limits(attempts=1, stall_s=stall_s, poll_s=0.2),
        say=lambda line: print(f"      {line}", flush=True),
    )
    began = time.monotonic()
    return run_repeat(request), time.monotonic() - began


def check_repeats(report: Report, nvml: Nvml, gpu: Gpu) -> None:
    """A repeat that leaves a server behind, and one that hangs: both end with the memory back."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, seconds, stall_s, outcome in (
            ("passes", 3.0, None, "passed"),
            ("hangs", 600.0, 8.0, "timeout (no output for 8 s)"),
        ):
            seen, took = repeat(folder, gpu, name, seconds=seconds, stall_s=stall_s)
            report.check(
                seen.attempt_history[0].outcome == outcome,
                f"a repeat that {name}",
                seen.attempt_history[0].outcome,
                f"{took:.1f} s",
            )
            report.check(not processes.marked(seen.repeat_id), "no process of it is left", seen.environment_problems)
            load = nvml.load(gpu)
            report.check(not gate.judge(gpu, load, 2048).reason, "its memory is back", f"{load.used_mib} MiB in use")
            peak = next((t.columns["used_mib"].max for t in seen.telemetry if "used_mib" in t.columns), None)
            report.check((peak or 0) >= HELD_MIB, "its memory was sampled", f"peak {peak} MiB")
            report.check(
                not any(d.startswith("foreign") for d in seen.suspect),
                "its server is not a stranger",
                seen.suspect or "no doubts",
            )


def run() -> int:
    """All checks on the first free GPU."""
    report = Report()
    try:
        with Nvml() as nvml:
            free = [s.gpu for s in gate.survey(nvml, GatePolicy()) if not s.reason]
            print(f"python {platform.python_version()}, kernel {platform.release()}, driver {nvml.driver()}")
            for gpu in nvml.gpus():
                print("     ", nvml.describe(gpu))
            if not free:
                print("no free GPU here: nothing was checked")
                return 4
            checks: tuple[Callable[[Report, Nvml, Gpu], None], ...] = (check_gate, check_telemetry, check_repeats)
            for check in checks:
                check(report, nvml, free[0])
    except PerfledgerError as error:
        print(f"{error.message}: nothing was checked")
        return 4
    print(f"{len(report.failed)} of the checks failed: {report.failed}" if report.failed else "every check holds")
    return 1 if report.failed else 0


def main() -> int:
    """Either the checks, or the child that holds memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hold", type=int, metavar="MIB", help=argparse.SUPPRESS)
    parser.add_argument("--load", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.hold:
        try:
            hold(asked.hold, asked.load)
        except OSError as error:
            print(f"no CUDA driver library: {error}")
            return 4
    return run()


if __name__ == "__main__":
    sys.exit(main())
