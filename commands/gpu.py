"""perfledger gpu: what NVML says, wait until N GPUs are free, record telemetry."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.cli.app import App, LazyGroup, command, global_options
from commands.cli.numbers import Finite, Whole
from ledger import disk
from ledger.errors import BadInput
from ledger.layout import outside_ledger

if TYPE_CHECKING:
    from gpu_runner.nvml import Nvml
    from gpu_runner.telemetry import Sampler

HERE = "gpu"
COMMANDS = {
    "list": (f"{HERE}:list_gpus", "What NVML says about each GPU, and whether it is free."),
    "wait": (f"{HERE}:wait", "Wait until N GPUs are free."),
    "sample": (f"{HERE}:sample", "Sample clocks, power, memory and throttling."),
}


@click.group("gpu", cls=LazyGroup, lazy=COMMANDS)
@global_options
def gpu() -> None:
    """List GPUs, wait for free ones, sample telemetry. Everything comes from the driver through NVML."""


def _choice(function: Any) -> Any:
    """--include and --exclude, as every gpu command takes them."""
    for name, words in (("exclude", "leave these out"), ("include", "only these")):
        function = click.option(f"--{name}", metavar="LIST", default="", help=f"Indices or UUIDs: {words}.")(function)
    return function


@command("list")
@_choice
def list_gpus(app: App, include: str, exclude: str) -> int:
    """One line per GPU: memory, load, and whether a repeat could start on it now.

    Exit 4 when there is no NVIDIA driver.
    """
    from commands.cli.output import table
    from gpu_runner.gate import survey
    from gpu_runner.nvml import Nvml

    with Nvml() as nvml:
        # all there are: what a scheduler hid from this shell still explains why a GPU is busy
        rows = [_row(nvml, standing) for standing in survey(nvml, _policy(include, exclude), environ={})]
        driver = nvml.driver()

    def text() -> str:
        columns = ("gpu", "name", "uuid", "used MiB", "total MiB", "util %", "temp C", "power W", "free")
        right = ("used MiB", "total MiB", "util %", "temp C", "power W")
        lines = [
            (
                r["index"],
                r["name"],
                r["uuid"][:12],
                r["used_mib"],
                r["total_mib"],
                r["utilization_percent"],
                r["temperature_c"],
                None if r["power_mw"] is None else f"{r['power_mw'] / 1000:.0f}",
                "yes" if r["free"] else f"no: {r['reason']}",
            )
            for r in rows
        ]
        found = ", ".join(f"{name} {value or '?'}" for name, value in driver.items())
        return table(columns, lines, right=right) + f"\n{found}" if rows else f"no GPU to be seen ({found})"

    app.emit({"driver": driver, "gpus": rows}, text)
    return 0


@dataclass(frozen=True)
class WaitAsked:
    """What the options of `wait` say."""

    count: int
    timeout_s: float
    poll_s: float
    settle_s: float
    limit_mib: int
    include: str
    exclude: str


@command("wait", asks=WaitAsked)
@click.option("-n", "--count", default=1, show_default=True, type=Whole(1), help="How many GPUs.")
@click.option(
    "--timeout",
    "timeout_s",
    default=600.0,
    show_default=True,
    type=Finite(0),
    metavar="S",
    help="The most to wait.",
)
@click.option(
    "--poll",
    "poll_s",
    default=5.0,
    show_default=True,
    type=Finite(0.01),
    metavar="S",
    help="Seconds between looks.",
)
@click.option(
    "--settle",
    "settle_s",
    default=3.0,
    show_default=True,
    type=Finite(0),
    metavar="S",
    help="Seconds before the second look.",
)
@click.option(
    "--memory-limit",
    "limit_mib",
    default=2048,
    show_default=True,
    type=Whole(0),
    metavar="MIB",
    help="Memory in use up to which a GPU is free.",
)
@_choice
def wait(app: App, asked: WaitAsked) -> int:
    """Wait until N GPUs are free and print them as CUDA_VISIBLE_DEVICES. Exit 4 when they do not get free.

    Free is: no compute process, memory in use at most the limit, not taken by another runner; looked at twice.
    """
    from gpu_runner.gate import acquire
    from gpu_runner.interrupts import raised
    from gpu_runner.nvml import Nvml

    policy = _policy(
        asked.include,
        asked.exclude,
        wait_s=asked.timeout_s,
        poll_s=asked.poll_s,
        settle_s=asked.settle_s,
        memory_limit_mib=asked.limit_mib,
    )
    with raised(), Nvml() as nvml:
        grant = acquire(nvml, asked.count, policy, say=app.note)
        grant.release()
    document = {
        "cuda_visible_devices": grant.visible,
        "waited_s": grant.waited_s,
        "held_up_by": grant.reasons,
        "gpus": [{"index": gpu.label, "uuid": gpu.uuid, "used_mib": grant.used_mib[gpu.uuid]} for gpu in grant.gpus],
    }
    app.emit(document, grant.visible)
    return 0


@dataclass(frozen=True)
class SampleAsked:
    """What the options of `sample` say."""

    seconds: float
    hz: float
    output: Path | None
    record: bool
    include: str
    exclude: str


@command("sample", asks=SampleAsked)
@click.option("--seconds", default=10.0, show_default=True, type=Finite(0.1), metavar="S", help="How long.")
@click.option("--hz", default=1.0, show_default=True, type=Finite(0.1, 10), help="Samples a second.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write every row to a Parquet file.",
)
@click.option("--record", is_flag=True, help="Record the rows in the ledger; the `telemetry` view then has them.")
@_choice
def sample(app: App, asked: SampleAsked) -> int:
    """Sample every GPU and print minimum, median, p95 and maximum per column.

    Ctrl-C ends it early; what was sampled until then is kept.
    """
    from gpu_runner.gate import survey
    from gpu_runner.nvml import Nvml
    from gpu_runner.telemetry import Sampler, summarize

    if asked.output is not None:
        outside_ledger(asked.output)
    if asked.output is not None and asked.output.exists():
        raise BadInput(
            f"{asked.output} exists already; nothing was sampled",
            code="file_exists",
            hint="name another file, or remove it",
            file=str(asked.output),
        )
    ledger = app.ledger() if asked.record else None
    with Nvml() as nvml:
        gpus = [standing.gpu for standing in survey(nvml, _policy(asked.include, asked.exclude))]
        code = _sample_for(sampler := Sampler(nvml, gpus, asked.hz), asked.seconds)
    summaries = [summarize(track) for track in sampler.tracks]
    if asked.output is not None and summaries:
        from gpu_runner.telemetry import parquet

        disk.overwrite(asked.output.absolute(), parquet(sampler.tracks, sampler.started_at))
    if ledger is not None:
        _record(ledger, sampler)
    document = {"started_at": sampler.started_at, "hz": asked.hz, "gpus": summaries}
    app.emit(document, lambda: _spreads(summaries))
    return code


def _sample_for(sampler: Sampler, seconds: float) -> int:
    """Sample for a while; 130 when a person or the system ended it early."""
    from gpu_runner.interrupts import raised

    try:
        with raised(), sampler:
            time.sleep(seconds)
    except KeyboardInterrupt:
        return 130
    return 0


def _record(ledger: Any, sampler: Sampler) -> None:
    import socket

    from gpu_runner.telemetry import recorded
    from ledger.event import NewEvent

    host = socket.gethostname()
    events = [
        NewEvent(
            stream=f"telemetry/{host}",
            payload=recorded(
                track, unit="gpu sample", repeat=0, attempt=0, repeat_id="", started_at=sampler.started_at
            ),
        )
        for track in sampler.tracks
        if track.offset_ms
    ]
    if events:
        ledger.append(events)


def _spreads(summaries: list[Any]) -> str:
    from commands.cli.output import table

    rows = [
        (str(gpu.index), name, spread.min, spread.median, spread.p95, spread.max)
        for gpu in summaries
        for name, spread in gpu.columns.items()
    ]
    if not rows:
        return "nothing was sampled"
    lines = [table(("gpu", "column", "min", "median", "p95", "max"), rows, right=("min", "median", "p95", "max"))]
    for gpu in summaries:
        throttled = "unknown" if gpu.throttled_share is None else f"{gpu.throttled_share:.1%}"
        reasons = ", ".join(f"{name} {share:.1%}" for name, share in gpu.throttle_reasons.items())
        energy = "unknown" if gpu.energy_j is None else f"{gpu.energy_j:.1f} J"
        lines.append(
            f"GPU {gpu.index}: {gpu.samples} samples, energy {energy}, throttled {throttled}"
            + (f" ({reasons})" if reasons else "")
        )
    return "\n".join(lines)


def _row(nvml: Nvml, standing: Any) -> dict[str, Any]:
    reading = nvml.read(standing.gpu)
    processes = standing.load.processes
    return {
        **nvml.describe(standing.gpu),
        **nvml.pcie(standing.gpu),
        "used_mib": standing.load.used_mib,
        "sm_clock_mhz": reading.sm_clock_mhz,
        "memory_clock_mhz": reading.memory_clock_mhz,
        "power_mw": reading.power_mw,
        "temperature_c": reading.temperature_c,
        "utilization_percent": reading.utilization_percent,
        "throttle_reasons": _reasons(reading.throttle),
        "processes": None if processes is None else [{"pid": p, "used_mib": m} for p, m in sorted(processes.items())],
        "free": not standing.reason,
        "reason": standing.reason or None,
        "ghost_memory": standing.ghost,
    }


def _reasons(mask: int | None) -> list[str] | None:
    from gpu_runner.health import throttle_reasons

    return None if mask is None else throttle_reasons(mask)


def _policy(include: str, exclude: str, **changes: Any) -> Any:
    from gpu_runner.request import GatePolicy

    def listed(text: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())

    return GatePolicy(include=listed(include), exclude=listed(exclude), **changes)
