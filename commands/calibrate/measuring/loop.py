"""Measuring the repeats of a session: decide, launch, record, project; until nothing is left to do.

Before every step the session takes in what is new in the log, so whatever happened in between (a purge, a
pull, an event of the runner's own) is part of the next decision. What is strict-complete is never measured again.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from commands.calibrate.measuring import milestones
from commands.calibrate.measuring.purging import Purge, purge_events
from commands.calibrate.sessions import follow
from gpu_runner.request import GatePolicy, Limits, RepeatRequest, StageSpec, ValueSource
from ledger.errors import Conflict
from ledger.event import EventPayload, NewEvent
from ledger.events.calibrations import (
    BlockDiscarded,
    CalibrationHalted,
    PlannedStage,
    RepeatsSettled,
    RoundRejected,
    SampleSource,
    UnitFlagged,
)
from ledger.events.observations import RepeatObserved
from projections.calibration.audit import readiness
from projections.calibration.destructive_rounds import Judgement, judge_unit, resolution_of
from projections.calibration.session import Session, Unit, units_of
from projections.calibration.worst_of_n import is_complete, metric_worst, missing_reason

if TYPE_CHECKING:
    from commands.calibrate.measuring.run_planning import Place
    from projections.calibration.current import CurrentSession

DECISIONS_MAX = 200  # of one unit in one pass; fifteen rounds and their judgements need far fewer


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How repeats are launched: interpreter, environment, GPUs and limits by unit name."""

    python: str
    env: Mapping[str, str] = msgspec.field(default_factory=dict)
    extra_args: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    gpus: Mapping[str, int] = msgspec.field(default_factory=dict)
    gate: GatePolicy = GatePolicy()
    limits: Limits = Limits()
    cache_dirs: tuple[Path, ...] = ()
    max_passes: int = 10
    stop_early_alpha: float | None = None


class Halted(Exception):
    """A repeat passed but its metrics could not be read; the run stops here."""

    def __init__(self, unit: Unit, repeat: int, cause: str) -> None:
        super().__init__(cause)
        self.unit, self.repeat, self.cause = unit, repeat, cause


