"""Which events a listing has, against a filter written once more, over generated logs of two machines."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.event import Event, NewEvent
from ledger.events.checks import ChangeObserved, CheckReported
from ledger.ledger import Ledger

Cli = Callable[..., Any]
ACTORS = ["ada@example.org", "bob@example.org"]
STREAMS = ["check/a", "check/ab", "check/b", "other/a"]


def grown(path: Path, origin: str, chance: random.Random) -> Ledger:
    """A ledger with events of two people in a few streams, sealed somewhere in between."""
    Ledger.create(path, origin=origin, actor=ACTORS[0])
    for _ in range(4):
        ledger = Ledger.open(path, actor=chance.choice(ACTORS))
        ledger.append([event(chance) for _ in range(chance.randrange(1, 5))])
        if chance.random() < 0.4:
            ledger.seal()
    return Ledger.open(path)


def event(chance: random.Random) -> NewEvent:
    """One of two kinds of events."""
    payload: Any = ChangeObserved(sha="a" * 40, files=["x"])
    if chance.random() < 0.7:
        payload = CheckReported(sha="a" * 40, context="c", state="success")
    return NewEvent(stream=chance.choice(STREAMS), payload=payload)


def options(chance: random.Random, events: list[Event]) -> dict[str, str]:
    """Some filters, with values that hit and values that miss."""
    values = {
        "--stream": [*STREAMS, "check/*", "check/a*", "*", "nothing"],
        "--type": ["CheckReported", "ChangeObserved", "ResultJudged"],
        "--actor": [*ACTORS, "nobody"],
        "--since": [chance.choice(events).recorded_at, "2001-01-01"],
        "--until": [chance.choice(events).recorded_at, "2099-01-01"],
        "--origin": [chance.choice(events).origin],
    }
    return {name: chance.choice(values[name]) for name in chance.sample(sorted(values), chance.randrange(4))}


def picked(events: list[Event], wanted: dict[str, str]) -> list[Event]:
    """The events that all filters let through: since is included, until is not, a last * stands for a beginning."""

    def fits(one: Event) -> bool:
        stream = wanted.get("--stream", "*")
        return (
            (one.stream.startswith(stream[:-1]) if stream.endswith("*") else one.stream == stream)
            and one.type == wanted.get("--type", one.type)
            and one.actor == wanted.get("--actor", one.actor)
            and one.origin == wanted.get("--origin", one.origin)
            and one.recorded_at >= wanted.get("--since", "")
            and one.recorded_at < wanted.get("--until", "9999")
        )

    return [one for one in events if fits(one)]


@pytest.mark.parametrize("seed", range(4))
def test_a_listing_an_export_and_a_tail_have_the_events_that_all_filters_let_through(
    in_process: Cli, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(f"picking/{seed}")
    ledger = grown(tmp_path, "here", chance)
    events = list(ledger.read())
    for _ in range(8):
        wanted = options(chance, events)
        words = list(itertools.chain.from_iterable(wanted.items()))
        expected = [one.event_id for one in picked(events, wanted)]
        out = in_process("events", "list", *words, "--json", code=0).out
        assert [json.loads(line)["event_id"] for line in out.splitlines()] == expected, wanted
        exported = in_process("events", "export", *words, code=0).out
        assert [json.loads(line)["event_id"] for line in exported.splitlines()] == expected, wanted
        last = in_process("events", "tail", "--no-follow", "-n", "3", *words, "--json", code=0).out
        assert [json.loads(line)["event_id"] for line in last.splitlines()] == expected[-3:], wanted
        some = in_process("events", "list", "-n", "2", *words, code=0).out
        assert len(some.splitlines()) == min(2, len(expected))


@pytest.mark.parametrize("seed", range(2))
def test_events_of_another_machine_are_known_from_the_pull_that_brought_them(
    in_process: Cli, tmp_path: Path, seed: int
) -> None:
    """`--as-of`: as this ledger knew it then. `--as-recorded`: what had happened by then, as known now."""
    chance = random.Random(f"pulled/{seed}")
    there, here = grown(tmp_path / "there", "there", chance), grown(tmp_path / "here", "here", chance)
    share = (tmp_path / "share").as_uri()
    in_process("sync", "push", "--remote", share, "--create", cwd=tmp_path / "there", code=0)
    before = here.head().position
    in_process("sync", "pull", "--remote", share, cwd=tmp_path / "here", code=0)
    theirs = list(here.read(origin="there"))
    assert {one.event_id for one in theirs} <= {one.event_id for one in there.read()} and theirs

    def known(*moment: str) -> list[str]:
        out = in_process("events", "list", *moment, "--json", cwd=tmp_path / "here", code=0).out
        return [json.loads(line)["event_id"] for line in out.splitlines()]

    own = list(here.read(origin="here"))
    assert set(known("--as-of", f"{before}@here")) == {one.event_id for one in own[:before]}
    assert {one.event_id for one in theirs} <= set(known())
    middle = theirs[len(theirs) // 2]
    happened = [one for one in [*own, *theirs] if one.recorded_at <= middle.recorded_at]
    assert set(known("--as-recorded", middle.recorded_at)) == {one.event_id for one in happened}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--since", "noon"), "bad_time"),
        (("--until", ""), "usage"),
        (("--since", ""), "usage"),
        (("--origin", ""), "usage"),
        (("--stream", ""), "usage"),
        (("--actor", ""), "usage"),
        (("--origin", "nobody"), "no_such_origin"),
        (("--type", "Nothing"), "no_such_type"),
        (("-n", "0"), "usage"),
        (("--as-of", "noon"), "bad_time"),
    ],
)
def test_a_filter_that_cannot_be_one_is_refused_before_anything_is_printed(
    in_process: Cli, ledger: Ledger, words: tuple[str, ...], code: str
) -> None:
    done = in_process("events", "list", *words, "--json", code=2)
    assert done.json["error"]["code"] == code and done.json["error"]["message"]
    assert in_process("events", "list", *words, code=2).out == ""
