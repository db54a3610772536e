"""One attempt of a repeat: launch, watch, end, and everything it left to be judged."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from gpu_runner import caches, compose, gate, hosts, interrupts, processes, telemetry
from gpu_runner.extract import Extracted, ResultFiles, extract
from gpu_runner.gate import Grant
from gpu_runner.keeping import keep_log, keep_telemetry
from gpu_runner.launch import Attended, Launch
from gpu_runner.nvml import Nvml
from gpu_runner.outcome import WATCHDOG_RC, Outcome, classify
from gpu_runner.request import RepeatRequest
from gpu_runner.status import is_complete
from gpu_runner.watchdog import Findings, LogWatch, Stop
from ledger.events.observations import Attempt, GpuTelemetry, RepeatInterrupted, RepeatStarted
from ledger.outside.redaction import Redactor

PROGRESS_S = 30.0


@dataclass(slots=True, kw_only=True)
class Place:
    """Where a repeat works, all absolute, and on what machine."""

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


class AttemptRun:
    """Runs pytest once for a repeat. `run` returns when no process of it is left."""

    def __init__(
        self,
        request: RepeatRequest,
        place: Place,
        number: int,
        *,
        env: Mapping[str, str],
        grant: Grant | None,
        nvml: Nvml | None,
    ) -> None:
        self.request = request
        self.place = place
        self.number = number
        self.env = env
        self.grant = grant
        self.nvml = nvml
        self.redactor = Redactor(env)
        self.repeat_id = f"{request.unit}-{request.repeat}-{number}-{secrets.token_hex(8)}"
        self.sampler: telemetry.Sampler | None = None
        self.stop: Stop | None = None

    def run(self, git_sha: str | None) -> Ended:
        """Launch, follow, end and judge. An interrupt ends the tree, is recorded, and goes on up."""
        request, place = self.request, self.place
        compose.put_aside(place.log)
        compose.empty(place.basetemp)
        caches.wipe(request.cache_dirs, keep=(place.cwd, place.basetemp, place.log))
        self.started_at, self.began, self.clock = now_text(), time.time(), time.monotonic()
        command = compose.command(request, place.basetemp)
        self._announce(command, git_sha)
        self.watch = LogWatch(
            place.log,
            request.limits,
            now=self.clock,
            crashes=request.crash_signatures,
            environment=request.environment_signatures,
            patterns=request.log_patterns,
        )
        self.running = Attended(
            Launch(command, place.cwd, self.env, place.log),
            repeat_id=self.repeat_id,
            hold_fds=[lock.fd for lock in self.grant.locks] if self.grant else (),
            grace_s=request.limits.term_grace_s,
        )
        try:
            self._follow()
        except KeyboardInterrupt as interrupt:
            request.emit(
                RepeatInterrupted(
                    unit=request.unit,
                    repeat=request.repeat,
                    repeat_id=self.repeat_id,
                    by=interrupts.name_of(interrupt),
                    killed_pids=sorted(self.running.ended),
                    stuck_pids=sorted(self.running.stuck),
                )
            )
            raise
        return self._judge()

    def _announce(self, command: list[str], git_sha: str | None) -> None:
        request, place = self.request, self.place
        request.emit(
            RepeatStarted(
                unit=request.unit,
                repeat=request.repeat,
                attempt=self.number,
                stages=[stage.key for stage in request.stages],
                repeat_id=self.repeat_id,
                host=place.host,
                boot_id=place.boot_id,
                log=str(place.log),
                basetemp=str(place.basetemp),
                command=[self.redactor.text(part) for part in command],
                git_sha=git_sha,
                started_ticks=processes.ticks_now(),
            )
        )

    def _follow(self) -> None:
        """Watch the run until it ends or has to be ended; leaving here, nothing of it is left."""
        if self.nvml and self.grant:
            self.sampler = telemetry.Sampler(self.nvml, self.grant.gpus, self.request.telemetry_hz, self.running.owns)
        with interrupts.pauses(self.running.tell_paused), self.running, self.sampler or contextlib.nullcontext():
            next_word = time.monotonic() + PROGRESS_S
            while not self.running.wait(self.request.limits.poll_s):
                now = time.monotonic()
                stop = self.watch.look(now)
                if stop and not self.running.wait(0):
                    self.stop = stop
                    break
                if self.request.say and now >= next_word:
                    next_word = now + PROGRESS_S
                    self.request.say(self._progress(now))
            # inside the sampler's span: what the GPUs do while the tree is ended belongs to the attempt
            self.running.stop() if self.stop else self.running.settle()

    def _judge(self) -> Ended:
        request, running = self.request, self.running
        findings = self.watch.finish(time.monotonic())
        files = ResultFiles(self.place.basetemp)
        extracted = {stage.key: extract(stage, files) for stage in request.stages}
        outcome = classify(
            running.exit_code,
            findings,
            stop=self.stop,
            complete=is_complete(request.stages, extracted),
            keeper_lost=running.lost,
        )
        problems = [self.redactor.text(sentence) for sentence in findings.environment]
        problems += caches.strays(self.env, self.began) + self._left_behind()
        tracks = self.sampler.tracks if self.sampler else []
        return Ended(
            record=self._record(outcome),
            outcome=outcome,
            repeat_id=self.repeat_id,
            extracted=extracted,
            files=files,
            findings=findings,
            grant=self.grant,
            telemetry=[telemetry.summarize(track) for track in tracks],
            lost_gpus=[track.gpu.label for track in tracks if track.lost],
            problems=problems,
        )

    def _record(self, outcome: Outcome) -> Attempt:
        request = self.request
        return Attempt(
            attempt=self.number,
            outcome=outcome.text,
            kind=outcome.kind,
            started_at=self.started_at,
            duration_s=round(time.monotonic() - self.clock, 3),
            pytest_rc=WATCHDOG_RC if self.stop else self.running.exit_code,
            cause=self.redactor.text(outcome.cause),
            gpu_indices=[gpu.index for gpu in self.grant.gpus] if self.grant else [],
            log_sha256=keep_log(request.evidence, self.place.log, self.redactor),
            telemetry_sha256=keep_telemetry(request, self.sampler, self.number, self.repeat_id),
            retried=outcome.retried and self.number < request.limits.attempts,
        )

    def _left_behind(self) -> list[str]:
        """What was done to keeper and runner, processes that could not be ended, memory that did not come back."""
        problems = self.running.troubles
        if self.running.stuck:
            problems.append(
                f"stuck processes: pid {', '.join(map(str, self.running.stuck))} did not end even on SIGKILL; they "
                "hang in the kernel (a driver or file system fault); the host needs a look, most often a reboot"
            )
        if self.nvml and self.grant:
            for standing in gate.wait_released(self.nvml, self.grant.gpus, self.request.gate):
                problems.append(
                    f"ghost memory: GPU memory not released after run on GPU {standing.gpu.label}: {standing.reason}; "
                    + (gate.GHOST_WAY_OUT if standing.ghost else "perfledger gpu list shows what holds it")
                )
        return problems

    def _progress(self, now: float) -> str:
        memory = ""
        if self.nvml and self.grant:
            used = {gpu.label: self.nvml.load(gpu).used_mib for gpu in self.grant.gpus}
            memory = f" GPU mem={used}"
        return f"running…{memory} log={self.watch.bytes_read}B stall={self.watch.silent_s(now):.0f}s"
