"""What a result's record says: its metrics, and what its `success` means. The one place both are written.

Python takes them from here, SQL when the catalogue is loaded (`{{each ...}}`, `{{no_text}}` in the files of facts and
views). A metric more is a line more; the state is then built again, since the facts look different.
"""

from __future__ import annotations

from typing import NamedTuple


class Metric(NamedTuple):
    """One metric: how it is shown, its unit, which direction is better, and how much worse is too much by default.

    percent is a fraction of the baseline, absolute is in the unit. raw: its field in a raw result. static: the name of
    a fixed limit a raw result may carry; empty: there is none. core: every benchmark measures it, and never zero.
    """

    name: str
    label: str
    unit: str
    decimals: int
    higher_is_better: bool
    percent: float
    absolute: float
    raw: str
    static: str = ""
    core: bool = False


# In the order every table lists them.
METRICS = (
    Metric(
        "latency",
        "Latency",
        "s",
        3,
        False,
        0.08,
        0.5,
        raw="avg_generation_time_s",
        static="max_generation_time_s",
        core=True,
    ),
    Metric("throughput", "Throughput", "fps", 3, True, 0.08, 0.05, raw="throughput_fps", core=True),
    Metric(
        "memory",
        "Memory",
        "MB",
        1,
        False,
        0.05,
        256.0,
        raw="max_peak_memory_mb",
        static="max_peak_memory_mb",
        core=True,
    ),
    Metric(
        "text_encoder_time_s",
        "Text Enc",
        "s",
        3,
        False,
        0.05,
        0.25,
        raw="text_encoder_time_s",
        static="max_text_encoder_time_s",
    ),
    Metric("dit_time_s", "DiT", "s", 3, False, 0.05, 0.25, raw="dit_time_s", static="max_dit_time_s"),
    Metric(
        "vae_decode_time_s",
        "VAE Decode",
        "s",
        3,
        False,
        0.05,
        0.25,
        raw="vae_decode_time_s",
        static="max_vae_decode_time_s",
    ),
)
NAMES = tuple(metric.name for metric in METRICS)
CORE = tuple(metric.name for metric in METRICS if metric.core)

# Texts that say no in `success`, in any case, with JSON's own white space around them.
NO_TEXT = ("", "false", "0", "no", "off")
SPACE = " \t\n\r"
