"""The number `apply` writes for a measured worst value, by the rule of the metric's group.

A written lower bound is never above what was measured, an upper bound never below. Rounding is done
on the decimal digits of the value, not on its binary fraction, so that writing what a file already
says changes nothing (0.0119 stays 0.0119).
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from commands.calibrate.config.metrics import WriteRule
from commands.calibrate.config.stages import WorstOp

_FOUR_DECIMALS = Decimal("0.0001")
_WHOLE = Decimal(1)


def write_value(
    worst: float | None, *, rule: WriteRule, worst_op: WorstOp, digits: int, count: bool
) -> int | float | None:
    """Return the raw value to write, or None when nothing was measured.

    `raw`: the worst value itself. `ceil4`: rounded at 4 decimals to the loose side. `ceil`: to a
    whole number on the loose side. `rounded`: `round(worst, digits)`, unless that is stricter than
    the worst value, then the worst value. A `count` is always a whole number.
    """
    if worst is None:
        return None
    if count or rule == "ceil":
        return int(_loosened(worst, _WHOLE, worst_op))
    if rule == "raw":
        return worst
    if rule == "ceil4":
        return float(_loosened(worst, _FOUR_DECIMALS, worst_op))
    rounded = round(worst, digits)
    return worst if is_stricter(rounded, than=worst, worst_op=worst_op) else rounded


def is_stricter(value: float, *, than: float, worst_op: WorstOp) -> bool:
    """Whether a bound would fail the value it is compared with."""
    return value > than if worst_op == "min" else value < than


def _loosened(worst: float, step: Decimal, worst_op: WorstOp) -> Decimal:
    side = ROUND_CEILING if worst_op == "max" else ROUND_FLOOR
    # repr gives the shortest digits that are this value: the number a person would read
    return Decimal(repr(worst)).quantize(step, rounding=side)


def percent_change(old: int | float | None, new: int | float | None) -> float | None:
    """Return the signed change as a fraction of the old value; None from nothing or from zero."""
    if old is None or new is None or old == 0:
        return None
    return (new - old) / abs(old)
