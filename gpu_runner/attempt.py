"""One attempt of a repeat: launch, watch, end, and everything it left to be judged."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from gpu_runner import caches, compose, gate, hosts, telemetry
from gpu_runner.extract import Extracted, ResultFiles, extract
from gpu_runner.gate import Grant
from gpu_runner.interrupts import name_of
from gpu_runner.launch import Attended
from gpu_runner.nvml import Nvml
from gpu_runner.outcome import WATCHDOG_RC, Outcome, classify
from gpu_runner.redaction import Redactor
from gpu_runner.request import RepeatRequest
from gpu_runner.status import is_complete
from gpu_runner.watchdog import Findings, LogWatch, Stop
from ledger.events.observations import Attempt, GpuTelemetry, RepeatInterrupted, RepeatStarted

PROGRESS_S = 30.0
LOG_BYTES_MAX = 64 * 2**20


@dataclass(slots=True, kw_only=True)
class Place:
    """Where a repeat works, all absolute, and what it runs."""

    cwd: Path
    basetemp: Path
    log: Path
    host: str
    boot_id: str = field(default_factory=hosts.boot_id)


@dataclass(slots=True, kw_only=True)
class Ended:
    """What an attempt left: its record, the values read, what the log said, and the GPUs' side of it."""

    record: Attempt
    outcome: Outcome
    repeat_id: str
    extracted: dict[str, Extracted]
    files: ResultFiles
    findings: Findings
    grant: Grant | None
    telemetry: list[GpuTelemetry]
    lost_gpus: list[str]
    problems: list[str]


