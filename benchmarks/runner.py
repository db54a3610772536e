"""What the runner costs: per repeat beyond the test's own time, and per second of sampling.

A repeat is compared with the same pytest started by hand, alternating, in one run; the best of each counts, because
whatever else the machine does can only add. Sampling is measured as the
CPU time of the sampler on GPUs of a stand-in driver library, built by the C compiler here;
its calls read a text file each time, which a real driver does not, so the figure is an upper bound for the Python side.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.start import print_rows

REPEATS = 9
OVERHEAD_LIMIT_S = 0.5
SAMPLING_LIMIT = 0.01
SAMPLING_S = 6.0
FAKE = Path(__file__).resolve().parents[1] / "tests" / "gpu_runner" / "fake_nvml.c"
PLAIN = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # the plugins of this environment are most of a small test's time
TEST = """
import json
def test_it(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps({"speed": {"qps": 17.5}}))
"""


def main() -> list[dict[str, Any]]:
    """Measure both and return the rows."""
    return [_overhead(), *_sampling()]


def _overhead() -> dict[str, Any]:
    """The best repeat minus the best bare pytest, the two alternating so that a busy machine hits both."""
    from gpu_runner.repeat import RepeatRequest, StageSpec, ValueSource, run_repeat
    from ledger.event import EventPayload, NewEvent
    from ledger.ledger import Ledger

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "test_it.py").write_text(TEST)
        git = ["git", "-C", folder, "-c", "user.email=b@example.org", "-c", "user.name=b"]
        for args in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
            subprocess.run([*git, *args], check=True)
        ledger = Ledger.create(root / ".perfledger", origin="bench", actor="bench")
        qps = ValueSource(json_file="test_it0/r.json", json_path="speed.qps")

        def emit(payload: EventPayload) -> None:
            ledger.append([NewEvent(stream="calibration/b", payload=payload)])

        known: str | None = None
        bare, whole = [], []
        for number in range(REPEATS + 1):
            command = [sys.executable, "-m", "pytest", "test_it.py", "-v", "-s", f"--basetemp={root / 'bare'}"]
            began = time.perf_counter()
            subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **PLAIN})
            bare.append(time.perf_counter() - began)
            request = RepeatRequest(
                unit="test_it",
                repeat=number,
                python=sys.executable,
                test="test_it.py",
                cwd=root,
                basetemp=root / "run" / f"bt{number}",
                log=root / "run" / f"run{number}.log",
                stages=(StageSpec(key="a", metrics={"qps": qps}),),
                evidence=ledger.evidence,
                emit=emit,
                known_environment=known,
                env=PLAIN,
            )
            began = time.perf_counter()
            known = run_repeat(request).environment
            whole.append(time.perf_counter() - began)
        # the first pair pays for imports and for asking the interpreter what is installed, once per process
        test_s = min(bare[1:])
        value = min(whole[1:]) - test_s
    return {
        "name": "runner overhead per repeat, without GPU gates",
        "value": round(value, 3),
        "unit": "s",
        "ratio": round((test_s + value) / test_s, 3),
        "against": f"bare pytest ({test_s:.2f} s)",
        "limit": OVERHEAD_LIMIT_S,
        "ok": value < OVERHEAD_LIMIT_S,
    }


def _sampling() -> list[dict[str, Any]]:
    """CPU time of sampling at several rates; nothing where no C compiler builds the stand-in driver."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not FAKE.exists():
        return []
    from gpu_runner.nvml import Nvml
    from gpu_runner.telemetry import Sampler

    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "libnvidia-ml.so.1"
        subprocess.run(
            [compiler, "-O2", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1", "-o", str(library), str(FAKE)],
            check=True,
        )
        state = Path(folder) / "state"
        keys = ("total 97871", "used 4", "sm 1980", "mem 2619", "power 75000", "temp 31", "util 0", "throttle 0")
        state.write_text(
            "".join(f"gpu {n} uuid GPU-{n}\n" + "".join(f"gpu {n} {key}\n" for key in keys) for n in range(8))
        )
        os.environ["FAKE_NVML_STATE"] = str(state)
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        with Nvml() as nvml:
            rows = [_share(nvml, Sampler, gpus, hz) for gpus, hz in ((2, 1.0), (2, 10.0), (8, 10.0))]
    return rows


def _share(nvml: Any, sampler_class: Any, gpus: int, hz: float) -> dict[str, Any]:
    """CPU time of a process that does nothing but sample, as a share of one core."""
    sampler = sampler_class(nvml, nvml.gpus()[:gpus], hz)
    before = time.process_time()
    began = time.perf_counter()
    with sampler:
        time.sleep(SAMPLING_S)
    elapsed = time.perf_counter() - began
    share = (time.process_time() - before) / elapsed
    samples = len(sampler.tracks[0].offset_ms)
    return {
        "name": f"sampling {gpus} GPUs at {hz:g} Hz",
        "value": round(100 * share, 3),
        "unit": "% of a core",
        "ratio": round(share / SAMPLING_LIMIT, 3),
        "against": f"1 % of a core ({samples} samples)",
        "limit": 100 * SAMPLING_LIMIT,
        "ok": share < SAMPLING_LIMIT,
    }


if __name__ == "__main__":
    print_rows(main())
