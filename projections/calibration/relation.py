"""The relations of the calibrations, as rows of what the session's fold and its audit decide.

`audit_matrix` has the cells of `audit.audit_stage`, `provenance` the verdicts of `provenance.verdict`,
`calibration_rounds` the observations that `fold` keeps, and `calibrations` what `audit.readiness` says of each session:
the functions `calibrate audit`, `status`, `report` and `apply` ask. Which cell is strict, which round counts and what
belongs to the commit is decided there and nowhere else.

Events come from the view `events`, which is bounded by the moment of the state, so --as-of and --as-recorded hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from ledger import canonical
from ledger.event import Event
from projections.calibration.audit import audit_stage, readiness
from projections.calibration.fold import fold
from projections.calibration.provenance import OK, verdict
from projections.calibration.session import STREAM_PREFIX, Observation, Session

if TYPE_CHECKING:
    from projections.state.state import State

Row = dict[str, Any]
# How many events are held at once; the whole of a session is, whatever its size.
EVENTS_AT_ONCE = 20_000

_COUNTS = f"""SELECT stream, count(*) AS events FROM events
WHERE unread IS NULL AND stream LIKE '{STREAM_PREFIX}%' GROUP BY 1 ORDER BY 1"""
_COLUMNS = (*Event.__struct_fields__, "learned_at")
# Times are made text by the engine: in Python that alone costs as much as the fold.
_EVENTS = f"""SELECT {", ".join(_COLUMNS)} FROM (SELECT * REPLACE (
    strftime(recorded_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS recorded_at,
    strftime(learned_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS learned_at) FROM events)
WHERE unread IS NULL AND stream BETWEEN $first AND $last AND stream LIKE '{STREAM_PREFIX}%'
ORDER BY stream, recorded_at, origin, position"""
_STEPS = """SELECT session, arg_max(kind, (recorded_at, origin, position)) AS step FROM fact_calibration
WHERE learned_at <= CAST($as_of AS TIMESTAMPTZ) AND recorded_at <= CAST($as_recorded AS TIMESTAMPTZ) GROUP BY 1"""


def audit_matrix(state: State, session: str | None = None) -> Iterator[Row]:
    """Yield a row for each stage and repeat of each session: its strict cell and what that was decided from."""
    for one, _ in _sessions(state, session):
        for number, stage in enumerate(one.plan.stages, 1):
            audited = audit_stage(one, stage)
            for repeat, cell in enumerate(audited.cells, 1):
                yield {
                    "session": one.id,
                    "model": one.plan.model,
                    "number": number,
                    "stage": stage.key,
                    "title": stage.title,
                    "stage_group": stage.group,
                    "repeat": repeat,
                    "cell": cell,
                    "expected_samples": stage.expected_samples,
                    "required": audited.repeats,
                    **_measured(one.observations.get((stage.key, repeat))),
                }


def provenance(state: State, session: str | None = None) -> Iterator[Row]:
    """Yield a row for each observed stage and repeat of each plan: whether it belongs to the session's commit."""
    for one, _ in _sessions(state, session):
        accepted = one.accepted_commits
        for number, stage in enumerate(one.plan.stages, 1):
            for repeat in one.rounds(stage.key):
                seen = one.observations[stage.key, repeat]
                yield {
                    "session": one.id,
                    "model": one.plan.model,
                    "number": number,
                    "stage": stage.key,
                    "repeat": repeat,
                    "calibration_git_sha": one.plan.calibration_git_sha,
                    "git_sha": seen.git_sha or None,
                    "verdict": verdict(one, seen, accepted),
                    "measured_at": seen.recorded_at,
                    "event_id": seen.event_id,
                }


def calibration_rounds(state: State, session: str | None = None) -> Iterator[Row]:
    """Yield a row for each observation that counts or is set aside: neither purged, vanished nor measured again."""
    for one, times in _sessions(state, session):
        for (stage, repeat), seen in sorted(one.observations.items()):
            recorded_at, learned_at = times[seen.event_id]
            yield {
                "session": one.id,
                "stage": stage,
                "repeat": repeat,
                "unit": seen.unit or None,
                "readable": seen.readable,
                "metric_keys": " ".join(seen.metrics),
                "metric_count": len(seen.metrics),
                "null_count": sum(value is None for value in seen.metrics.values()),
                "git_sha_start": seen.git_sha_start or None,
                "diff_sha256": seen.diff_sha256,
                "pytest_rc": seen.pytest_rc,
                "foreign_file": seen.foreign_file,
                "recorded_at": recorded_at,
                "learned_at": learned_at,
                "aside": one.set_aside(stage, repeat),
                **_measured(seen),
            }


def calibrations(state: State, session: str | None = None) -> Iterator[Row]:
    """Yield a row for each session: its scope, its strict-ready stages, whether provenance holds, how far it is."""
    steps = {
        r["session"]: r["step"] for r in state.rows(_STEPS, {"as_of": state.as_of, "as_recorded": state.as_recorded})
    }
    for one, times in _sessions(state, session):
        audit = readiness(one)
        planned = {stage.key for stage in one.plan.stages}
        accepted = one.accepted_commits
        broken = (
            verdict(one, seen, accepted) != OK for (stage, _), seen in one.observations.items() if stage in planned
        )
        recorded_at, learned_at = times[one.planned_by]
        yield {
            "session": one.id,
            "model": one.plan.model,
            "repeats": one.plan.repeats,
            "stages": len(audit.stages),
            "strict_stages": audit.strict_ready,
            "strict_complete": audit.strict_complete,
            "provenance_ok": audit.provenance.ok,
            "provenance_broken": sum(broken),
            "calibration_git_sha": one.plan.calibration_git_sha,
            "git_branch": one.plan.git_branch,
            "dirty": one.plan.dirty,
            "run_dir": one.plan.run_dir,
            "started_at": one.plan.started_at,
            "gpu_summary": one.plan.gpu_summary,
            "imported": one.imported,
            "reported": bool(one.reports),
            "last_step": steps.get(one.id),
            "recorded_at": recorded_at,
            "learned_at": learned_at,
        }


def _measured(seen: Observation | None) -> Row:
    """The columns that `audit_matrix` and `calibration_rounds` have in common; all null where nothing was seen."""
    return {
        "status": seen and seen.status,
        "reason": seen and seen.reason,
        "samples_total": seen and seen.samples_total,
        "samples_ok": seen and seen.samples_ok,
        "metrics": seen and canonical.encode(seen.metrics).decode(),
        "git_sha": (seen and seen.git_sha) or None,
        "measured_at": seen and seen.recorded_at,
        "duration_s": seen and seen.duration_s,
        "attempts": seen and seen.attempts,
        "suspect": seen and "; ".join((*seen.suspect, *seen.environment_problems)),
        "event_id": seen and seen.event_id,
    }


def _sessions(state: State, name: str | None) -> Iterator[tuple[Session, dict[str, tuple[str, str]]]]:
    """Yield every session that was planned by the moment (or the one of a name), and when each event of it was known.

    That is, by event id, when it was recorded and when this ledger learned of it.

    A query for a part of the streams each time: what is held of a large ledger is a part of it.
    """
    parts = _parts(state.rows(_COUNTS)) if name is None else [(STREAM_PREFIX + name, STREAM_PREFIX + name)]
    for first, last in parts:
        state.prepare(_EVENTS)
        rows = state.connection.execute(_EVENTS, {"first": first, "last": last}).fetchall()
        known = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
        for _, group in groupby(known, lambda row: row["stream"]):
            stream = list(group)
            session = fold(map(_event, stream), own_origin=state.ledger.origin)
            if session is not None:
                yield session, {row["event_id"]: (row["recorded_at"], row["learned_at"]) for row in stream}


def _parts(counts: list[Row]) -> Iterator[tuple[str, str]]:
    """Yield the first and the last stream of consecutive ones that have few enough events to be held at once."""
    part: list[str] = []
    held = 0
    for row in counts:
        if part and held + row["events"] > EVENTS_AT_ONCE:
            yield part[0], part[-1]
            part, held = [], 0
        part.append(row["stream"])
        held += row["events"]
    if part:
        yield part[0], part[-1]


def _event(row: Row) -> Event:
    fields = {name: row[name] for name in Event.__struct_fields__}
    fields["payload"] = msgspec.Raw(row["payload"].encode())
    return Event(**fields)
