"""Which GPUs are free, and the wait until enough of them are.

A GPU is free when its used memory is at most the limit (2048 MiB) *and* it has no compute process: both, because a
process may hold little memory yet, and memory may be held by a process that is not listed (ghost memory).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gpu_runner.locks import GpuLock, allocating, lock_dir, try_lock
from gpu_runner.nvml import Gpu, Load, Nvml
from gpu_runner.request import GatePolicy, Say
from ledger.errors import Unavailable

RELEASE_POLL_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One GPU and why it is not free; no reason means free."""

    gpu: Gpu
    load: Load
    reason: str = ""
    ghost: bool = False


@dataclass(slots=True, kw_only=True)
class Grant:
    """GPUs that are locked for this process and were free at the re-check. `release` gives them back."""

    gpus: tuple[Gpu, ...]
    used_mib: dict[str, int]
    waited_s: float
    reasons: dict[str, str]
    locks: tuple[GpuLock, ...] = field(repr=False)

    @property
    def visible(self) -> str:
        """The value of CUDA_VISIBLE_DEVICES; CUDA does not take indices and MIG UUIDs in one list."""
        mixed = any(gpu.mig_index is not None for gpu in self.gpus)
        return ",".join(gpu.uuid if mixed else gpu.visible for gpu in self.gpus)

    def release(self) -> None:
        """Release every lock of this process."""
        for lock in self.locks:
            lock.release()


GHOST_WAY_OUT = "a process of another container holds it, or one that died badly: end that, or reset the GPU"


class NotGranted(Unavailable):
    """The wait ended without enough free GPUs; `reasons` says why for each one (exit 4)."""

    def __init__(self, needed: int, waited_s: float, policy: GatePolicy, standings: Sequence[Standing]) -> None:
        reasons = {s.gpu.label: s.reason for s in standings if s.reason}
        ready = [s.gpu.label for s in standings if not s.reason]
        why = "; ".join(f"GPU {label}: {reason}" for label, reason in reasons.items()) or "no GPU left"
        super().__init__(
            f"need {needed} GPU(s) each <= {policy.memory_limit_mib} MiB and without a compute process; "
            f"ready after {waited_s:.0f} s: {', '.join(ready) or 'none'} ({why})",
            code="gpus_not_free",
            hint=f"ghost memory: {GHOST_WAY_OUT}"
            if any(s.ghost for s in standings)
            else "end what holds them (perfledger gpu list shows it), exclude them, or wait longer",
            reasons=reasons,
        )
        self.reasons = reasons
        self.waited_s = waited_s


def judge(gpu: Gpu, load: Load, memory_limit_mib: int) -> Standing:
    """Say whether a GPU is free, and if not, exactly why."""
    if load.lost:
        return Standing(gpu=gpu, load=load, reason="lost: it fell off the bus and needs a reset or a reboot")
    if load.processes:
        held = ", ".join(_process(pid, mib) for pid, mib in sorted(load.processes.items()))
        return Standing(gpu=gpu, load=load, reason=f"in use by {held}")
    if load.used_mib is None:
        return Standing(gpu=gpu, load=load, reason="the driver does not say how much memory is in use")
    if load.used_mib > memory_limit_mib:
        return Standing(
            gpu=gpu,
            load=load,
            ghost=True,
            reason=f"ghost memory: {load.used_mib} MiB in use and no compute process is listed",
        )
    return Standing(gpu=gpu, load=load)


def survey(nvml: Nvml, policy: GatePolicy, environ: Mapping[str, str] | None = None) -> list[Standing]:
    """Judge every GPU this runner may use, in the driver's order.

    The include and exclude lists of the policy, `TUNE_GPU_INCLUDE` / `TUNE_GPU_EXCLUDE` and a CUDA_VISIBLE_DEVICES
    that a job scheduler set all narrow it.
    """
    allowed = _allowed(policy, os.environ if environ is None else environ)
    return [judge(gpu, nvml.load(gpu), policy.memory_limit_mib) for gpu in nvml.gpus() if allowed(gpu)]


def acquire(nvml: Nvml, needed: int, policy: GatePolicy, *, say: Say | None = None) -> Grant:
    """Wait until `needed` GPUs are free, lock the lowest ones, and check them again right before use.

    Raises `NotGranted` after `policy.wait_s`, at once when the machine could never have that many.
    """
    assert needed >= 1, needed
    folder = lock_dir(policy.lock_dir)
    started = time.monotonic()
    next_word = started
    met: dict[str, str] = {}
    while True:
        standings = survey(nvml, policy)
        _must_be_possible(len(standings), needed, policy)
        locks, standings = _lock_lowest(standings, needed, folder)
        if locks:
            grant = _recheck(nvml, locks, standings, policy, started, met)
            if grant:
                return grant
        waited = time.monotonic() - started
        met.update({s.gpu.label: s.reason for s in standings if s.reason})
        if waited >= policy.wait_s:
            raise NotGranted(needed, waited, policy, standings)
        if say and time.monotonic() >= next_word:
            next_word = time.monotonic() + policy.progress_s
            say(f"waiting for {needed} free GPU(s), {waited:.0f} s of {policy.wait_s:.0f} s: " + _reasons(standings))
        time.sleep(min(policy.poll_s, max(0.0, policy.wait_s - waited)))


