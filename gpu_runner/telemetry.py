"""Clocks, power, temperature, memory and throttling of the picked GPUs while a repeat runs.

A thread samples at 1-10 Hz into flat columns. Afterwards there are three forms: a summary in the observation, the rows
in a `TelemetryRecorded` event for the `telemetry` view (thinned when a repeat is long), and every row as Parquet
evidence.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gpu_runner import processes
from gpu_runner.health import throttle_reasons
from gpu_runner.nvml import Gpu, Nvml
from ledger.events.observations import GpuTelemetry, Spread, TelemetryRecorded

COLUMNS = (
    "sm_clock_mhz",
    "memory_clock_mhz",
    "power_mw",
    "temperature_c",
    "used_mib",
    "utilization_percent",
    "throttle",
)
ABSENT = -1  # in the columns; no reading of NVML is negative
HZ_MAX = 10.0
CORE_SHARE_MAX = 0.006  # of one core, for the calls to the driver; with the waking of the thread it stays below 1 %
ROWS_IN_EVENT_MAX = 3600
OWNERSHIP_CHECK_S = 1.0


@dataclass(slots=True)
class Track:
    """The samples of one GPU: milliseconds since the start, and one array per column."""

    gpu: Gpu
    offset_ms: array[int] = field(default_factory=lambda: array("q"))
    columns: dict[str, array[int]] = field(default_factory=lambda: {name: array("q") for name in COLUMNS})
    foreign: set[int] = field(default_factory=set)
    lost: bool = False
    energy_mj: tuple[int | None, int | None] = (None, None)
    ecc: tuple[tuple[int | None, int | None], tuple[int | None, int | None]] = ((None, None), (None, None))


class Sampler:
    """Samples GPUs in a thread from `start` to `stop`.

    owns: says whether a pid belongs to the repeat; others found on the GPU are recorded as foreign.
    """

    def __init__(self, nvml: Nvml, gpus: Sequence[Gpu], hz: float, owns: Callable[[int], bool] | None = None) -> None:
        self.hz = min(hz, HZ_MAX)
        self.tracks = [Track(gpu) for gpu in gpus]
        self._nvml = nvml
        self._owns = owns
        self._known: set[int] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._origin = 0.0
        self.started_at = ""

    def start(self) -> None:
        """Begin; does nothing at 0 Hz or without GPUs."""
        self._origin = time.monotonic()
        self.started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        for track in self.tracks:
            track.energy_mj = (self._nvml.energy_mj(track.gpu), None)
            track.ecc = (self._nvml.ecc_errors(track.gpu), (None, None))
        if self.hz > 0 and self.tracks:
            self._thread = threading.Thread(target=self._run, name="perfledger-telemetry", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread and take the closing counters. May be called twice."""
        if self._stop.is_set():
            return
        self._stop.set()
        if self._thread:
            self._thread.join()
            if self._owns:
                self._look_for_strangers(self._owns)
        for track in self.tracks:
            track.lost |= self._nvml.load(track.gpu).lost
            track.energy_mj = (track.energy_mj[0], self._nvml.energy_mj(track.gpu))
            track.ecc = (track.ecc[0], self._nvml.ecc_errors(track.gpu))

    def __enter__(self) -> Sampler:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def sample(self) -> None:
        """Take one sample of every GPU now."""
        now = int((time.monotonic() - self._origin) * 1000)
        for track in self.tracks:
            reading = self._nvml.read(track.gpu)
            track.lost |= reading.lost
            track.offset_ms.append(now)
            for name, column in track.columns.items():
                value = getattr(reading, name)
                column.append(ABSENT if value is None else value)

    def _run(self) -> None:
        period, beat = 1.0 / self.hz, 0
        next_check = busy = 0.0
        while not self._stop.is_set():
            before = time.thread_time()
            self.sample()
            busy += time.thread_time() - before
            elapsed = time.monotonic() - self._origin
            if self._owns and elapsed >= next_check:
                self._look_for_strangers(self._owns)
                next_check = elapsed + OWNERSHIP_CHECK_S
            beat = max(beat + 1, int((time.monotonic() - self._origin) / period))  # a late beat is skipped
            # many GPUs at 10 Hz, or a slow driver: fewer samples rather than a test that is measured with less CPU
            due = self._origin + max(beat * period, busy / CORE_SHARE_MAX)
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _look_for_strangers(self, owns: Callable[[int], bool]) -> None:
        for track in self.tracks:
            for pid in set(self._nvml.load(track.gpu).processes or ()) - self._known:
                # Asked once per pid: walking the process tree costs more than a sample. A pid that is not to be
                # seen from here is no evidence: in some containers the driver gives our own ones by their host pid.
                self._known.add(pid)
                if processes.read(pid) is not None and not owns(pid):
                    track.foreign.add(pid)


