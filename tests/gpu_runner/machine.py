"""What the GPU tests are made of: a machine written as text, and processes that wait."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

TYPICAL = {
    "name": "NVIDIA H20",
    "total": "97871",
    "reserved": "600",
    "used": "4",
    "sm": "1980",
    "mem": "2619",
    "maxsm": "1980",
    "maxmem": "2619",
    "power": "75000",
    "limit": "500000",
    "temp": "31",
    "util": "0",
    "energy": "1000000",
    "throttle": "1",
    "ecc": "1",
    "ecc_corrected": "0",
    "ecc_uncorrected": "0",
    "mig": "0",
    "persistence": "1",
    "capability": "90",
    "pcie_gen": "5",
    "pcie_width": "16",
    "pci": "00000000:01:00.0",
}


class Machine:
    """A machine whose GPUs can be changed, lost and unplugged while somebody looks at it."""

    def __init__(self, state: Path, library: Path) -> None:
        self.state = state
        self.library = library
        self._lock = threading.Lock()
        self._lines: list[str] = ["driver 570.86.15", "cuda 12080"]
        self._count = 0
        self._write()

    @property
    def env(self) -> dict[str, str]:
        """What a child process needs to see this machine."""
        return {"LD_LIBRARY_PATH": str(self.library), "FAKE_NVML_STATE": str(self.state)}

    def add(self, uuid: str, **changes: str) -> None:
        """One more GPU, free unless `changes` say otherwise."""
        index = self._count
        self._count += 1
        self.say(*(f"gpu {index} {key} {value}" for key, value in {"uuid": uuid, **TYPICAL, **changes}.items()))

    def say(self, *lines: str) -> None:
        """Add lines; a later line overrides an earlier one of the same key."""
        with self._lock:
            self._lines += lines
            self._write()

    def forget(self, *starts: str) -> None:
        """Remove every line that begins with one of these."""
        with self._lock:
            self._lines = [line for line in self._lines if not line.startswith(starts)]
            self._write()

    def later(self, seconds: float, *lines: str) -> threading.Timer:
        """Say the lines after a while."""
        timer = threading.Timer(seconds, lambda: self.say(*lines))
        timer.start()
        return timer

    def _write(self) -> None:
        fresh = self.state.with_suffix(".new")
        fresh.write_text("\n".join(self._lines) + "\n", encoding="utf-8")
        fresh.replace(self.state)


class Sleeper:
    """Processes that wait to be ended."""

    def __init__(self) -> None:
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, *args: str, code: str = "import time; time.sleep(600)") -> subprocess.Popen[bytes]:
        """Start one; `args` stand on its command line."""
        process = subprocess.Popen([sys.executable, "-c", code, *args], stdout=subprocess.PIPE)
        self.running.append(process)
        return process

    def close(self) -> None:
        """End and collect all of them."""
        for process in self.running:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
