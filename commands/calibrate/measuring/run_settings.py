"""How the repeats of a session are launched on this host: environment, GPUs, limits, caches."""

from __future__ import annotations

import os
from pathlib import Path

from commands.calibrate.config.host import HostProfile
from commands.calibrate.config.model import ModelConfig
from commands.calibrate.measuring.loop import Settings
from commands.calibrate.measuring.run_planning import Asked
from gpu_runner.request import GatePolicy, Limits
from projections.calibration.session import Session, Unit, units_of


def settings_of(session: Session, model: ModelConfig, host: HostProfile | None, asked: Asked) -> Settings:
    """Compose the settings of a run from the plan, the model, the host and the command line.

    `TUNE_GPU_INCLUDE` and `TUNE_GPU_EXCLUDE` are read by the gate itself.
    """
    units = units_of(session.plan)
    env = model.environment() | (host.environment() if host else {})
    gpus = {unit.name: gpus_of(unit) for unit in units}
    wipes = bool(max(gpus.values(), default=0)) and not asked.keep_caches
    return Settings(
        python=session.plan.venv_python,
        env=env,
        gpus=gpus,
        gate=GatePolicy(exclude=tuple(str(i) for i in host.gpu_exclude) if host else ()),
        limits=limits_of(asked),
        max_passes=asked.max_passes,
        extra_args={u.name: model.pytest_extra_args.get(Path(u.test).name, ()) for u in units},
        cache_dirs=(flashinfer_cache(env),) if wipes else (),
        stop_early_alpha=asked.stop_early_alpha,
    )


def gpus_of(unit: Unit) -> int:
    """A unit needs what the most demanding of its stages needs."""
    return max((stage.gpus or 0 for stage in unit.stages), default=0)


def limits_of(asked: Asked) -> Limits:
    """The runner's limits, as far as the command line does not say otherwise."""
    usual = Limits()
    return Limits(
        stall_s=asked.stall_s if asked.stall_s is not None else usual.stall_s,
        wall_s=asked.wall_s if asked.wall_s is not None else usual.wall_s,
    )


def flashinfer_cache(env: dict[str, str]) -> Path:
    """Return the FlashInfer cache of the measured environment; it is wiped so that every repeat compiles anew."""
    base = env.get("XDG_CACHE_HOME") or os.environ.get("XDG_CACHE_HOME")
    home = env.get("HOME") or os.environ.get("HOME") or str(Path.home())
    return (Path(base) if base else Path(home) / ".cache") / "flashinfer"
