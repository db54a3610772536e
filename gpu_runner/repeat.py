"""One repeat, from the wait for GPUs to the observation.

gate -> lock -> re-check -> launch -> watch -> end the tree -> memory back -> extract -> classify
  ^                                                                                          |
  +------------- up to 4 attempts: out of memory, crash, timeout, infrastructure <------------+
"""

from __future__ import annotations

import contextlib
import os
import socket

from gpu_runner import caches, compose, fingerprint, gate, health, interrupts, workspace
from gpu_runner.attempt import AttemptRun, Ended, Place, now_text
from gpu_runner.gate import Grant, NotGranted
from gpu_runner.keeping import keep_results
from gpu_runner.nvml import Nvml
from gpu_runner.request import (
    Emit,
    EvidenceSink,
    GatePolicy,
    Limits,
    RepeatRequest,
    StageSpec,
    ValueSource,
)
from gpu_runner.status import halt_cause, observe
from gpu_runner.workspace import Workspace
from ledger.errors import Unavailable
from ledger.events.observations import (
    Attempt,
    EnvironmentSeen,
    GpusPicked,
    GpuWaited,
    RepeatObserved,
)
from ledger.outside.redaction import Redactor

__all__ = [
    "Emit",
    "EvidenceSink",
    "GatePolicy",
    "Limits",
    "NotGranted",
    "RepeatObserved",
    "RepeatRequest",
    "StageSpec",
    "ValueSource",
    "run_repeat",
]


def run_repeat(request: RepeatRequest) -> RepeatObserved:
    """Run one repeat to its observation; every event goes through `request.emit`, the observation last.

    Raises `NotGranted` (an `Unavailable`) when the GPUs do not get free: pytest never ran and nothing is observed;
    `Unavailable` without a driver when GPUs are asked for; `BadInput` for a request that cannot be run;
    KeyboardInterrupt after SIGINT, SIGTERM or SIGHUP. Whatever happens, no process of the repeat is left.
    """
    compose.check(request)
    caches.check(request.cache_dirs, keep=(request.cwd, request.basetemp, request.log))
    with interrupts.raised(), Nvml() if request.gpus else contextlib.nullcontext() as nvml:
        return _Repeat(request, nvml).run()


