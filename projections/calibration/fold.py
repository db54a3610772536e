"""How the events of a calibration fold into its session.

`evolve(session, event)` is pure; `fold` runs it over a stream, from its beginning or on from a session
(`current.py` decides which). Types this version does not know change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec

from ledger.event import Event
from ledger.events import calibrations as events
from ledger.events.observations import RepeatInterrupted, RepeatObserved, RepeatStarted, StageObservation
from projections.calibration.session import EMPTY_SHA256, Observation, Round, Session


def fold(stream: Iterable[Event], *, own_origin: str = "", session: Session | None = None) -> Session | None:
    """Fold the events of one stream into its session; None when it was never planned.

    session: what the events before them folded into. `stream` then sorts after them.
    """
    for imported, group in groupby(stream, lambda event: event.type == "RepeatImported"):
        if imported and session is not None:
            session = _run_files(session, list(group), own_origin)
        else:
            for event in group:
                session = evolve(session, event, own_origin=own_origin)
    return session


def evolve(session: Session | None, event: Event, *, own_origin: str = "") -> Session | None:
    """Return the state after one event. Unknown types change nothing but the position."""
    if session is None:
        session = _begin(event)
        if session is None:
            return None
    elif event.type == "RepeatImported":
        return _run_files(session, [event], own_origin)
    elif event.type in _HANDLERS:
        session = _HANDLERS[event.type](session, event)
    return _past(session, [event], own_origin)


def _past(session: Session, group: Sequence[Event], own_origin: str) -> Session:
    """Note that these events are part of the state."""
    own = [event.position for event in group if event.origin == own_origin]
    return msgspec.structs.replace(
        session,
        event_ids=(*session.event_ids, *(event.event_id for event in group)),
        position=own[-1] if own else session.position,
    )


def _begin(event: Event) -> Session | None:
    payload = event.typed() if event.type in _BEGINNINGS else None
    if isinstance(payload, events.CalibrationPlanned):
        return Session(id=payload.session, plan=payload.plan, imported=False, planned_by=event.event_id)
    if isinstance(payload, events.RunDirectoryImported):
        return Session(id=payload.session, plan=payload.plan, imported=True, planned_by=event.event_id)
    if isinstance(payload, events.CalibrationMerged):
        return Session(
            id=payload.session,
            plan=payload.plan,
            imported=False,
            planned_by=event.event_id,
            sources=tuple(payload.sources),
        )
    return None


def _imported(session: Session, event: Event) -> Session:
    payload = event.typed()
    assert isinstance(payload, events.RunDirectoryImported)
    return msgspec.structs.replace(session, plan=payload.plan, planned_by=event.event_id)


def _continued(session: Session, event: Event) -> Session:
    payload = event.typed()
    assert isinstance(payload, events.PlanContinued)
    stages = [*session.plan.stages, *payload.stages]
    return msgspec.structs.replace(session, plan=msgspec.structs.replace(session.plan, stages=stages))


def _started(session: Session, event: Event) -> Session:
    payload = event.typed()
    assert isinstance(payload, RepeatStarted)
    # a later attempt of the same round ends the earlier one: the runner was alive to start it, and it goes last
    round_ = (payload.unit, payload.repeat)
    return msgspec.structs.replace(session, running={**_without(session.running, round_), round_: payload})


def _interrupted(session: Session, event: Event) -> Session:
    payload = event.typed()
    assert isinstance(payload, RepeatInterrupted)
    return msgspec.structs.replace(session, running=_without(session.running, (payload.unit, payload.repeat)))


def _without(running: Mapping[Round, RepeatStarted], round_: Round) -> dict[Round, RepeatStarted]:
    return {key: started for key, started in running.items() if key != round_}


def _observed(session: Session, event: Event) -> Session:
    payload = event.typed()
    assert isinstance(payload, RepeatObserved)
    seen = dict(session.observations)
    for stage in payload.stages:
        seen[stage.stage, payload.repeat] = _from_repeat(payload, stage, event)
    clocks = dict(session.sm_clocks_mhz)
    for gpu in payload.telemetry:
        if "sm_clock_mhz" in gpu.columns:
            clocks[gpu.uuid] = (*clocks.get(gpu.uuid, ()), gpu.columns["sm_clock_mhz"].median)
    return msgspec.structs.replace(
        session,
        observations=seen,
        running=_without(session.running, (payload.unit, payload.repeat)),
        halted=None,
        ended=None,
        sm_clocks_mhz=clocks,
        environment=payload.environment or session.environment,
    )


def _from_repeat(payload: RepeatObserved, stage: StageObservation, event: Event) -> Observation:
    diff = payload.diff_sha256 if payload.diff_sha256 != EMPTY_SHA256 else None
    return Observation(
        stage=stage.stage,
        repeat=payload.repeat,
        event_id=event.event_id,
        status=stage.status,
        reason=stage.reason,
        metrics=stage.metrics,
        samples_total=stage.sample_counts.get("total"),
        samples_ok=stage.sample_counts.get("ok"),
        git_sha=payload.git_sha or "",
        unit=payload.unit,
        git_sha_start=payload.git_sha_start or "",
        diff_sha256=diff,
        recorded_at=payload.recorded_at,
        duration_s=payload.duration_s,
        attempts=payload.attempts,
        pytest_rc=payload.pytest_rc,
        pytest_log=payload.log,
        basetemp=payload.basetemp,
        problems=stage.problems,
        not_finite={k: v for k, v in stage.problems.items() if "is not a measurement" in v},
        suspect=tuple(payload.suspect),
        environment_problems=tuple(payload.environment_problems),
        log_found=payload.log_found,
        log_sha256=payload.log_sha256,
        extra=_beyond_the_old_format(payload, stage),
    )


def _beyond_the_old_format(payload: RepeatObserved, stage: StageObservation) -> dict[str, Any]:
    """The run-file fields of the later layout, which readers of the older one pass over."""
    history = [msgspec.to_builtins(attempt) for attempt in payload.attempt_history]
    extra: dict[str, Any] = {
        "attempt_history": history,
        "gpu_indices": list(payload.gpu_indices),
        "seed": payload.seed,
    }
    if stage.observation_valid is not None:
        extra["observation_valid"] = stage.observation_valid
    if stage.allowed_pytest_failure is not None:
        extra["allowed_pytest_failure"] = stage.allowed_pytest_failure
    return extra


def _run_files(session: Session, group: Sequence[Event], own_origin: str) -> Session:
    """Take in run files that follow each other; an import brings a thousand, so the state is copied once."""
    seen = dict(session.observations)
    rewritten = list(session.rewritten)
    for event in group:
        payload = _imported_file(event)
        cell = (payload.stage, payload.repeat)
        before = seen.get(cell)
        if before is not None and before.sha256 != payload.sha256:
            rewritten.append(f"{payload.stage}/run{payload.repeat}")
        seen[cell] = _from_file(payload, event)
    changed = msgspec.structs.replace(session, observations=seen, rewritten=tuple(rewritten))
    return _past(changed, group, own_origin)


def _imported_file(event: Event) -> events.RepeatImported:
    if event.schema_version == 1:  # as it is now: no detour over plain values for upcasting
        return _FILE_DECODER.decode(event.payload)
    payload = event.typed()
    assert isinstance(payload, events.RepeatImported)
    return payload


_FILE_DECODER = msgspec.json.Decoder(events.RepeatImported)


def _from_file(payload: events.RepeatImported, event: Event) -> Observation:
    return Observation(
        stage=payload.stage,
        repeat=payload.repeat,
        event_id=event.event_id,
        status=payload.status,
        reason=payload.reason,
        metrics=payload.metrics,
        samples_total=payload.samples_total,
        samples_ok=payload.samples_ok,
        git_sha=payload.git_sha or "",
        recorded_at=payload.recorded_at,
        duration_s=payload.duration_s,
        attempts=payload.attempts,
        pytest_rc=payload.pytest_rc,
        pytest_log=payload.pytest_log,
        basetemp=payload.basetemp,
        readable=payload.readable,
        not_finite=payload.not_finite,
        destructive=payload.destructive,
        block_discarded=payload.block_discarded,
        log_found=payload.log_found,
        log_sha256=payload.log_sha256,
        sha256=payload.sha256,
        extra=payload.extra,
    )


def _vanished(session: Session, event: Event) -> Session:
    payload = event.typed()
    assert isinstance(payload, events.RunFileVanished)
    seen = dict(session.observations)
    seen.pop((payload.stage, payload.repeat), None)
    gone = (*session.vanished, f"{payload.stage}/run{payload.repeat}")
    return msgspec.structs.replace(session, observations=seen, vanished=gone)


def _purged(session: Session, event: Event) -> Session:
    payload = event.typed()
    assert isinstance(payload, events.RepeatPurged)
    gone = {(stage, payload.repeat) for stage in payload.stages}
    round_ = (payload.unit, payload.repeat)
    return msgspec.structs.replace(
        session,
        observations={k: v for k, v in session.observations.items() if k not in gone},
        rejected={k: v for k, v in session.rejected.items() if k != round_},
        purged=(*session.purged, payload),
    )


def _resumed(session: Session, event: Event) -> Session:
    payload = event.typed()
    assert isinstance(payload, events.CalibrationResumed)
    return msgspec.structs.replace(session, resumes=(*session.resumes, payload), halted=None, ended=None)


def _rejected(session: Session, event: Event) -> Session:
    payload = event.typed()
    assert isinstance(payload, events.RoundRejected)
    marks = {**session.rejected, (payload.unit, payload.repeat): payload}
    return msgspec.structs.replace(session, rejected=marks)


def _discarded(session: Session, event: Event) -> Session:
    payload = event.typed()
    assert isinstance(payload, events.BlockDiscarded)
    marks = {(payload.unit, repeat): payload.reason for repeat in payload.repeats}
    return msgspec.structs.replace(session, discarded={**session.discarded, **marks})


def _flagged(session: Session, event: Event) -> Session:
    payload = event.typed()
    assert isinstance(payload, events.UnitFlagged)
    # "keep everything": what the last block had rejected so far counts again
    kept = {k: v for k, v in session.rejected.items() if k[0] != payload.unit}
    kept |= {k: v for k, v in session.rejected.items() if k in session.discarded}
    flags = {**session.flagged, payload.unit: payload.reason}
    return msgspec.structs.replace(session, rejected=kept, flagged=flags)


def _settled(session: Session, event: Event) -> Session:
    payload = event.typed()
    assert isinstance(payload, events.RepeatsSettled)
    return msgspec.structs.replace(session, settled={**session.settled, payload.unit: payload})


def _halted(session: Session, event: Event) -> Session:
    payload = event.typed()
    assert isinstance(payload, events.CalibrationHalted)
    return msgspec.structs.replace(session, halted=payload)


def _ended(session: Session, event: Event) -> Session:
    payload = event.typed()
    assert isinstance(payload, events.CalibrationEnded)
    return msgspec.structs.replace(session, ended=payload)


def _reported(session: Session, event: Event) -> Session:
    payload = event.typed()
    assert isinstance(payload, events.CalibrationReported)
    return msgspec.structs.replace(session, reports=(*session.reports, payload))


def _threshold_applied(session: Session, event: Event) -> Session:
    return msgspec.structs.replace(session, applied=(*session.applied, event))


_BEGINNINGS = ("CalibrationPlanned", "RunDirectoryImported", "CalibrationMerged")
_HANDLERS = {
    "RunDirectoryImported": _imported,
    "PlanContinued": _continued,
    "RepeatStarted": _started,
    "RepeatInterrupted": _interrupted,
    "RepeatObserved": _observed,
    "RunFileVanished": _vanished,
    "RepeatPurged": _purged,
    "CalibrationResumed": _resumed,
    "RoundRejected": _rejected,
    "BlockDiscarded": _discarded,
    "UnitFlagged": _flagged,
    "RepeatsSettled": _settled,
    "CalibrationHalted": _halted,
    "CalibrationEnded": _ended,
    "CalibrationReported": _reported,
    "ThresholdApplied": _threshold_applied,
}
