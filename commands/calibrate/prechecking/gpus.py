"""Are there enough GPUs, and are they free: by memory and by process, as the run itself will ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from commands.calibrate.config.host import HostProfile
from commands.calibrate.config.model import ModelConfig
from commands.calibrate.prechecking.findings import Findings, Measured
from ledger.errors import PerfledgerError


class SeenGpus(msgspec.Struct, frozen=True):
    """listing: one line per GPU as existing readers expect it; summary: `2× NVIDIA H20`, or `unknown`."""

    listing: str = ""
    summary: str = "unknown"
    gpus: tuple[dict[str, Any], ...] = ()


def needed_gpus(model: ModelConfig, stages: Sequence[Measured] | None) -> int:
    """The most any selected stage needs; without a selection, the most any test of the model does."""
    if stages is None:
        return max(model.gpus_per_test.values(), default=0)
    return max((s.gpus if s.gpus is not None else model.gpus_for(s.test) for s in stages), default=0)


def check_gpus(
    findings: Findings, model: ModelConfig, stages: Sequence[Measured] | None, host: HostProfile | None
) -> SeenGpus:
    """Say how many GPUs there are, which are free, and why the others are not."""
    from gpu_runner.gate import survey
    from gpu_runner.nvml import Nvml
    from gpu_runner.request import GatePolicy

    needed = needed_gpus(model, stages)
    policy = GatePolicy(exclude=tuple(str(index) for index in host.gpu_exclude) if host else ())
    try:
        with Nvml() as nvml:
            standings = survey(nvml, policy)
            described = tuple(nvml.describe(standing.gpu) for standing in standings)
    except PerfledgerError as error:
        if needed:
            findings.error(f"{needed} GPU(s) needed: {error.message}", "perfledger doctor")
        else:
            findings.say("  GPUs: none needed")
        return SeenGpus()
    names = [standing.gpu.name for standing in standings]
    summary = f"{len(names)}× {names[0]}" if names else "unknown"
    busy = [standing.gpu.label for standing in standings if standing.reason]
    free = len(standings) - len(busy)
    note = f" (busy: [{', '.join(busy)}])" if busy else ""
    findings.say(f"  GPUs: {summary} — {free}/{len(standings)} free{note}")
    wait = f"perfledger gpu wait -n {needed}"
    for standing in standings:
        if standing.reason:
            findings.say(f"    GPU {standing.gpu.label}: {standing.reason}")
    if len(standings) < needed:
        findings.error(f"{needed} GPU(s) needed, {len(standings)} can be used here", "perfledger gpu list")
    elif free < needed:
        findings.error(f"{needed} free GPU(s) needed, {free} free (see the lines above)", wait)
    listing = "\n".join(f"GPU {s.gpu.label}: {s.gpu.name} (UUID: {s.gpu.uuid})" for s in standings)
    return SeenGpus(listing, summary, described)
