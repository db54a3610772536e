"""The latest state of every context of a commit, and the aggregate of a tier, strict and observed.

*Latest* is by the reporter's time, then the reporter's own rising number, then the order of recording
and the event id, so that late and repeated deliveries change nothing. A report applies to the commit
it names and no other.

* **strict**: every lane that the change should have started, by policy and changed files, has
  reported success on this very commit, and so has everything else reported in the tier's group.
* **observed**, the older rule: the group is not empty and all of what was reported in it is success.
  One test started by name can turn it green; it is shown beside the strict one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from projections.ci.lanes import LaneStart
from projections.ci.policy import Policy, Tier

STATES = ("success", "pending", "skipped", "neutral", "cancelled", "failure", "error")
_SEVERITY = {state: rank for rank, state in enumerate(STATES)}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One report of one context. at: when it counts from, ISO 8601 UTC with six decimals.

    part: which part of the context it is about, empty for all (a benchmark verdict names its target). A
    context with parts is as bad as the worst of their latest states.
    """

    sha: str
    context: str
    state: str
    at: str
    event_id: str
    recorded_at: str = ""
    remote_id: int = 0
    part: str = ""
    source: str = ""
    description: str = ""
    target_url: str | None = None

    def order(self) -> tuple[str, int, str, str]:
        """The key by which the latest of two reports is found."""
        return (self.at, self.remote_id, self.recorded_at, self.event_id)


class ContextState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one context of one commit, and the event it rests on."""

    context: str
    state: str
    at: str
    event_id: str
    source: str = ""
    description: str = ""
    target_url: str | None = None
    report_count: int = 1


class LaneState(msgspec.Struct, frozen=True, kw_only=True):
    """One member of an aggregate. required: a lane the change should have started. state: null when unreported."""

    context: str
    lane: str | None
    required: bool
    state: str | None
    at: str | None = None
    event_id: str | None = None


class Aggregate(msgspec.Struct, frozen=True, kw_only=True):
    """The aggregate status of a tier for one commit.

    state: success, pending or failure. missing: required contexts that reported nothing. failing: contexts
    whose latest state is neither passing nor pending. event_ids: all events it rests on.
    """

    tier: str
    context: str
    mode: str
    state: str
    description: str
    members: list[LaneState]
    missing: list[str]
    failing: list[str]
    waiting: list[str]
    event_ids: list[str]

    @property
    def green(self) -> bool:
        """Whether the aggregate is a success."""
        return self.state == "success"


class Board:
    """The latest reports of one commit, taken in any order."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, Report]] = {}
        self._counts: dict[str, int] = {}

    def take(self, report: Report) -> None:
        """Take one report in; an older one than what is known changes nothing but the count."""
        self._counts[report.context] = self._counts.get(report.context, 0) + 1
        parts = self._parts.setdefault(report.context, {})
        old = parts.get(report.part)
        if old is None or report.order() > old.order():
            parts[report.part] = report

    def states(self) -> dict[str, ContextState]:
        """Return the state of every context, sorted by name."""
        return {
            context: _context_state(max(parts.values(), key=_badness), self._counts[context])
            for context, parts in sorted(self._parts.items())
        }


def latest(reports: Iterable[Report]) -> dict[str, ContextState]:
    """Return the state of every context, for reports that are all of one commit, in any order."""
    board = Board()
    for report in reports:
        board.take(report)
    return board.states()


def _badness(report: Report) -> tuple[int, tuple[str, int, str, str]]:
    return (_SEVERITY.get(report.state, len(STATES)), report.order())


def _context_state(report: Report, count: int) -> ContextState:
    return ContextState(
        context=report.context,
        state=report.state,
        at=report.at,
        event_id=report.event_id,
        source=report.source,
        description=report.description,
        target_url=report.target_url,
        report_count=count,
    )


def aggregate(
    policy: Policy,
    tier: Tier,
    states: Mapping[str, ContextState],
    starts: Sequence[LaneStart] | None,
    *,
    mode: str | None = None,
    basis: str | None = None,
) -> Aggregate:
    """Return a tier's aggregate for one commit.

    `starts` are the lanes that the commit's changed files start (`lanes.started`), None when no event says what
    it changes; `basis` the id of the event that said it. `mode` overrides the policy's.
    """
    assert tier.aggregate, tier.name
    mode = mode or policy.aggregates
    needed = [start for start in starts or () if start.tier == tier.name]
    required = {start.context for start in needed} if mode == "strict" else set()
    lane_names = {lane.context: lane.name for lane in policy.lanes}
    reported = {context for context in states if context.startswith(tuple(tier.prefixes))}
    members = [
        _member(context, lane_names.get(context), context in required, states.get(context))
        for context in [*sorted(required), *sorted(reported - required)]
    ]
    missing = [m.context for m in members if m.state is None]
    waiting = [m.context for m in members if m.state == "pending"]
    failing = [m.context for m in members if m.state not in (None, "pending", *policy.passing_states)]
    blind = mode == "strict" and starts is None
    if failing:
        state = "failure"
    elif blind or missing or waiting or (mode == "observed" and not members):
        state = "pending"
    else:
        state = "success"
    ids = [member.event_id for member in members if member.event_id]
    found = Aggregate(
        tier=tier.name,
        context=tier.aggregate,
        mode=mode,
        state=state,
        description="",
        members=members,
        missing=missing,
        failing=failing,
        waiting=waiting,
        event_ids=[*ids, *([basis] if basis and mode == "strict" else [])],
    )
    return msgspec.structs.replace(found, description=_description(found, blind=blind))


def _member(context: str, lane: str | None, required: bool, state: ContextState | None) -> LaneState:
    return LaneState(
        context=context,
        lane=lane,
        required=required,
        state=state.state if state else None,
        at=state.at if state else None,
        event_id=state.event_id if state else None,
    )


def _description(found: Aggregate, *, blind: bool) -> str:
    """Return one line of at most 140 characters, GitHub's limit for a status.

    blind: no event says which lanes the commit should have started.
    """
    names = {m.context: m.lane or m.context for m in found.members}
    count = len(found.members)
    if found.failing:
        text = f"{len(found.failing)} of {count} not successful: {', '.join(names[c] for c in found.failing)}"
    elif blind:
        text = "the changed files of this commit are not known, so neither are its lanes"
    elif found.missing:
        text = f"{len(found.missing)} of {count} not reported: {', '.join(names[c] for c in found.missing)}"
    elif found.waiting:
        text = f"{len(found.waiting)} of {count} still running: {', '.join(names[c] for c in found.waiting)}"
    elif found.members:
        text = f"All {count} {found.tier} tests passed"
    else:
        text = "No lane watches the changed files" if found.mode == "strict" else "nothing reported"
    return text if len(text) <= 140 else text[:139] + "…"


def aggregates(
    policy: Policy,
    states: Mapping[str, ContextState],
    starts: Sequence[LaneStart] | None,
    *,
    basis: str | None = None,
) -> dict[str, dict[str, Aggregate]]:
    """Return for every tier that has one its aggregate in both modes: {tier: {mode: Aggregate}}."""
    return {
        tier.name: {
            mode: aggregate(policy, tier, states, starts, mode=mode, basis=basis) for mode in ("strict", "observed")
        }
        for tier in policy.tiers
        if tier.aggregate
    }
