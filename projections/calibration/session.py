"""A calibration session: the state its events fold into (`fold.py`).

Runs, audits, reports and applies all read this one state, so they cannot disagree about what was
measured.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import msgspec

from ledger import canonical
from ledger.event import Event
from ledger.events import calibrations as events
from ledger.events.calibrations import Plan, PlannedStage
from ledger.events.observations import RepeatStarted

Cell = tuple[str, int]  # (stage key, repeat)
Round = tuple[str, int]  # (unit name, repeat)

STREAM_PREFIX = "calibration/"
# Small, because a query engine parses the payloads of thousands of plans at once.
PART_BYTES_MAX = 8 * 1024
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class Unit(msgspec.Struct, frozen=True):
    """Stages that one pytest run measures together: same test file, same environment.

    name is the folder below `_pytest/`: test stem, plus `__` and the preset names.
    """

    name: str
    test: str
    extra_env: dict[str, str]
    stages: tuple[PlannedStage, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Its stage keys in plan order."""
        return tuple(stage.key for stage in self.stages)


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One stage's share of one repeat, whoever measured it.

    unit: the one that measured it, empty where a run file does not say. metrics are raw values, null
    when not read. not_finite: metric to `NaN` or `inf` as text; such a value is null in metrics.
    git_sha, git_sha_start: HEAD at the end and at the start, empty where not known. sha256: of the run
    file it was read from, empty for what a runner of ours measured. extra: what a foreign run file held
    beyond the known fields.
    """

    stage: str
    repeat: int
    event_id: str
    status: str
    reason: str
    metrics: Mapping[str, float | None]
    samples_total: int | None = None
    samples_ok: int | None = None
    unit: str = ""
    git_sha: str = ""
    git_sha_start: str = ""
    diff_sha256: str | None = None
    recorded_at: str = ""
    duration_s: float | None = None
    attempts: int | None = None
    pytest_rc: int | None = None
    pytest_log: str = ""
    basetemp: str = ""
    readable: bool = True
    not_finite: Mapping[str, str] = msgspec.field(default_factory=dict)
    problems: Mapping[str, str] = msgspec.field(default_factory=dict)
    destructive: bool = False
    block_discarded: bool = False
    suspect: tuple[str, ...] = ()
    environment_problems: tuple[str, ...] = ()
    log_found: Mapping[str, str | None] = msgspec.field(default_factory=dict)
    log_sha256: str | None = None
    sha256: str = ""
    extra: Mapping[str, Any] = msgspec.field(default_factory=dict)

    @property
    def commits(self) -> tuple[str, ...]:
        """The commits it names: at the end, then at the start where that is another one."""
        return tuple(dict.fromkeys(c for c in (self.git_sha, self.git_sha_start) if c))

    @property
    def foreign_file(self) -> bool:
        """Whether it was read from a run file, and not measured by a runner of ours."""
        return self.sha256 != ""


class Session(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Everything known of one calibration; built by `evolve`, never by hand.

    imported: the run directory is another tool's, and the source of what is known. sources: the
    sessions this one was merged from.
    planned_by: the id of the event its plan begins with.
    position: the last position of this ledger's own origin in the stream, for optimistic appends.
    observations hold what counts now; purged repeats are gone from it and listed in `purged`.
    running: the rounds that were started and never ended in an event, in the order of their start.
    environment: digest of the last repeat's environment. sm_clocks_mhz: GPU UUID to the median SM
    clock of each repeat so far, in MHz.
    """

    id: str
    plan: Plan
    imported: bool
    planned_by: str = ""
    event_ids: tuple[str, ...] = ()
    position: int = 0
    observations: Mapping[Cell, Observation] = msgspec.field(default_factory=dict)
    running: Mapping[Round, RepeatStarted] = msgspec.field(default_factory=dict)
    rejected: Mapping[Round, events.RoundRejected] = msgspec.field(default_factory=dict)
    discarded: Mapping[Round, str] = msgspec.field(default_factory=dict)
    flagged: Mapping[str, str] = msgspec.field(default_factory=dict)
    settled: Mapping[str, events.RepeatsSettled] = msgspec.field(default_factory=dict)
    environment: str | None = None
    sm_clocks_mhz: Mapping[str, tuple[float, ...]] = msgspec.field(default_factory=dict)
    purged: tuple[events.RepeatPurged, ...] = ()
    resumes: tuple[events.CalibrationResumed, ...] = ()
    vanished: tuple[str, ...] = ()
    rewritten: tuple[str, ...] = ()
    halted: events.CalibrationHalted | None = None
    ended: events.CalibrationEnded | None = None
    reports: tuple[events.CalibrationReported, ...] = ()
    applied: tuple[Event, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def stream(self) -> str:
        """The stream its events are in."""
        return STREAM_PREFIX + self.id

    @property
    def stages(self) -> dict[str, PlannedStage]:
        """Planned stages by key, in plan order."""
        return {stage.key: stage for stage in self.plan.stages}

    @property
    def accepted_commits(self) -> frozenset[str]:
        """The calibration commit and those proven measurement-equivalent to it."""
        proven = {resume.git_sha for resume in self.resumes if resume.equivalent}
        return frozenset({self.plan.calibration_git_sha, *self.plan.equivalent_commits, *proven})

    def required(self, stage: str) -> int:
        """How many strict repeats a stage needs: N, or fewer where its unit settled early."""
        settled = self.settled.get(unit_of(self.plan, stage))
        return settled.repeats if settled else self.plan.repeats

    def rounds(self, stage: str) -> list[int]:
        """The repeats that were observed for a stage, ascending."""
        return self._rounds.get(stage, [])

    @functools.cached_property
    def _rounds(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for stage, repeat in sorted(self.observations):
            found.setdefault(stage, []).append(repeat)
        return found

    def set_aside(self, stage: str, repeat: int) -> bool:
        """Whether this observation is on record but does not count (rejected or discarded)."""
        seen = self.observations.get((stage, repeat))
        if seen is not None and (seen.destructive or seen.block_discarded):
            return True
        if not self.rejected and not self.discarded:
            return False
        unit = unit_of(self.plan, stage)
        return (unit, repeat) in self.rejected or (unit, repeat) in self.discarded


def units_of(plan: Plan) -> list[Unit]:
    """Group stages by (test file, extra environment), in the order of their first stage.

    Two units of the same name (same stem in two folders, or two environments without presets) are
    distinguished by a number, so that they never share a log or a basetemp.
    """
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[PlannedStage]] = {}
    for stage in plan.stages:
        groups.setdefault((stage.test, tuple(sorted(stage.extra_env.items()))), []).append(stage)
    units: list[Unit] = []
    taken: dict[str, int] = {}
    for (test, env), stages in groups.items():
        presets = sorted({s.calibration_preset for s in stages if s.calibration_preset})
        name = PurePath(test).stem + ("__" + "_".join(presets) if presets else "")
        taken[name] = taken.get(name, 0) + 1
        unique = name if taken[name] == 1 else f"{name}__{taken[name]}"
        units.append(Unit(unique, test, dict(env), tuple(stages)))
    return units


def unit_of(plan: Plan, stage: str) -> str:
    """Return the name of the unit a stage belongs to; empty for a stage outside the plan."""
    return _unit_names(plan).get(stage, "")


_UNIT_NAMES: dict[int, tuple[Plan, dict[str, str]]] = {}


def _unit_names(plan: Plan) -> dict[str, str]:
    # a plan is immutable and asked once per cell: remember the grouping of the last few plans
    known = _UNIT_NAMES.get(id(plan))
    if known is not None and known[0] is plan:
        return known[1]
    names = {key: unit.name for unit in units_of(plan) for key in unit.keys}
    if len(_UNIT_NAMES) >= 8:
        _UNIT_NAMES.clear()
    _UNIT_NAMES[id(plan)] = (plan, names)
    return names


def plan_in_parts(plan: Plan) -> tuple[Plan, list[list[PlannedStage]]]:
    """Return a plan that fits one event, and its further stages in lists that fit one event each."""
    parts: list[list[PlannedStage]] = [[]]
    size = 0
    for stage in plan.stages:
        stage_bytes = len(canonical.encode(stage))
        if parts[-1] and size + stage_bytes > PART_BYTES_MAX:
            parts.append([])
            size = 0
        parts[-1].append(stage)
        size += stage_bytes
    return msgspec.structs.replace(plan, stages=parts[0]), parts[1:]