def summarize(track: Track) -> GpuTelemetry:
    """Minimum, median, p95 and maximum per column, throttling, energy, errors."""
    present = {name: [value for value in column if value != ABSENT] for name, column in track.columns.items()}
    masks = present.pop("throttle")
    power = present.pop("power_mw")
    columns = {name: _spread(values) for name, values in present.items() if values}
    if power:
        columns["power_w"] = _spread([mw / 1000 for mw in power])
    shares: dict[str, float] = {}
    for mask in masks:
        for reason in throttle_reasons(mask):
            shares[reason] = shares.get(reason, 0) + 1
    corrected, uncorrected = (_grown(before, after) for before, after in zip(*track.ecc, strict=True))
    return GpuTelemetry(
        uuid=track.gpu.uuid,
        index=track.gpu.index,
        samples=len(track.offset_ms),
        columns=columns,
        throttled_share=_share(sum(bool(throttle_reasons(mask)) for mask in masks), len(masks)) if masks else None,
        throttle_reasons={reason: _share(count, len(masks)) for reason, count in sorted(shares.items())},
        energy_j=_energy(track),
        foreign_pids=sorted(track.foreign),
        ecc_uncorrected=uncorrected,
        ecc_corrected=corrected,
    )


def recorded(
    track: Track, *, unit: str, repeat: int, attempt: int, repeat_id: str, started_at: str
) -> TelemetryRecorded:
    """The rows of one GPU as an event payload, every `stride`-th one when there are more than an event should hold."""
    stride = max(1, math.ceil(len(track.offset_ms) / ROWS_IN_EVENT_MAX))
    columns: dict[str, list[int | None]] = {
        name: [None if value == ABSENT else value for value in column[::stride]]
        for name, column in track.columns.items()
    }
    return TelemetryRecorded(
        unit=unit,
        repeat=repeat,
        attempt=attempt,
        repeat_id=repeat_id,
        gpu_uuid=track.gpu.uuid,
        gpu_index=track.gpu.index,
        started_at=started_at,
        stride=stride,
        offset_ms=list(track.offset_ms[::stride]),
        **columns,
    )


def parquet(tracks: Sequence[Track], started_at: str) -> bytes:
    """Every row of every GPU as one Parquet file: `gpu_uuid, gpu_index, started_at, offset_ms` and the columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for track in tracks:
        rows = len(track.offset_ms)
        columns: dict[str, Any] = {
            "gpu_uuid": pa.array([track.gpu.uuid] * rows, pa.string()),
            "gpu_index": pa.array([track.gpu.index] * rows, pa.int32()),
            "started_at": pa.array([started_at] * rows, pa.string()),
            "offset_ms": pa.array(track.offset_ms, pa.int64()),
        }
        for name, column in track.columns.items():
            columns[name] = pa.array([None if value == ABSENT else value for value in column], pa.int64())
        tables.append(pa.table(columns))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.concat_tables(tables), sink, compression="zstd", version="2.6")
    return bytes(sink.getvalue())


def _spread(values: Sequence[float]) -> Spread:
    ordered = sorted(values)
    size = len(ordered)
    middle = (ordered[(size - 1) // 2] + ordered[size // 2]) / 2
    rank = max(0, math.ceil(0.95 * size) - 1)  # nearest rank: a value that was really measured
    return Spread(min=float(ordered[0]), median=float(middle), p95=float(ordered[rank]), max=float(ordered[-1]))


def _share(count: float, of: int) -> float:
    return round(count / of, 6)


def _grown(before: int | None, after: int | None) -> int | None:
    # a counter that went back was reset by a driver reload: nothing is known then
    return after - before if before is not None and after is not None and after >= before else None


def _energy(track: Track) -> float | None:
    counted = _grown(*track.energy_mj)
    if counted is not None:
        return counted / 1000
    points = [
        (ms / 1000, mw / 1000)
        for ms, mw in zip(track.offset_ms, track.columns["power_mw"], strict=True)
        if mw != ABSENT
    ]
    if len(points) < 2:
        return None
    joules = math.fsum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(points))
    return round(joules, 3)
