"""Destructive rounds: which repeats of a unit are not measurements of the software at all.

One condemned metric condemns its round for every stage of the unit. The rounds stay on record; they
are replaced, at most fifteen in all, and a block of rounds that is unstable as a whole is measured
once more. The decision is pure: it reads a session and names the next step.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ledger.events.calibrations import DestructiveValue, PlannedMetric
from projections.calibration.session import Session, Unit
from projections.calibration.worst_of_n import is_complete, is_finite

Z_LIMIT = 3.5
MAD_TO_SIGMA = 1.4826
GAP_FRACTION = 0.20
SPLIT_FRACTION = 0.50
OBSERVATIONS_MIN = 5
ROUNDS_MAX = 15
REJECTED_MAX = 2  # three or more rejected rounds discard the block


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What to do with a unit once the rounds so far are observed.

    step: `measure` (rounds in `repeats` are still to be observed), `reject` (the rounds in
    `evidence`), `discard` (the block in `repeats`, because of `reason`), `flag` (keep everything, with
    `reason`), or `done`.
    """

    step: str
    repeats: tuple[int, ...] = ()
    evidence: Mapping[int, Sequence[DestructiveValue]] = msgspec.field(default_factory=dict)
    reason: str = ""


def destructive_values(
    stage: str, metric: PlannedMetric, values: Mapping[int, float | None]
) -> dict[int, DestructiveValue]:
    """Return the rounds whose value of one metric is destructive, with the numbers that say so.

    A value is destructive when its robust z (distance from the median over 1.4826 x MAD) exceeds 3.5
    **and** its gap to the nearest other value is at least 20 % of the median of the rest **and** that
    gap exceeds what the display resolves (10^-digits / scale). A value that is not finite always is.
    With fewer than five finite values only the latter is judged.
    """
    resolution = resolution_of(metric)
    finite = {k: float(v) for k, v in values.items() if v is not None and math.isfinite(v)}
    condemned = {k: _not_a_number(stage, metric.key, resolution) for k in values if k not in finite}
    if len(finite) < OBSERVATIONS_MIN:
        return condemned
    centre = statistics.median(finite.values())
    mad = statistics.median(abs(v - centre) for v in finite.values())
    for repeat, value in finite.items():
        rest = [v for k, v in finite.items() if k != repeat]
        rest_median = statistics.median(rest)
        gap = min(abs(value - other) for other in rest)
        distance = abs(value - centre)
        z = distance / (MAD_TO_SIGMA * mad) if mad > 0 else (math.inf if distance > 0 else 0.0)
        if z > Z_LIMIT and gap >= GAP_FRACTION * abs(rest_median) and gap > resolution:
            condemned[repeat] = DestructiveValue(
                stage=stage,
                metric=metric.key,
                value=value,
                robust_z=z if math.isfinite(z) else None,
                gap=gap,
                gap_fraction=gap / abs(rest_median) if rest_median else None,
                median_of_rest=rest_median,
                resolution=resolution,
            )
    return condemned


def is_degenerate(values: Iterable[float | None], *, resolution: float) -> bool:
    """Whether a sample is two populations: at least two values each, half a median apart or more.

    A split no wider than the display resolution does not count as one: a count that is sometimes 1 and
    sometimes 2 is one population.
    """
    ordered = sorted(v for v in values if is_finite(v) and v is not None)
    if len(ordered) < OBSERVATIONS_MIN:
        return False
    limit = SPLIT_FRACTION * abs(statistics.median(ordered))
    splits = (ordered[i] - ordered[i - 1] for i in range(2, len(ordered) - 1))
    return any(split > resolution and split >= limit for split in splits)


def resolution_of(metric: PlannedMetric) -> float:
    """The smallest step of a raw value that the display shows: 10^-digits / scale."""
    return float(10.0**-metric.digits / abs(float(metric.scale) or 1.0))


