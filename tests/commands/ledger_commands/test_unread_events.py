"""No event can stop a query: what this version cannot read is passed over, counted and named (issue 13, T3)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from ledger.errors import Conflict
from ledger.event import Event, EventType, NewEvent
from ledger.events.baselines import BaselinePinned
from ledger.events.origins import EventsPulled
from ledger.ledger import Ledger
from ledger.log import segment
from projections.state import catalogue
from projections.state.state import State
from tests.conftest import Result
from tests.ledger import spoilt
from tests.ledger.samples import result
from tests.ledger.spoilt import Spoilt

Call = Callable[..., Result]

NAMED = {"session": "s1", "calibration": "s1", "reseed": "r1", "target": "model-a@GPU", "repository": "o/r"}
STREAMS = {
    "reseeds": "reseed/r1",
    "calibrations": "calibration/s1",
    "observations": "calibration/s1",
    "thresholds": "calibration/s1",
    "results": "target/model-a@GPU",
    "baselines": "target/model-a@GPU",
    "policies": "policy/ci",
    "checks": "pull/o/r/1",
}
COMMANDS: dict[str, list[str]] = {
    "check": ["check", "record.json"],
    "sql": ["sql", "SELECT * FROM results"],
    "sql of every payload": ["sql", "SELECT count(payload->>'reason') AS n FROM events WHERE unread IS NULL"],
    "replay": ["replay"],
    "replay --check": ["replay", "--check"],
    "reseed list": ["reseed", "list"],
    "reseed show": ["reseed", "show", "r1"],
    "ci status": ["ci", "status", "--repo", "o/r"],
    "ci policy": ["ci", "policy", "list"],
    "calibrate list": ["calibrate", "list"],
    "calibrate audit": ["calibrate", "audit", "s1"],
    "calibrate status": ["calibrate", "status", "s1"],
    "baseline list": ["baseline", "list"],
    "policy": ["policy", "show"],
    "explain": ["explain", "model-a@GPU"],
    "events list": ["events", "list", "--json"],
    "sync status": ["sync", "status"],
}


# What another origin's events add to, whatever they are.
OF_EVERY_EVENT = {"events", "origins", "unread_events"}


def stream_of(one: Spoilt) -> str:
    """The stream in which a healthy event of the type would stand, where this ledger has events too."""
    kind = {kind.name: kind for kind in spoilt.every_type()}.get(one.type)
    return STREAMS.get(kind.payload.__module__.rpartition(".")[2], "origin/b") if kind else "dream/b"


@pytest.fixture
def here(tmp_path: Path) -> Ledger:
    """A ledger with results, a pinned baseline, and a record to check."""
    ledger = Ledger.create(tmp_path / ".perfledger", origin="a", actor="a@example.org")
    ledger.append([result(n) for n in range(6)])
    pin = BaselinePinned(target="model-a@GPU", name="v1", medians={"latency": 28.0}, result_event_ids=[], reason="r")
    ledger.append([NewEvent(stream="target/model-a@GPU", payload=pin)])
    record = {"model_id": "model-a", "gpu_type": "GPU", "latency": 28.0, "timestamp": "2026-06-02T00:00:00Z"}
    (tmp_path / "record.json").write_text(json.dumps({**record, "success": True}))
    return ledger


def answers(call: Call) -> dict[str, tuple[int, str]]:
    """Exit code and output of every command."""
    found = {name: call(*arguments) for name, arguments in COMMANDS.items()}
    return {name: (one.code, one.err if one.code == 70 else "") for name, one in found.items()}


def everything(ledger: Ledger) -> dict[str, Counter[str]]:
    """The rows of every view and computed relation that is not of every event."""
    found = {}
    with State.open(ledger) as state:
        for name in sorted({*catalogue.about(), *catalogue.facts()} - OF_EVERY_EVENT):
            rows = state.rows(f"SELECT * FROM {name}")
            found[name] = Counter(json.dumps(row, sort_keys=True) for row in rows if row.get("origin") != "b")
    return found


def unread(ledger: Ledger) -> dict[str, str]:
    """What the view says: the reason by event id."""
    with State.open(ledger) as state:
        return {row["event_id"]: row["reason"] for row in state.rows("SELECT event_id, reason FROM unread_events")}


def elsewhere(path: Path, bad: Iterable[Spoilt]) -> tuple[Ledger, list[Event]]:
    """Another machine's ledger, whose log goes on with these events."""
    other = Ledger.create(path / ".perfledger", origin="b", actor="b@example.org")
    other.seal()
    made = spoilt.chained("b", ((stream_of(one), one) for one in bad), after=next(other.read()))
    spoilt.put(other, made)
    return other, made