class Measuring:
    """One `calibrate run` over a session; `say` gets the milestone lines, `share` is called after each repeat."""

    def __init__(
        self,
        place: Place,
        current: CurrentSession,
        settings: Settings,
        say: Callable[[str], None],
        share: Callable[[], None] = lambda: None,
    ) -> None:
        self.place = place
        self.ledger = place.ledger
        self.current = current
        self.settings = settings
        self.directory = place.directory.absolute()
        self.say = say
        self.share = share
        self.launched = 0

    @property
    def session(self) -> Session:
        """The session as it was last brought up to the log."""
        return self.current.session

    def run(self, wanted: frozenset[str], *, resumed: bool) -> int:
        """Measure until complete, nothing more runs, or the passes are used up; return the passes.

        wanted: stage keys; a unit runs as a whole when one of its stages is wanted. Raises `Halted`,
        `Unavailable` (GPUs not free), `Conflict` (HEAD moved) and KeyboardInterrupt.
        """
        units = [unit for unit in units_of(self.session.plan) if wanted & set(unit.keys)]
        if resumed:
            self._say_skipped(units)
        for number in range(1, self.settings.max_passes + 1):
            before = self.launched
            for unit in units:
                self._pass_over(unit)
            audit = readiness(self.session)
            self.say(milestones.completeness(audit, f"after pass {number}"))
            if audit.complete or self.launched == before:
                return number
        return self.settings.max_passes

    def _pass_over(self, unit: Unit) -> None:
        """Take a unit as far as one attempt at each missing round brings it."""
        tried: set[int] = set()
        for _ in range(DECISIONS_MAX):
            self.current.refresh()
            step = judge_unit(self.session, unit)
            if step.step == "done":
                return
            if step.step == "measure":
                if self._settle(unit):
                    continue
                left = [repeat for repeat in step.repeats if repeat not in tried]
                if not left:
                    return
                tried.add(left[0])
                self._measure(unit, left[0])
            else:
                self._decide(unit, step)
        raise AssertionError((unit.name, "does not settle"))

    def _measure(self, unit: Unit, repeat: int) -> None:
        self._set_aside(unit, repeat)
        gpus = self.settings.gpus.get(unit.name, 0)
        for line in milestones.banner(unit, repeat, self.session.plan.repeats, gpus):
            self.say(line)
        self.launched += 1
        seen = self._observe(unit, repeat, gpus)
        self.share()
        self.current.refresh()
        self._project(unit, repeat)
        for line in milestones.outcome_lines(unit, self.session, repeat):
            self.say(line)
        if seen.halt:
            self._append(
                CalibrationHalted(
                    session=self.session.id,
                    unit=unit.name,
                    repeat=repeat,
                    stages=list(unit.keys),
                    cause=seen.halt,
                )
            )
            raise Halted(unit, repeat, seen.halt)
        commits = {c for c in (seen.git_sha, seen.git_sha_start) if c}
        if not commits <= self.session.accepted_commits:
            raise Conflict(
                f"HEAD moved during the run: {', '.join(sorted(commits))} is not the calibration "
                f"commit {self.session.plan.calibration_git_sha}",
                code="head_moved",
                hint=f"git checkout {self.session.plan.calibration_git_sha}, then resume",
            )

    def _observe(self, unit: Unit, repeat: int, gpus: int) -> RepeatObserved:
        from gpu_runner.repeat import run_repeat

        def emit(payload: EventPayload) -> None:
            # what was observed is a fact, whatever else happened to the stream meanwhile
            sha = self.session.plan.calibration_git_sha
            self.ledger.append([NewEvent(stream=self.session.stream, payload=payload, git_sha=sha)])

        basetemp = self.directory.basetemp(unit.name, repeat)
        basetemp.parent.mkdir(parents=True, exist_ok=True)
        patterns = {p.name: p.pattern for s in unit.stages for p in s.evidence_patterns}
        return run_repeat(
            RepeatRequest(
                unit=unit.name,
                repeat=repeat,
                python=self.settings.python,
                test=unit.test,
                cwd=self.place.root,
                basetemp=basetemp,
                log=self.directory.pytest_log(unit.name, repeat),
                stages=tuple(stage_spec(stage) for stage in unit.stages),
                emit=emit,
                evidence=self.ledger.evidence,
                gpus=gpus,
                extra_args=self.settings.extra_args.get(unit.name, ()),
                env=self.settings.env,
                stage_env=unit.extra_env,
                gate=self.settings.gate,
                limits=self.settings.limits,
                cache_dirs=self.settings.cache_dirs if gpus else (),
                log_patterns=patterns,
                known_environment=self.session.environment,
                clock_medians_mhz={gpu: statistics.median(seen) for gpu, seen in self.session.sm_clocks_mhz.items()},
                say=self.say,
            )
        )

    def _settle(self, unit: Unit) -> bool:
        """Leave out repeats that could hardly move a worst-of-N, where the user asked for that."""
        alpha = self.settings.stop_early_alpha
        if alpha is None or unit.name in self.session.settled:
            return False
        settled = early_end(self.session, unit, alpha, self.settings.gpus.get(unit.name, 0))
        if settled is None:
            return False
        self._append(settled)
        self.say(
            f"[{unit.name}] settled after {settled.repeats} of {settled.planned} repeats "
            f"(risk {settled.risk:.2g} of {settled.allowed:.2g} allowed), "
            f"{settled.saved_gpu_s:.0f} GPU seconds saved"
        )
        return True

    def _set_aside(self, unit: Unit, repeat: int) -> None:
        """Purge what an earlier attempt left of this round: a unit is observed as a whole or not at all."""
        left = [s for s in unit.stages if (s.key, repeat) in self.session.observations]
        if not left:
            return
        reasons = []
        for stage in left:
            seen = self.session.observations[stage.key, repeat]
            if set(seen.commits) <= self.session.accepted_commits:
                reasons.append(f"{stage.key}: {missing_reason(stage, seen)}")
            else:
                reasons.append(f"{stage.key}: measured on another commit")
        purge = Purge(unit, repeat, "; ".join(reasons))
        follow(self.current, purge_events(self.session, [purge]))
        for stage in left:
            self.directory.remove_run_file(stage.key, repeat)

    def _decide(self, unit: Unit, step: Judgement) -> None:
        for payload in decision_events(self.session.id, unit, step):
            self._append(payload)
            self.say(_decision_line(payload))
        for repeat in step.repeats:
            self._project(unit, repeat)

    def _project(self, unit: Unit, repeat: int) -> None:
        for stage in unit.stages:
            seen = self.session.observations.get((stage.key, repeat))
            if seen is not None:
                self.directory.write_run_file(self.session, seen)

    def _append(self, payload: EventPayload) -> None:
        sha = self.session.plan.calibration_git_sha
        event = NewEvent(stream=self.session.stream, payload=payload, git_sha=sha)
        follow(self.current, [event])

    def _say_skipped(self, units: list[Unit]) -> None:
        for unit in units:
            step = judge_unit(self.session, unit)
            repeats = self.session.plan.repeats
            open_ = set(step.repeats) if step.step == "measure" else set()
            for repeat in range(1, repeats + 1):
                if repeat not in open_:
                    self.say(f"[{unit.name}] run {repeat}/{repeats} skipped (complete, {len(unit.stages)} stage(s))")


