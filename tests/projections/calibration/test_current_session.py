"""A session that is carried on is the session a fold from the beginning makes, whatever arrives and in what order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.adoption import adopt
from ledger.event import EventPayload, NewEvent
from ledger.events.calibrations import (
    BlockDiscarded,
    CalibrationEnded,
    CalibrationHalted,
    CalibrationPlanned,
    CalibrationResumed,
    Plan,
    RepeatImported,
    RepeatPurged,
    RoundRejected,
    RunFileVanished,
    UnitFlagged,
)
from ledger.events.observations import RepeatInterrupted, RepeatStarted
from ledger.ledger import Ledger
from projections.calibration.current import CurrentSession
from projections.calibration.fold import fold
from projections.calibration.session import Session
from tests.projections.calibration.story import COMMIT, Story, observation, share, stage

STREAM = "calibration/story"
PLAN = Plan(model="m", stages=[stage("s")], repeats=5, run_dir="/runs/x", calibration_git_sha=COMMIT)
UNIT = "test_a_ci"


def _started(repeat: int) -> RepeatStarted:
    return RepeatStarted(
        unit=UNIT,
        repeat=repeat,
        attempt=1,
        stages=["s"],
        repeat_id=f"r{repeat}",
        host="h",
        boot_id="b",
        log="/l",
        basetemp="/b",
        command=[],
    )


def _imported(repeat: int) -> RepeatImported:
    return RepeatImported(session="story", stage="s", repeat=repeat, sha256=f"{repeat}", status="ok", git_sha=COMMIT)


# each kind of event the fold knows how to take in, for a round
EVENTS: dict[str, Callable[[int], EventPayload]] = {
    "planned": lambda _: CalibrationPlanned(session="story", plan=PLAN),
    "started": _started,
    "interrupted": lambda r: RepeatInterrupted(unit=UNIT, repeat=r, repeat_id=f"r{r}", by="SIGINT"),
    "observed": lambda r: observation(r, [share("s", float(r))]),
    "imported": _imported,
    "vanished": lambda r: RunFileVanished(session="story", stage="s", repeat=r, sha256=f"{r}"),
    "purged": lambda r: RepeatPurged(session="story", unit=UNIT, repeat=r, reason="asked for", stages=["s"]),
    "rejected": lambda r: RoundRejected(session="story", unit=UNIT, repeat=r, stages=["s"], evidence=[]),
    "discarded": lambda r: BlockDiscarded(session="story", unit=UNIT, repeats=[r], stages=["s"], reason="two"),
    "flagged": lambda _: UnitFlagged(session="story", unit=UNIT, stages=["s"], reason="unstable"),
    "halted": lambda r: CalibrationHalted(session="story", unit=UNIT, repeat=r, stages=["s"], cause="no metrics"),
    "resumed": lambda r: CalibrationResumed(
        session="story", git_sha=f"{r}" * 40, dirty=False, stages=["s"], resumed_at="", equivalent=r > 2
    ),
    "ended": lambda r: CalibrationEnded(session="story", complete=False, ok=r, total=5, passes=1),
}

machine = st.integers(0, 1)
step = st.one_of(
    st.tuples(st.just("append"), machine, st.sampled_from(sorted(EVENTS)), st.integers(1, 4)),
    st.tuples(st.just("elsewhere"), machine),  # an event of another stream
    st.tuples(st.just("seal"), machine),
    st.tuples(st.just("pull"), machine),
)


class Machine:
    """One ledger, and the session that it carries on."""

    def __init__(self, folder: Path, name: str) -> None:
        self.ledger = Ledger.create(folder / name, origin=name, actor="a")
        self.current = CurrentSession(self.ledger, "story")

    def append(self, *payloads: EventPayload, stream: str = STREAM) -> None:
        # as another process would: the ledger that follows has not seen it before it reads
        other = Ledger.open(self.ledger.path, actor="a")
        other.append([NewEvent(stream=stream, payload=payload) for payload in payloads])

    def pull(self, other: Machine) -> None:
        other.ledger.seal()
        adopt(self.ledger, other.ledger.origin, other.ledger.log.segment_paths(), remote="/shared")

    def fresh(self) -> Session | None:
        """The session as a fold from the beginning has it, in the order that `recorded_order` is about."""
        events = sorted(self.ledger.read(stream=STREAM), key=lambda e: (e.recorded_at, e.origin, e.position))
        return fold(events, own_origin=self.ledger.origin)


@settings(max_examples=20, deadline=None)
@given(steps=st.lists(step, min_size=4, max_size=16))
def test_the_carried_session_is_a_fresh_fold_after_every_step(steps: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        both = Machine(Path(folder), "alpha"), Machine(Path(folder), "beta")
        both[0].append(EVENTS["planned"](1))
        both[1].pull(both[0])
        for kind, which, *rest in steps:
            mine, other = both[which], both[1 - which]
            if kind == "append":
                mine.append(EVENTS[rest[0]](rest[1]))
            elif kind == "elsewhere":
                mine.append(_started(1), stream="calibration/another")
            elif kind == "seal":
                mine.ledger.seal()
            else:
                mine.pull(other)
            for each in both:
                assert each.current.refresh() == each.fresh(), (kind, which, *rest)


def test_an_event_that_arrives_late_is_folded_in_its_place(tmp_path: Path) -> None:
    alpha, beta = Machine(tmp_path, "alpha"), Machine(tmp_path, "beta")
    alpha.append(EVENTS["planned"](1))
    beta.pull(alpha)
    beta.append(EVENTS["purged"](1))  # of an earlier measurement, as far as this machine can know
    alpha.append(EVENTS["observed"](1))
    alpha.current.refresh()
    assert alpha.current.session.rounds("s") == [1]
    alpha.pull(beta)
    alpha.current.refresh()
    assert alpha.current.session.rounds("s") == [1], "it was measured after that purge"
    assert [p.repeat for p in alpha.current.session.purged] == [1]
    assert alpha.current.session == alpha.fresh()


def test_what_is_no_plan_folds_into_no_session(ledger: Ledger) -> None:
    current = CurrentSession(ledger, "story")
    assert current.refresh() is None
    ledger.append([NewEvent(stream=STREAM, payload=_started(1))])
    assert current.refresh() is None
    ledger.append([NewEvent(stream=STREAM, payload=EVENTS["planned"](1))])
    assert current.refresh() is not None and current.session.running == {}


def test_only_rounds_without_an_end_are_running(ledger: Ledger) -> None:
    story = Story(ledger, stage("a"))
    story.append(_started(1), _started(3), _started(1), _started(2))
    story.observe(2)
    assert list(story.session.running) == [(UNIT, 3), (UNIT, 1)], "a later attempt ends the earlier one"
    story.append(RepeatInterrupted(unit=UNIT, repeat=3, repeat_id="r3", by="SIGINT"))
    assert list(story.session.running) == [(UNIT, 1)]
