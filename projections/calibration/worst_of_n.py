"""Strict cells and worst-of-N: which repeats of a stage count, and the worst value they saw.

The rules are those of the existing calibration tool's strict audit, made stricter where its own
contract asks for it: a value that is not finite is never strict, a metric that the schema reads but
the run file lacks is not strict, and the recorded status must be `ok`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

import msgspec

from ledger.events.calibrations import PlannedStage
from projections.calibration.session import Observation, Session

STRICT = "✓"
PARTIAL = "△"
FAILED = "✗"
ABSENT = "—"
DESTRUCTIVE = "D"


class MetricWorst(msgspec.Struct, frozen=True, kw_only=True):
    """Worst-of-N of one metric of one stage. Values are raw, `repeats` the rounds they come from."""

    stage: str
    metric: str
    worst_op: str
    repeats: tuple[int, ...]
    values: tuple[float, ...]
    worst_raw: float | None


def strict_cell(stage: PlannedStage, seen: Observation | None, *, set_aside: bool = False) -> str:
    """Return the sign of one stage and repeat, by the first rule that holds.

    * no observation: `—`; on record but set aside as destructive: `D`
    * not readable, no metrics, a value null or not finite, a configured metric absent: `✗`
    * a configured sample count null: `✗`; fewer answered than asked: `△`
    * another number of samples than the schema expects: `✗`; a status other than `ok`: `✗`
    * else `✓`

    A documentation stage (no metrics in the schema) is `✓` when its status is `ok`. A stage whose
    schema configures no sample counts is judged without them; the audit says so beside it.
    """
    if seen is None:
        return ABSENT
    if set_aside or seen.destructive or seen.block_discarded:
        return DESTRUCTIVE
    if not seen.readable:
        return FAILED
    if not stage.is_docs and not _metrics_whole(stage, seen):
        return FAILED
    total, ok = seen.samples_total, seen.samples_ok
    if stage.counted and (total is None or ok is None):
        return FAILED
    if total is not None and ok is not None:
        if ok != total:
            return PARTIAL
        if stage.expected_samples is not None and total != stage.expected_samples:
            return FAILED
    return STRICT if seen.status == "ok" else FAILED


def is_complete(stage: PlannedStage, seen: Observation | None) -> bool:
    """Whether the scheduler may skip this repeat: everything the schema can read was read.

    Unlike the strict cell, metrics that need configuration are not asked for: measuring them again
    would bring nothing.
    """
    if seen is None or not seen.readable or seen.status != "ok":
        return False
    required = required_metrics(stage)
    whole = required <= seen.metrics.keys() and all_finite(seen.metrics.values())
    # a metric that is null and not required does not count against the repeat
    if not whole and not all_finite(seen.metrics.get(key) for key in required):
        return False
    if stage.counted:
        if seen.samples_total is None or seen.samples_total != seen.samples_ok:
            return False
        if stage.expected_samples is not None and seen.samples_total != stage.expected_samples:
            return False
    return True


def missing_reason(stage: PlannedStage, seen: Observation | None) -> str:
    """Say why a repeat is not complete, in the words `status` uses.

    A partial repeat names its counts: the existing tool shows `ok` there, the status of a test that
    passed on the samples it answered.
    """
    if seen is None:
        return "missing file"
    if not seen.readable:
        return "corrupt json"
    total, ok = seen.samples_total, seen.samples_ok
    expected = stage.expected_samples
    if expected is not None and total is not None and total == ok and total != expected:
        return f"sample scope mismatch (total {total} != expected {expected})"
    if stage.counted and total is not None and ok is not None and total != ok:
        return f"partial samples (ok {ok} of {total})"
    if seen.not_finite:
        return "not finite: " + ", ".join(f"{k} {v}" for k, v in sorted(seen.not_finite.items()))
    if seen.reason:
        return seen.reason
    return seen.status if seen.status not in ("", "ok") else "incomplete metrics"


def metric_worst(session: Session, stage: PlannedStage, metric_key: str) -> MetricWorst:
    """Worst-of-N over the rounds of a stage that count; values that are null or not finite are left out."""
    op = next(m.worst for m in stage.metrics if m.key == metric_key)
    repeats: list[int] = []
    values: list[float] = []
    for repeat in counted_rounds(session, stage.key):
        value = session.observations[stage.key, repeat].metrics.get(metric_key)
        if is_finite(value):
            assert value is not None
            repeats.append(repeat)
            values.append(value)
    return MetricWorst(
        stage=stage.key,
        metric=metric_key,
        worst_op=op,
        repeats=tuple(repeats),
        values=tuple(values),
        worst_raw=worst(values, op),
    )


def counted_rounds(session: Session, stage: str) -> list[int]:
    """The observed rounds of a stage that are not set aside, ascending."""
    return [r for r in session.rounds(stage) if not session.set_aside(stage, r)]


def worst(values: Iterable[float], worst_op: str) -> float | None:
    """The minimum for a lower bound (`min`), the maximum for an upper one (`max`); None of nothing."""
    assert worst_op in ("min", "max"), worst_op
    known = list(values)
    if not known:
        return None
    return min(known) if worst_op == "min" else max(known)


def direction(worst_op: str, old: float | None, new: float | None) -> str:
    """Say what replacing the threshold `old` by `new` does, from its bound.

    A lower bound that rises and an upper bound that falls `tightens`; the reverse `loosens`;
    less than 1e-12 apart is `equal`; with either side unknown it is `unknown`.
    """
    if old is None or new is None:
        return "unknown"
    if abs(new - old) < 1e-12:
        return "equal"
    return "tightens" if (new > old) == (worst_op == "min") else "loosens"


def is_finite(value: float | None) -> bool:
    """Whether a value is a number that was measured."""
    return value is not None and math.isfinite(value)


def all_finite(values: Iterable[float | None]) -> bool:
    """Whether every value is a finite number; true of nothing.

    NaN and infinities survive a sum, so one sum asks all of them at once; only a sum that overflows
    needs a second look.
    """
    known = list(values)
    if None in known:
        return False
    numbers = cast("list[float]", known)
    return math.isfinite(sum(numbers)) or all(map(math.isfinite, numbers))


def required_metrics(stage: PlannedStage) -> frozenset[str]:
    """The metrics of a stage that its schema can read."""
    known = _REQUIRED.get(id(stage))
    if known is not None and known[0] is stage:
        return known[1]
    keys = frozenset(m.key for m in stage.metrics if m.configured)
    if len(_REQUIRED) >= REMEMBERED_MAX:
        _REQUIRED.clear()
    _REQUIRED[id(stage)] = (stage, keys)
    return keys


# a stage is immutable and asked once per repeat: remember what it requires
REMEMBERED_MAX = 4096
_REQUIRED: dict[int, tuple[PlannedStage, frozenset[str]]] = {}


def _metrics_whole(stage: PlannedStage, seen: Observation) -> bool:
    if not seen.metrics or not all_finite(seen.metrics.values()):
        return False
    return required_metrics(stage) <= seen.metrics.keys()