def early_end(session: Session, unit: Unit, alpha: float, gpus: int) -> RepeatsSettled | None:
    """Say whether the rounds 1..k of a unit, all clean and measured, settle its worst-of-N.

    The tolerance of a metric is what its display resolves.
    """
    from gpu_runner.stop_early import Series, decide, gpu_seconds_saved

    first = unit.stages[0].key
    done = len(session.rounds(first))
    whole = all(
        is_complete(stage, session.observations.get((stage.key, repeat))) and not session.set_aside(stage.key, repeat)
        for stage in unit.stages
        for repeat in range(1, done + 1)
    )
    if not whole or session.rounds(first) != list(range(1, done + 1)):
        return None
    series = [
        Series(
            name=f"{stage.key}.{metric.key}",
            worst=metric.worst,
            tolerance=resolution_of(metric),
            values=metric_worst(session, stage, metric.key).values,
        )
        for stage in unit.stages
        for metric in stage.metrics
        if metric.configured
    ]
    if not series:
        return None
    decision = decide(series, session.plan.repeats, alpha=alpha)
    if not decision.stop:
        return None
    spent = [session.observations[first, r].duration_s or 0.0 for r in range(1, done + 1)]
    return RepeatsSettled(
        session=session.id,
        unit=unit.name,
        stages=list(unit.keys),
        repeats=done,
        planned=session.plan.repeats,
        risk=decision.risk,
        allowed=decision.allowed,
        alpha=alpha,
        saved_gpu_s=gpu_seconds_saved(spent, gpus, decision.repeats_saved),
    )


def decision_events(session: str, unit: Unit, step: Judgement) -> list[EventPayload]:
    """The events of a judgement about destructive rounds."""
    stages = list(unit.keys)
    if step.step == "reject":
        return [
            RoundRejected(
                session=session,
                unit=unit.name,
                repeat=repeat,
                stages=stages,
                evidence=list(step.evidence[repeat]),
            )
            for repeat in step.repeats
        ]
    if step.step == "discard":
        return [
            BlockDiscarded(
                session=session,
                unit=unit.name,
                repeats=list(step.repeats),
                stages=stages,
                reason=step.reason,
            )
        ]
    assert step.step == "flag", step.step
    return [UnitFlagged(session=session, unit=unit.name, stages=stages, reason=step.reason)]


def stage_spec(stage: PlannedStage) -> StageSpec:
    """A planned stage as the runner reads it."""
    counts = {"total": stage.samples_total, "ok": stage.samples_ok}
    return StageSpec(
        key=stage.key,
        metrics={
            m.key: ValueSource(json_file=m.json_file, json_path=m.json_path)
            if m.configured and m.json_file and m.json_path
            else None
            for m in stage.metrics
        },
        sample_counts={} if stage.is_docs else {k: _source(v) for k, v in counts.items()},
        validity=_joined(stage.observation_validity),
        allowed_failure=_joined(stage.allowed_pytest_failure),
    )


def _source(place: SampleSource | None) -> ValueSource | None:
    if place is None:
        return None
    return ValueSource(json_file=place.json_file, json_path=place.json_path)


def _joined(place: str | None) -> ValueSource | None:
    if not place:
        return None
    file, _, dotted = place.partition("::")
    return ValueSource(json_file=file, json_path=dotted)


def _decision_line(payload: EventPayload) -> str:
    if isinstance(payload, RoundRejected):
        why = payload.evidence[0]
        if why.reason:
            return f"[{payload.unit}] run {payload.repeat} is destructive ({why.reason}); it will be replaced"
        return (
            f"[{payload.unit}] run {payload.repeat} is destructive ({why.stage}.{why.metric} = "
            f"{why.value}, median of the rest {why.median_of_rest}); it will be replaced"
        )
    if isinstance(payload, BlockDiscarded):
        return f"[{payload.unit}] rounds {payload.repeats} discarded: {payload.reason}; starting over"
    assert isinstance(payload, UnitFlagged), payload
    return f"[{payload.unit}] still unstable: {payload.reason}; every round counts, flagged"
