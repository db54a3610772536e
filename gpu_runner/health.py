"""The GPU's health: physical reasons to doubt what a repeat measured.

A witness never changes a number and never fails a repeat. Each reason starts with a code word and a colon, so that a
policy can say which of them make a round count as destructive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.events.observations import GpuTelemetry

REASONS = ("throttling", "clocks", "foreign_process", "ecc", "lost")

# Bits of nvmlClocksEventReasons (nvml.h). Idle, application clocks and display settings lower clocks without
# anything being wrong.
THROTTLE_BITS = {
    0x4: "sw_power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal",
    0x40: "hw_thermal",
    0x80: "hw_power_brake",
}
# A data-centre GPU under full load sits at its power cap by design: that alone is no reason for doubt, and when
# it really costs speed the clocks show it.
HARMLESS = frozenset({"sw_power_cap", "sync_boost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLimits:
    """From where on a reading is suspicious, as fractions."""

    throttled_share: float = 0.01
    clock_deviation: float = 0.05


def throttle_reasons(mask: int) -> list[str]:
    """The clock-lowering reasons in a driver's bit mask."""
    return [name for bit, name in THROTTLE_BITS.items() if mask & bit]


def witness(
    telemetry: Sequence[GpuTelemetry],
    clock_medians_mhz: Mapping[str, float],
    lost: Sequence[str] = (),
    limits: HealthLimits = HealthLimits(),
) -> list[str]:
    """Say why the numbers of a repeat are suspect.

    clock_medians_mhz: GPU UUID to the median SM clock of the session's other repeats. lost: labels of GPUs that
    fell off the bus during the repeat.
    """
    doubts = [f"lost: GPU {label} fell off the bus during the repeat" for label in lost]
    for gpu in telemetry:
        name = f"GPU {gpu.index}"
        for reason, share in gpu.throttle_reasons.items():
            if reason not in HARMLESS and share >= limits.throttled_share:
                doubts.append(f"throttling: {name} was slowed down by {reason} in {share:.1%} of the samples")
        clock, usual = gpu.columns.get("sm_clock_mhz"), clock_medians_mhz.get(gpu.uuid)
        if clock and usual and abs(clock.median - usual) > limits.clock_deviation * usual:
            doubts.append(
                f"clocks: {name} ran at a median of {clock.median:g} MHz, {clock.median / usual - 1:+.1%} from the "
                f"session's median of {usual:g} MHz"
            )
        if gpu.foreign_pids:
            pids = ", ".join(map(str, gpu.foreign_pids))
            doubts.append(f"foreign_process: {name} was shared with pid {pids}, not of this repeat")
        if gpu.ecc_uncorrected:
            doubts.append(f"ecc: {name} had {gpu.ecc_uncorrected} uncorrected memory errors during the repeat")
    return doubts