def adopted_as_they_are(ledger: Ledger, events: list[Event], first: Event) -> None:
    """Put another origin's log beside ours as an earlier version's pull did, which looked at the chain alone."""
    folder = ledger.path / "log" / "b"
    folder.mkdir()
    (folder / segment.file_name(1)).write_bytes(segment.encode([first, *events]))
    pulled = EventsPulled(
        from_origin="b", first=1, last=events[-1].position, head_hash=events[-1].hash, remote="file:///r"
    )
    ledger.append([NewEvent(stream="origin/b", payload=pulled)])


def test_no_event_of_a_newer_peer_or_of_the_wrong_shape_stops_a_command_or_changes_an_answer(
    here: Ledger, in_process: Call, tmp_path: Path
) -> None:
    bad = [*spoilt.unknown_ones(), *(one for kind in spoilt.every_type() for one in spoilt.canonical_ones(kind))]
    other, made = elsewhere(tmp_path / "elsewhere", bad)
    remote = f"file://{tmp_path}/remote"
    in_process("sync", "push", "--remote", remote, "--create", "--ledger", other.path, code=0)
    codes, before = answers(in_process), everything(here)
    in_process("sync", "pull", "--remote", remote, code=0)

    assert unread(here) == {event.event_id: one.reason for event, one in zip(made, bad, strict=True)}
    after = everything(here)
    assert {name for name in before if before[name] - after[name] or after[name] - before[name]} <= PULLED
    assert answers(in_process) == codes
    in_process("verify", code=0)
    told = in_process("doctor", "--json").json
    about = next(check for check in told["checks"] if check["name"] == "unread events")
    assert about["state"] == "warn" and str(len(made)) in about["message"] and "b" in about["message"]


def test_payloads_that_are_no_json_at_all_stop_nothing_either(here: Ledger, in_process: Call, tmp_path: Path) -> None:
    bad = [one for kind in spoilt.every_type() for one in spoilt.other_ones(kind)]
    other, made = elsewhere(tmp_path / "elsewhere", bad)
    codes, before = answers(in_process), everything(here)
    adopted_as_they_are(here, made, next(other.read()))

    assert unread(here) == {event.event_id: "bad_payload" for event in made}
    after = everything(here)
    assert {name for name in before if before[name] - after[name] or after[name] - before[name]} <= PULLED
    assert answers(in_process) == codes


def healthy(kind: EventType) -> Spoilt:
    payload = json.dumps(spoilt.sample(kind.payload, NAMED)).encode()
    return Spoilt(kind.name, kind.schema_version, payload, "", f"{kind.name} with a text in every field of text")


def test_payloads_that_say_nothing_sensible_in_fields_of_the_right_type_stop_nothing(
    here: Ledger, in_process: Call, tmp_path: Path
) -> None:
    """A class cannot say that a text is a time. Whatever a projection cannot take is passed over like the rest."""
    odd = [healthy(kind) for kind in spoilt.every_type()]
    other, made = elsewhere(tmp_path / "elsewhere", odd)
    codes = answers(in_process)
    adopted_as_they_are(here, made, next(other.read()))
    now = answers(in_process)
    assert {name for name, (code, _) in now.items() if code not in (0, 1, 3)} <= {
        name for name, (code, _) in codes.items() if code not in (0, 1, 3)
    }
    with State.open(here) as state:
        everything(here)
        assert state.rows("SELECT count(*) AS n FROM unread_events")[0]["n"] < len(made) / 10


def test_own_events_of_a_newer_version_are_passed_over_like_those_of_others(here: Ledger, in_process: Call) -> None:
    codes, before = answers(in_process), everything(here)
    bad = [next(iter(spoilt.canonical_ones(kind))) for kind in spoilt.every_type()]
    here.seal()
    last = list(here.read())[-1]
    made = spoilt.chained("a", ((f"newer/{one.type}", one) for one in bad), after=last)
    spoilt.put(here, made)
    assert unread(here) == {event.event_id: "newer_schema" for event in made}
    after = everything(here)
    assert {name for name in before if before[name] - after[name] or after[name] - before[name]} == {"fact_unread"}
    assert answers(in_process) == codes


def test_a_decision_is_not_refused_for_an_own_event_that_this_version_cannot_read(here: Ledger) -> None:
    stream = "target/model-a@GPU"
    position = max(event.position for event in here.read(stream=stream))
    here.seal()
    one = next(iter(spoilt.canonical_ones(next(k for k in spoilt.every_type() if k.name == "BaselinePinned"))))
    spoilt.put(here, spoilt.chained("a", [(stream, one)], after=list(here.read())[-1]))
    here = Ledger.open(here.path)
    here.append([result(9)], seen={stream: position})
    with pytest.raises(Conflict, match="position 10"):
        here.append([result(10)], seen={stream: position})


PULLED = {"fact_pull", "fact_unread"}