def now_text() -> str:
    """The time as run directories write it: UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def run_attempt(
    request: RepeatRequest,
    place: Place,
    number: int,
    *,
    env: Mapping[str, str],
    grant: Grant | None,
    nvml: Nvml | None,
    git_sha: str | None,
    redactor: Redactor,
) -> Ended:
    """Run pytest once and wait until nothing of it is left. An interrupt ends the tree, is recorded and goes on up."""
    compose.put_aside(place.log)
    compose.empty(place.basetemp)
    caches.wipe(request.cache_dirs, keep=(place.cwd, place.basetemp, place.log))
    repeat_id = f"{request.unit}-{request.repeat}-{number}-{secrets.token_hex(8)}"
    command = compose.command(request, place.basetemp)
    started_at, began, clock = now_text(), time.time(), time.monotonic()
    request.emit(
        RepeatStarted(
            unit=request.unit, repeat=request.repeat, attempt=number, stages=[s.key for s in request.stages],
            repeat_id=repeat_id, host=place.host, boot_id=place.boot_id, log=str(place.log),
            basetemp=str(place.basetemp), command=[redactor.text(part) for part in command], git_sha=git_sha,
        )
    )
    watch = LogWatch(
        place.log, request.limits, now=clock, crashes=request.crash_signatures,
        environment=request.environment_signatures, patterns=request.log_patterns,
    )
    running = Attended(
        command, cwd=place.cwd, env=env, log=place.log, repeat_id=repeat_id,
        hold_fds=[lock.fd for lock in grant.locks] if grant else (), grace_s=request.limits.term_grace_s,
    )
    sampler = telemetry.Sampler(nvml, grant.gpus, request.telemetry_hz, running.owns) if nvml and grant else None
    try:
        with running, sampler or contextlib.nullcontext():
            stop = _watch(request, running, watch, _memory_of(nvml, grant))
            running.stop() if stop else running.settle()
    except KeyboardInterrupt as interrupt:
        request.emit(
            RepeatInterrupted(
                unit=request.unit, repeat=request.repeat, repeat_id=repeat_id, by=name_of(interrupt),
                killed_pids=sorted(running.ended),
            )
        )
        raise
    findings = watch.finish(time.monotonic())
    files = ResultFiles(place.basetemp)
    extracted = {stage.key: extract(stage, files) for stage in request.stages}
    outcome = classify(
        running.exit_code, findings, stop=stop, complete=is_complete(request.stages, extracted),
        keeper_lost=running.lost,
    )
    problems = [redactor.text(sentence) for sentence in findings.environment]
    problems += caches.strays(env, began) + _left_behind(request, running, grant, nvml)
    tracks = sampler.tracks if sampler else []
    return Ended(
        record=Attempt(
            attempt=number,
            outcome=outcome.text,
            kind=outcome.kind,
            started_at=started_at,
            duration_s=round(time.monotonic() - clock, 3),
            pytest_rc=WATCHDOG_RC if stop else running.exit_code,
            cause=redactor.text(outcome.cause),
            gpu_indices=[gpu.index for gpu in grant.gpus] if grant else [],
            log_sha256=_keep_log(request, place, redactor),
            telemetry_sha256=_keep_telemetry(request, sampler, number, repeat_id),
            retried=outcome.retried and number < request.limits.attempts,
        ),
        outcome=outcome,
        repeat_id=repeat_id,
        extracted=extracted,
        files=files,
        findings=findings,
        grant=grant,
        telemetry=[telemetry.summarize(track) for track in tracks],
        lost_gpus=[track.gpu.label for track in tracks if track.lost],
        problems=problems,
    )


def _watch(
    request: RepeatRequest, running: Attended, watch: LogWatch, memory: Callable[[], str]
) -> Stop | None:
    """Follow the run until it ends (None) or has to be ended."""
    next_word = time.monotonic() + PROGRESS_S
    while not running.wait(request.limits.poll_s):
        now = time.monotonic()
        stop = watch.look(now)
        if stop and not running.wait(0):
            return stop
        if request.say and now >= next_word:
            next_word = now + PROGRESS_S
            request.say(f"running…{memory()} log={watch.bytes_read}B stall={watch.silent_s(now):.0f}s")
    return None


def _memory_of(nvml: Nvml | None, grant: Grant | None) -> Callable[[], str]:
    def text() -> str:
        if nvml is None or grant is None:
            return ""
        used = {gpu.label: nvml.load(gpu).used_mib for gpu in grant.gpus}
        return f" GPU mem={used}"

    return text


def _left_behind(
    request: RepeatRequest, running: Attended, grant: Grant | None, nvml: Nvml | None
) -> list[str]:
    """Processes that could not be ended, and memory that did not come back."""
    problems = []
    if running.stuck:
        problems.append(
            f"stuck processes: pid {', '.join(map(str, running.stuck))} did not end even on SIGKILL; they hang in the "
            "kernel (a driver or file system fault); the host needs a look, most often a reboot"
        )
    if nvml and grant:
        for standing in gate.wait_released(nvml, grant.gpus, request.gate):
            problems.append(
                f"ghost memory: GPU memory not released after run on GPU {standing.gpu.label}: {standing.reason}; "
                + (gate.GHOST_WAY_OUT if standing.ghost else "perfledger gpu list shows what holds it")
            )
    return problems


def _keep_log(request: RepeatRequest, place: Place, redactor: Redactor) -> str | None:
    if request.evidence is None or not place.log.exists():
        return None
    return request.evidence.put(redactor.clean(_bounded(place.log)), "text/plain")


def _bounded(log: Path) -> bytes:
    """A log's bytes; of a huge one the beginning and the end, and a line that says so."""
    size = log.stat().st_size
    if size <= LOG_BYTES_MAX:
        return log.read_bytes()
    half = LOG_BYTES_MAX // 2
    with log.open("rb") as file:
        first = file.read(half)
        file.seek(size - half)
        last = file.read()
    return first + f"\n... {size - 2 * half} bytes left out here ...\n".encode() + last


def _keep_telemetry(
    request: RepeatRequest, sampler: telemetry.Sampler | None, number: int, repeat_id: str
) -> str | None:
    """Emit the rows of each GPU and keep all of them as Parquet; None when nothing was sampled."""
    sampled = [track for track in sampler.tracks if track.offset_ms] if sampler else []
    if sampler is None or not sampled:
        return None
    for track in sampled:
        request.emit(
            telemetry.recorded(
                track, unit=request.unit, repeat=request.repeat, attempt=number, repeat_id=repeat_id,
                started_at=sampler.started_at,
            )
        )
    if request.evidence is None:
        return None
    return request.evidence.put(telemetry.parquet(sampled, sampler.started_at), "application/vnd.apache.parquet")
