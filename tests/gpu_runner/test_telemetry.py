"""Samples, their summary, and what the summary says about a GPU's health."""

from __future__ import annotations

import time
from array import array

import pytest

from gpu_runner.health import HealthLimits, throttle_reasons, witness
from gpu_runner.nvml import Gpu, Nvml, Reading
from gpu_runner.telemetry import ABSENT, COLUMNS, ROWS_IN_EVENT_MAX, Sampler, Track, recorded, summarize
from ledger.events.observations import GpuTelemetry, Spread
from tests.gpu_runner.machine import Machine
from tests.waiting import until

GPU = Gpu(index=3, mig_index=None, uuid="GPU-x", name="H20", total_mib=97871, pci=None, handle=None)


def track(rows: int, **columns: list[int]) -> Track:
    made = Track(GPU, offset_ms=array("q", [1000 * n for n in range(rows)]))
    for name in COLUMNS:
        made.columns[name] = array("q", columns.get(name, [ABSENT] * rows))
    return made


def test_a_summary_is_made_of_values_that_were_really_measured() -> None:
    made = track(20, power_mw=[1000 * n for n in range(1, 21)], temperature_c=[60] * 19 + [ABSENT])
    summary = summarize(made)
    assert summary.columns["power_w"] == Spread(min=1.0, median=10.5, p95=19.0, max=20.0)
    assert summary.columns["temperature_c"] == Spread(min=60.0, median=60.0, p95=60.0, max=60.0)
    assert set(summary.columns) == {"power_w", "temperature_c"}, "what was never read is absent, not zero"
    assert summary.throttled_share is None and summary.samples == 20


def test_throttling_is_a_share_of_the_samples_by_reason_and_idling_is_none() -> None:
    summary = summarize(track(8, throttle=[0, 1, 2, 0x20, 0x20 | 0x4, 0x4, 0x80, 0]))
    assert summary.throttled_share == 0.5
    assert summary.throttle_reasons == {"hw_power_brake": 0.125, "sw_power_cap": 0.25, "sw_thermal": 0.25}
    assert throttle_reasons(0x1 | 0x2 | 0x100) == []


def test_energy_comes_from_the_counter_else_from_power_over_time() -> None:
    counted = track(3, power_mw=[100_000] * 3)
    counted.energy_mj = (1_000_000, 1_450_000)
    assert summarize(counted).energy_j == 450.0
    counted.energy_mj = (1_000_000, 20)  # the driver was loaded anew meanwhile
    assert summarize(counted).energy_j == 200.0, "two seconds at 100 W"
    assert summarize(track(1, power_mw=[100_000])).energy_j is None


def test_error_counters_are_what_grew_and_unknown_where_they_went_back() -> None:
    made = track(1)
    made.ecc = ((5, 1), (9, 3))
    assert (summarize(made).ecc_corrected, summarize(made).ecc_uncorrected) == (4, 2)
    made.ecc = ((5, None), (2, None))
    assert (summarize(made).ecc_corrected, summarize(made).ecc_uncorrected) == (None, None)


@pytest.mark.parametrize(("rows", "stride"), [(10, 1), (ROWS_IN_EVENT_MAX, 1), (ROWS_IN_EVENT_MAX + 1, 2), (20_000, 6)])
def test_an_event_never_holds_more_rows_than_it_should_and_says_when_it_thinned(rows: int, stride: int) -> None:
    event = recorded(
        track(rows, power_mw=list(range(rows))),
        unit="u",
        repeat=1,
        attempt=1,
        repeat_id="r",
        started_at="2026-06-27T12:00:00.000+00:00",
    )
    assert event.stride == stride and len(event.offset_ms) <= ROWS_IN_EVENT_MAX
    assert event.power_mw == list(range(0, rows, stride))
    assert event.throttle == [None] * len(event.offset_ms)


def test_the_sampler_keeps_its_beat_and_ends_at_once(machine: Machine) -> None:
    with Nvml() as nvml:
        sampler = Sampler(nvml, nvml.gpus(), hz=10)
        with sampler:
            first = sampler.tracks[0]
            until(lambda: len(first.offset_ms) >= 5)
        assert first.offset_ms[4] >= 350, "10 Hz: five samples are 400 ms, or more on a machine that is busy"
        assert all(len(column) == len(first.offset_ms) for column in first.columns.values())
        size = len(first.offset_ms)
        time.sleep(0.2)
        assert len(first.offset_ms) == size


def test_a_driver_that_costs_too_much_is_asked_less_often(machine: Machine) -> None:
    class Costly(Nvml):
        def read(self, gpu: Gpu) -> Reading:
            until = time.thread_time() + 0.004
            while time.thread_time() < until:
                pass
            return super().read(gpu)

    with Costly() as nvml, Sampler(nvml, nvml.gpus(), hz=10) as sampler:
        offsets = sampler.tracks[0].offset_ms
        until(lambda: len(offsets) >= 4)
    # two GPUs at 4 ms are 8 ms of CPU a sample: at 0.6 % of a core, a sample every 1.3 s, as soon as that is known
    assert offsets[3] - offsets[1] >= 2000


def test_no_telemetry_is_asked_for_at_0_hz(machine: Machine) -> None:
    with Nvml() as nvml, Sampler(nvml, nvml.gpus(), hz=0) as sampler:
        time.sleep(0.05)
    assert sampler.tracks[0].offset_ms == array("q") and summarize(sampler.tracks[0]).samples == 0


def seen(**changes: object) -> GpuTelemetry:
    values: dict[str, object] = {
        "uuid": "GPU-x",
        "index": 3,
        "samples": 100,
        "columns": {"sm_clock_mhz": Spread(min=1900, median=1980, p95=1980, max=1980)},
    }
    return GpuTelemetry(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("telemetry", "usual", "doubts"),
    [
        (seen(), 1980.0, []),
        (seen(), 2050.0, []),
        (seen(), 2200.0, ["clocks: GPU 3 ran at a median of 1980 MHz, -10.0% from the session's median of 2200 MHz"]),
        (seen(throttle_reasons={"sw_power_cap": 0.9}), 1980.0, []),
        (
            seen(throttle_reasons={"hw_thermal": 0.02}),
            1980.0,
            ["throttling: GPU 3 was slowed down by hw_thermal in 2.0% of the samples"],
        ),
        (seen(throttle_reasons={"hw_thermal": 0.005}), 1980.0, []),
        (seen(foreign_pids=[41, 42]), None, ["foreign_process: GPU 3 was shared with pid 41, 42, not of this repeat"]),
        (seen(ecc_uncorrected=1), None, ["ecc: GPU 3 had 1 uncorrected memory errors during the repeat"]),
        (seen(ecc_corrected=40), None, []),
    ],
)
def test_only_physical_reasons_make_an_observation_suspect(
    telemetry: GpuTelemetry, usual: float | None, doubts: list[str]
) -> None:
    assert witness([telemetry], {"GPU-x": usual} if usual else {}) == doubts


def test_the_limits_of_a_witness_are_configurable() -> None:
    strict = HealthLimits(clock_deviation=0.01)
    assert witness([seen()], {"GPU-x": 2010.0}, limits=strict) and not witness([seen()], {"GPU-x": 2010.0})
    assert witness([], {}, lost=["1"]) == ["lost: GPU 1 fell off the bus during the repeat"]
