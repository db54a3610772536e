"""How often a pass of `calibrate run` reads and folds the events of its own stream: once each, however many there are.

What is counted is each event decoded from a journal or a segment, and each one folded. The repeats are recorded as the
runner records them, without pytest; deciding, following and projecting are the command's own. One size runs once more
with the log sealed after every repeat, as a push beside the run does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.log import QUICK
from benchmarks.start import print_rows
from commands.calibrate.config.model import ModelConfig
from commands.calibrate.measuring.loop import Measuring, Settings
from commands.calibrate.measuring.run_planning import Place
from commands.calibrate.run_directory import RunDirectory
from ledger.event import Event, EventPayload, NewEvent
from ledger.events.calibrations import CalibrationPlanned, Plan, PlanContinued, PlannedMetric, PlannedStage
from ledger.events.observations import RepeatObserved, RepeatStarted, StageObservation
from ledger.ledger import Ledger
from ledger.log import chain, segment
from projections.calibration import fold
from projections.calibration.audit import readiness
from projections.calibration.current import CurrentSession
from projections.calibration.session import STREAM_PREFIX, Session, Unit, plan_in_parts

EVENTS = (24, 240) if QUICK else (24, 240, 2_400)
REPEATS = 3
EVENTS_OF_A_REPEAT = 2  # it is started, it is observed
COMMIT = "a5abacd5334c743c81fcd0426628876333bd10f0"
DECODED_LIMIT, FOLDED_LIMIT = 1.1, 1.0  # the journal holds a few events of other streams


@dataclass
class Counts:
    """Events decoded from journals and segments, and events folded into a session."""

    decoded: int = 0
    folded: int = 0


@contextmanager
def counted() -> Iterator[Counts]:
    """Count what this process decodes and folds in the meantime. The functions that do it are counted, not replaced."""
    counts = Counts()
    parse_line, read, evolve = chain.parse_line, segment.read, fold.evolve

    def parsing(*given: Any, **named: Any) -> list[Event] | None:
        found = parse_line(*given, **named)
        counts.decoded += len(found or [])
        return found

    def reading(*given: Any, **named: Any) -> list[Event]:
        found = read(*given, **named)
        counts.decoded += len(found)
        return found

    def evolving(*given: Any, **named: Any) -> Session | None:
        counts.folded += 1
        return evolve(*given, **named)

    _count_by(parsing, reading, evolving)
    try:
        yield counts
    finally:
        _count_by(parse_line, read, evolve)


def _count_by(parse_line: Callable[..., Any], read: Callable[..., Any], evolve: Callable[..., Any]) -> None:
    vars(chain)["parse_line"], vars(segment)["read"], vars(fold)["evolve"] = parse_line, read, evolve


class Recorded(Measuring):
    """A measuring that records what the runner would: that a repeat was started, and what it observed."""

    def _observe(self, unit: Unit, repeat: int, gpus: int) -> RepeatObserved:
        assert gpus == 0, gpus
        seen = observed(unit, repeat)
        for payload in (started(unit, repeat), seen):
            self.ledger.append([NewEvent(stream=self.session.stream, payload=payload, git_sha=COMMIT)])
        return seen


def measure(folder: Path, events: int, *, sealing: bool = False) -> tuple[Counts, int]:
    """Let a pass measure a session of about so many events. Return what was counted, and how many there are.

    sealing: seal the log after each repeat; what that reads is not of the pass, a push has a process of its own.
    """
    ledger = Ledger.create(folder, origin="bench", actor="bench")
    directory = RunDirectory(folder / "run")
    plan = planned(events // (EVENTS_OF_A_REPEAT * REPEATS), directory)
    whole, parts = plan_in_parts(plan)
    payloads: list[EventPayload] = [CalibrationPlanned(session="bench", plan=whole)]
    payloads += [PlanContinued(session="bench", part=n, stages=stages) for n, stages in enumerate(parts, 1)]
    ledger.append([NewEvent(stream=f"{STREAM_PREFIX}bench", payload=payload) for payload in payloads])
    model = ModelConfig(name="bench", path=folder / "config.yaml")
    place = Place(ledger=ledger, directory=directory, root=folder, model=model, host=None)

    def seal() -> None:
        before = counts.decoded
        ledger.seal()
        counts.decoded = before

    share = seal if sealing else nothing
    with counted() as counts:
        current = CurrentSession(ledger, "bench")
        current.refresh()
        measuring = Recorded(place, current, Settings(python="python"), nothing, share)
        measuring.run(frozenset(current.session.stages), resumed=False)
    assert readiness(current.session).complete
    return counts, sum(1 for _ in ledger.read(stream=current.stream))


def nothing(*_: object) -> None:
    """Do nothing with a milestone line, or after a repeat."""


def main(*sizes: int) -> list[dict[str, Any]]:
    """Count at each size and return the rows."""
    chosen = sizes or EVENTS
    return [line for size in chosen for line in _rows(size)] + _rows(chosen[-1], sealing=True)


def _rows(size: int, *, sealing: bool = False) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        counts, events = measure(Path(folder), size, sealing=sealing)
    name = f"a pass over {size:,} events{', sealed after each repeat' if sealing else ''}"
    against = f"the {events:,} events of its stream"
    return [
        _row(f"events read, {name}", counts.decoded, of=events, against=against, limit=DECODED_LIMIT),
        _row(f"events folded, {name}", counts.folded, of=events, against=against, limit=FOLDED_LIMIT),
    ]


def _row(name: str, value: int, *, of: int, against: str, limit: float) -> dict[str, Any]:
    ratio = value / of
    return {
        "name": name,
        "value": value,
        "unit": "events",
        "ratio": round(ratio, 3),
        "against": against,
        "limit": limit,
        "ok": ratio <= limit,
    }


def planned(units: int, directory: RunDirectory) -> Plan:
    """Return a plan of so many units of one stage."""
    stages = [
        PlannedStage(
            key=f"stage_{n:04d}",
            test=f"tests/test_{n:04d}_ci.py",
            title=f"stage {n}",
            group="speed",
            metrics=[
                PlannedMetric(
                    key="qps", source="QPS_MIN", worst="min", label="qps", json_file="r.json", json_path="qps"
                )
            ],
            sample_columns=False,
        )
        for n in range(units)
    ]
    return Plan(model="bench", stages=stages, repeats=REPEATS, run_dir=str(directory.path), calibration_git_sha=COMMIT)


def started(unit: Unit, repeat: int) -> RepeatStarted:
    """Return what is recorded when a repeat begins."""
    return RepeatStarted(
        unit=unit.name,
        repeat=repeat,
        attempt=1,
        stages=list(unit.keys),
        repeat_id=f"{unit.name}-{repeat}",
        host="bench",
        boot_id="bench",
        log="/r/run.log",
        basetemp="/r/basetemp",
        command=["python", "-m", "pytest", unit.test],
    )


def observed(unit: Unit, repeat: int) -> RepeatObserved:
    """Return what is recorded when a repeat has passed."""
    shares = [
        StageObservation(stage=key, status="ok", reason="", metrics={"qps": 10 + repeat / 10}, sample_counts={})
        for key in unit.keys
    ]
    return RepeatObserved(
        unit=unit.name,
        repeat=repeat,
        repeat_id=f"{unit.name}-{repeat}",
        test=unit.test,
        stages=shares,
        pytest_rc=0,
        attempts=1,
        attempt_history=[],
        duration_s=1.0,
        recorded_at="2026-06-27T12:03:11Z",
        git_sha=COMMIT,
        git_sha_start=COMMIT,
        dirty=False,
        diff_sha256=None,
        host="bench",
        gpu_indices=[],
        gpu_uuids=[],
        telemetry=[],
        telemetry_sha256=None,
        environment=None,
        log="/r/run.log",
        basetemp="/r/basetemp",
        log_sha256=None,
        results={},
    )


if __name__ == "__main__":
    print_rows(main())