class _Repeat:
    """The attempts of one repeat and what they add up to."""

    def __init__(self, request: RepeatRequest, nvml: Nvml | None) -> None:
        self.request = request
        self.nvml = nvml
        self.place = Place(
            cwd=request.cwd.resolve(),
            basetemp=request.basetemp.absolute(),
            log=request.log.absolute(),
            host=socket.gethostname(),
        )
        self.history: list[Attempt] = []
        self.problems: list[str] = []

    def run(self) -> RepeatObserved:
        """Attempt until one need not be retried, then observe."""
        request = self.request
        environment = self._environment()
        before = workspace.look(self.place.cwd, ours=(self.place.basetemp, self.place.log))
        last: Ended | None = None
        for number in range(1, request.limits.attempts + 1):
            try:
                grant = self._acquire(number)
            except Unavailable as refusal:
                if last is None:
                    raise
                # what the earlier attempt measured stays valid; the next repeat will meet the same gate
                self._problem(f"GPUs did not get free before a retry: {refusal.message}")
                break
            try:
                last = self._attempt(number, grant, before)
            finally:
                if grant:
                    grant.release()
            if not last.record.retried:
                break
            self._say(f"failed: {last.outcome.text} ({last.record.duration_s:.1f}s), trying again")
        assert last is not None
        return self._observe(last, environment, before)

    def _environment(self) -> str:
        request = self.request
        document = fingerprint.fingerprint(
            python=request.python,
            packages=request.packages,
            env={**os.environ, **request.env},
            nvml=self.nvml,
            image=request.container_image,
        )
        digest = fingerprint.digest(document)
        if digest != request.known_environment:
            request.emit(EnvironmentSeen(digest=digest, fingerprint=document))
        return digest

    def _acquire(self, number: int) -> Grant | None:
        request = self.request
        if self.nvml is None:
            return None
        try:
            grant = gate.acquire(self.nvml, request.gpus, request.gate, say=request.say)
        except NotGranted as refusal:
            self._waited(False, refusal.waited_s, refusal.reasons)
            raise
        except Unavailable as refusal:
            self._waited(False, 0.0, {"all": refusal.message})
            raise
        if grant.reasons:
            self._waited(True, grant.waited_s, grant.reasons)
        request.emit(
            GpusPicked(
                unit=request.unit,
                repeat=request.repeat,
                attempt=number,
                gpu_indices=[gpu.index for gpu in grant.gpus],
                gpu_uuids=[gpu.uuid for gpu in grant.gpus],
                used_mib=grant.used_mib,
            )
        )
        labels = ", ".join(gpu.label for gpu in grant.gpus)
        self._say(f"using GPU(s) [{labels}] (CUDA_VISIBLE_DEVICES={grant.visible})")
        return grant

    def _waited(self, granted: bool, waited_s: float, reasons: dict[str, str]) -> None:
        request = self.request
        request.emit(
            GpuWaited(
                unit=request.unit,
                repeat=request.repeat,
                needed=request.gpus,
                granted=granted,
                waited_s=round(waited_s, 3),
                limit_s=request.gate.wait_s,
                reasons=reasons,
            )
        )

    def _attempt(self, number: int, grant: Grant | None, before: Workspace) -> Ended:
        env = compose.environment(self.request, grant.visible if grant else "", os.environ)
        ended = AttemptRun(self.request, self.place, number, env=env, grant=grant, nvml=self.nvml).run(before.sha)
        self.history.append(ended.record)
        for sentence in ended.problems:
            self._problem(sentence)
        return ended

    def _observe(self, last: Ended, environment: str, before: Workspace) -> RepeatObserved:
        request = self.request
        sha = workspace.head(self.place.cwd)
        if sha != before.sha:
            moved = f"from {before.sha} to {sha}"
            self._problem(f"the commit moved during the repeat, {moved}: its numbers belong to neither")
        redactor = Redactor({**os.environ, **request.env, **request.stage_env})
        observation = RepeatObserved(
            unit=request.unit,
            repeat=request.repeat,
            repeat_id=last.repeat_id,
            test=request.test,
            stages=[observe(stage, last.extracted[stage.key], last.outcome) for stage in request.stages],
            pytest_rc=last.record.pytest_rc,
            attempts=len(self.history),
            attempt_history=self.history,
            duration_s=last.record.duration_s,
            recorded_at=now_text(),
            git_sha=sha,
            git_sha_start=before.sha,
            dirty=before.dirty,
            diff_sha256=self._keep(redactor.clean(before.diff), "text/x-diff") if before.diff else None,
            host=self.place.host,
            gpu_indices=last.record.gpu_indices,
            gpu_uuids=[gpu.uuid for gpu in last.grant.gpus] if last.grant else [],
            telemetry=last.telemetry,
            telemetry_sha256=last.record.telemetry_sha256,
            environment=environment,
            log=str(self.place.log),
            basetemp=str(self.place.basetemp),
            log_sha256=last.record.log_sha256,
            results=keep_results(request.evidence, last.files),
            environment_problems=self.problems,
            suspect=health.witness(last.telemetry, request.clock_medians_mhz, last.lost_gpus),
            halt=halt_cause(last.outcome, last.extracted),
            log_found={name: line and redactor.text(line) for name, line in last.findings.patterns.items()},
            seed=request.seed,
        )
        request.emit(observation)
        passed = last.outcome.kind == "passed"
        self._say(("ok" if passed else f"failed: {last.outcome.text}") + f" ({last.record.duration_s:.1f}s)")
        return observation

    def _keep(self, data: bytes, media_type: str) -> str | None:
        return self.request.evidence.put(data, media_type) if self.request.evidence else None

    def _problem(self, sentence: str) -> None:
        if sentence not in self.problems:
            self.problems.append(sentence)

    def _say(self, line: str) -> None:
        if self.request.say:
            self.request.say(line)
