"""Numbers as options take them: whole ones that fit 64 bits, and others that are finite. NaN passes every bound."""

from __future__ import annotations

import math
from typing import Any

import click

WHOLE_MAX = 2**63 - 1  # what the log, the engine and Python's own containers hold
SECONDS_MAX = 1e9  # some 30 years; the system's clocks take no more than about ten times that


class Whole(click.IntRange):
    """A whole number from `least` up. One that 64 bits do not hold is refused as any other wrong value is."""

    def __init__(self, least: int) -> None:
        super().__init__(least)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number. Fails as click's own types do."""
        number: int = super().convert(value, param, ctx)
        if number > WHOLE_MAX:
            self.fail(f"{value} is too large.", param, ctx)
        return number


class Finite(click.FloatRange):
    """A number from `least` to `most`, neither infinite nor NaN. Without `most` it is a time of at most 1e9 seconds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number. Fails as click's own types do."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        if self.max is None and number > SECONDS_MAX:
            self.fail(f"{value} is too large.", param, ctx)
        return number