def wait_released(nvml: Nvml, gpus: Sequence[Gpu], policy: GatePolicy) -> list[Standing]:
    """Wait until the GPUs are free again; return those that are not after `policy.release_wait_s`."""
    deadline = time.monotonic() + policy.release_wait_s
    while True:
        held = [s for s in (judge(gpu, nvml.load(gpu), policy.memory_limit_mib) for gpu in gpus) if s.reason]
        if not held or time.monotonic() >= deadline:
            return held
        time.sleep(RELEASE_POLL_S)


def _lock_lowest(standings: list[Standing], needed: int, folder: Path) -> tuple[list[GpuLock], list[Standing]]:
    """Lock the lowest free GPUs, all or none; a GPU another runner holds gets that as its reason."""
    if sum(not s.reason for s in standings) < needed:
        return [], standings
    locks: list[GpuLock] = []
    told: list[Standing] = []
    try:
        with allocating(folder):
            for standing in standings:
                if not standing.reason and len(locks) < needed:
                    taken = try_lock(folder, standing.gpu.uuid)
                    if isinstance(taken, GpuLock):
                        locks.append(taken)
                    else:
                        standing = Standing(gpu=standing.gpu, load=standing.load, reason=taken)
                told.append(standing)
    except BaseException:
        _release(locks)
        raise
    if len(locks) < needed:
        _release(locks)
        return [], told
    return locks, told


def _recheck(
    nvml: Nvml, locks: list[GpuLock], standings: list[Standing], policy: GatePolicy, started: float, met: dict[str, str]
) -> Grant | None:
    """The second look, `settle_s` later: a job that was just starting has taken its memory by then."""
    try:
        time.sleep(policy.settle_s)
        uuids = [lock.uuid for lock in locks]
        now = {gpu.uuid: gpu for gpu in nvml.gpus()}
        again = [judge(now[uuid], nvml.load(now[uuid]), policy.memory_limit_mib) for uuid in uuids if uuid in now]
    except BaseException:
        _release(locks)
        raise
    if len(again) < len(uuids):
        met.update({s.gpu.label: "gone since it was picked" for s in standings if s.gpu.uuid in set(uuids) - set(now)})
    elif not any(s.reason for s in again):
        return Grant(
            gpus=tuple(s.gpu for s in again),
            used_mib={s.gpu.uuid: s.load.used_mib or 0 for s in again},
            waited_s=round(time.monotonic() - started, 3),
            reasons=met,
            locks=tuple(locks),
        )
    met.update({s.gpu.label: s.reason for s in again if s.reason})
    _release(locks)
    return None


def _allowed(policy: GatePolicy, environ: Mapping[str, str]) -> Callable[[Gpu], bool]:
    include = [list(policy.include), _listed(environ.get("TUNE_GPU_INCLUDE"))]
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    exclude = [*policy.exclude, *_listed(environ.get("TUNE_GPU_EXCLUDE"))]

    def allowed(gpu: Gpu) -> bool:
        if any(wanted and not _names(wanted, gpu) for wanted in include):
            return False
        if visible is not None and not _names(_listed(visible), gpu):
            return False
        return not _names(exclude, gpu)

    return allowed


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _names(wanted: Sequence[str], gpu: Gpu) -> bool:
    # CUDA accepts a prefix of a UUID, so we do; `0` means GPU 0 with all its MIG devices
    return any(
        name in (gpu.label, str(gpu.index)) or (not name.isdigit() and gpu.uuid.startswith(name)) for name in wanted
    )


def _must_be_possible(candidates: int, needed: int, policy: GatePolicy) -> None:
    if candidates >= needed:
        return
    narrowed = ", ".join(
        f"{name}={value}"
        for name, value in (
            ("include", ",".join(policy.include)),
            ("exclude", ",".join(policy.exclude)),
            *((key, os.environ.get(key)) for key in ("TUNE_GPU_INCLUDE", "TUNE_GPU_EXCLUDE", "CUDA_VISIBLE_DEVICES")),
        )
        if value
    )
    raise Unavailable(
        f"need {needed} GPU(s), but only {candidates} can be used here" + (f" ({narrowed})" if narrowed else ""),
        code="too_few_gpus",
        hint="run on a host with more GPUs, or change the include and exclude lists",
        needed=needed,
        usable=candidates,
    )


def _process(pid: int, mib: int | None) -> str:
    held = "unknown memory" if mib is None else f"{mib} MiB"
    try:
        # the short name only: a command line may hold a token, and this text becomes an event
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return f"pid {pid} (not visible from here, {held})"
    return f"pid {pid} ({name}, {held})"


def _reasons(standings: Sequence[Standing]) -> str:
    return "; ".join(f"GPU {s.gpu.label} {s.reason or 'free'}" for s in standings)


def _release(locks: Sequence[GpuLock]) -> None:
    for lock in locks:
        lock.release()
