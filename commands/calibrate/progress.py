"""How far a run is and when it will probably end, for a person at a terminal."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from commands.cli import streams
from projections.calibration.audit import readiness
from projections.calibration.session import Session, units_of

if TYPE_CHECKING:
    from commands.cli.app import App
    from projections.calibration.current import CurrentSession


class Progress(msgspec.Struct, frozen=True):
    """Repeats of pytest done and planned, and the seconds the rest will probably take (None: nothing measured yet)."""

    done: int
    total: int
    left_s: float | None

    def line(self, now: datetime) -> str:
        """`[====----] 6/10 repeats, about 24 min left, until 14:05`."""
        width = 20
        filled = width * self.done // self.total if self.total else width
        bar = "=" * filled + "-" * (width - filled)
        text = f"[{bar}] {self.done}/{self.total} repeats"
        if self.done >= self.total or self.left_s is None:
            return text
        end = now + timedelta(seconds=self.left_s)
        clock = f"{end:%H:%M}" if end.date() == now.date() else f"{end:%a %H:%M}"
        return f"{text}, about {_spoken(self.left_s)} left, until {clock}"


def progress(session: Session) -> Progress:
    """Estimate from what was measured: a unit's own median duration, else the median over all units."""
    missing = [(cell.stage_key, cell.run) for cell in readiness(session).missing]
    durations: dict[str, list[float]] = {}
    left: dict[str, int] = {}
    total = 0
    for unit in units_of(session.plan):
        required = session.required(unit.keys[0])
        total += required
        stages = set(unit.keys)
        # one pytest run serves every stage of a unit; a shortfall of a rejected round has no number yet
        rounds = {run for stage, run in missing if stage in stages and run is not None}
        unnumbered = max((sum(s == key and run is None for s, run in missing) for key in stages), default=0)
        left[unit.name] = min(required, len(rounds) + unnumbered)
        seen = {o.repeat: o.duration_s for o in session.observations.values() if o.stage in stages and o.duration_s}
        durations[unit.name] = [value for value in seen.values() if value]
    everything = [value for values in durations.values() for value in values]
    seconds = None
    if everything:
        usual = statistics.median(everything)
        each = {name: statistics.median(values) if values else usual for name, values in durations.items()}
        seconds = sum(count * each[name] for name, count in left.items())
    return Progress(total - sum(left.values()), total, seconds)


def after_each_repeat(app: App, current: CurrentSession, share: Callable[[], None]) -> Callable[[], None]:
    """What a run calls when a repeat is over: share its events, and on a terminal say when the run will end."""
    visible = sys.stderr.isatty() and not app.quiet

    def called() -> None:
        share()
        seen = current.refresh() if visible else None
        if seen is not None:
            # to the terminal alone: run.log holds milestones, and an estimate is not one
            streams.note(progress(seen).line(datetime.now().astimezone()))

    return called


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