def judge_unit(session: Session, unit: Unit) -> Judgement:
    """Decide the next step of a unit, in the order: measure what is missing, judge, replace.

    Rounds of one block: the indices after the discarded ones. The target is the asked repeats plus
    two for each rejected round, never beyond fifteen rounds in all.
    """
    repeats = session.required(unit.keys[0])
    cap = max(ROUNDS_MAX, repeats)
    discarded = sorted(r for name, r in session.discarded if name == unit.name)
    first = max(discarded, default=0) + 1
    rejected = [r for name, r in session.rejected if name == unit.name and r >= first]
    target = min(repeats + 2 * len(rejected), cap - (first - 1))
    wanted = range(first, first + target)
    observed = [r for r in wanted if _observed(session, unit, r)]
    if len(observed) < target:
        return Judgement(step="measure", repeats=tuple(r for r in wanted if r not in observed))
    if unit.name in session.flagged or unit.name in session.settled or not _judges(session):
        return Judgement(step="done")
    return _judge_block(session, unit, observed, rejected, restarted=bool(discarded))


def _judge_block(session: Session, unit: Unit, block: list[int], rejected: list[int], *, restarted: bool) -> Judgement:
    evidence, degenerate = _evidence(session, unit, block)
    condemned = sorted({*evidence, *rejected})
    reason = ""
    if len(condemned) > REJECTED_MAX:
        reason = f"{len(condemned)} destructive rounds of {len(block)}"
    elif degenerate:
        reason = f"two populations in {degenerate}"
    elif len(block) - len(condemned) < session.plan.repeats and _at_cap(session, block):
        reason = f"no {session.plan.repeats} clean rounds within {ROUNDS_MAX}"
    if reason and not restarted and block[-1] + session.plan.repeats <= ROUNDS_MAX:
        return Judgement(step="discard", repeats=tuple(block), reason=reason)
    if reason:
        return Judgement(step="flag", repeats=tuple(block), reason=reason)
    fresh = {r: values for r, values in evidence.items() if r not in rejected}
    if fresh:
        return Judgement(step="reject", repeats=tuple(sorted(fresh)), evidence=fresh)
    return Judgement(step="done")


def _evidence(session: Session, unit: Unit, block: Sequence[int]) -> tuple[dict[int, list[DestructiveValue]], str]:
    evidence = _physical(session, unit, block)
    degenerate = ""
    for stage in unit.stages:
        for metric in stage.metrics:
            if not metric.configured:
                continue
            values = {r: session.observations[stage.key, r].metrics.get(metric.key) for r in block}
            for repeat, why in destructive_values(stage.key, metric, values).items():
                evidence.setdefault(repeat, []).append(why)
            if not degenerate and is_degenerate(values.values(), resolution=resolution_of(metric)):
                degenerate = f"{stage.key}.{metric.key}"
    return evidence, degenerate


def _physical(session: Session, unit: Unit, block: Sequence[int]) -> dict[int, list[DestructiveValue]]:
    """Rounds whose GPUs were unwell in a way that the plan says to reject, whatever the values look like."""
    found: dict[int, list[DestructiveValue]] = {}
    stage = unit.keys[0]  # the doubts are those of the pytest run, the same for every stage of it
    for repeat in block:
        for doubt in session.observations[stage, repeat].suspect:
            code = doubt.partition(":")[0]
            if code in session.plan.reject_when:
                found.setdefault(repeat, []).append(
                    DestructiveValue(
                        stage=stage,
                        metric=code,
                        value=None,
                        robust_z=None,
                        gap=None,
                        gap_fraction=None,
                        median_of_rest=None,
                        resolution=0.0,
                        reason=doubt,
                    )
                )
    return found


def _observed(session: Session, unit: Unit, repeat: int) -> bool:
    """Whether every stage of the unit has an observation that can be judged.

    A value that is not finite is one: it is measured, and condemned by the rule.
    """
    for stage in unit.stages:
        seen = session.observations.get((stage.key, repeat))
        if seen is None or not set(seen.commits) <= session.accepted_commits:
            return False
        if is_complete(stage, seen):
            continue
        if not (_judges(session) and seen.not_finite and seen.status == "ok"):
            return False
    return True


def _judges(session: Session) -> bool:
    return session.plan.destructive_rejection and session.plan.repeats >= OBSERVATIONS_MIN


def _at_cap(session: Session, block: Sequence[int]) -> bool:
    return block[-1] >= max(ROUNDS_MAX, session.plan.repeats)


def _not_a_number(stage: str, metric: str, resolution: float) -> DestructiveValue:
    return DestructiveValue(
        stage=stage,
        metric=metric,
        value=None,
        robust_z=None,
        gap=None,
        gap_fraction=None,
        median_of_rest=None,
        resolution=resolution,
    )
