"""How seeds move the medians: for `check`, and for the dataset's other readers where theirs differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from commands.reseed.work.windows import Standing, Windows
from ledger.events.reseeds import BackedUp, OtherReaders
from projections.reseed.medians import Medians, moves

READERS_WINDOW = 5  # the performance CI takes the last five, whatever our policy says


@dataclass(frozen=True)
class Moved:
    """A target's windows `now`, without the seeds that are taken back (`base`), and with the new ones (`after`)."""

    now: Windows
    base: Windows
    after: Windows
    seeds: Sequence[tuple[str, bytes]]

    def moves(self) -> dict[str, Medians]:
        """Return the medians of `check` after 1, 2, ... seeds."""
        return _moves(self.base.check, self.after.check, self._paths, self.now.size)

    def readers(self) -> OtherReaders | None:
        """Return what the other readers of the dataset see; None where it is what `check` sees."""
        theirs = OtherReaders(
            old=self.now.readers_medians,
            candidate=self.after.readers_medians,
            will_move_median=_moves(self.base.readers, self.after.readers, self._paths, READERS_WINDOW),
            window=standing(self.now.readers),
        )
        same = (
            theirs.window == standing(self.now.check)
            and theirs.candidate == self.after.medians
            and all(theirs.will_move_median.get(n) == medians for n, medians in self.moves().items())
        )
        return None if same else theirs

    def warnings(self) -> list[str]:
        """Return a line where seeds would not enter the baseline: then they move nothing."""
        found = []
        for who, window, size in (
            ("check", self.after.check, self.now.size),
            ("the other readers of the dataset", self.after.readers, READERS_WINDOW),
        ):
            there = len({s.path for s in window} & self._paths)
            expected = min(len(self._paths), size)
            if there < expected:
                found.append(f"{there} of {expected} seeds enter the window of {who}")
        return found

    @property
    def _paths(self) -> set[str]:
        return {path for path, _ in self.seeds}


def standing(window: Sequence[Standing]) -> list[BackedUp]:
    """Return a window as events name it."""
    return [BackedUp(path=s.path, sha256=s.sha256) for s in window]


def _moves(base: Sequence[Standing], after: Sequence[Standing], seeds: set[str], size: int) -> dict[str, Medians]:
    return moves([s.metrics for s in base], [s.metrics for s in after if s.path in seeds], size)
