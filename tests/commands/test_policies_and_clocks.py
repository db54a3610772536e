"""Clocks order no policy: in force is the one that replaced the other, on every machine (issue 13, T8)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger import identifiers
from ledger.event import Event, NewEvent
from ledger.identifiers import MICROSECONDS, format_time, parse_time
from ledger.ledger import Ledger
from ledger.log import chain
from projections.state.state import State
from tests.conftest import Result
from tests.ledger.samples import add_line, result

YEAR = 365 * 86_400 * MICROSECONDS
DAY = 86_400 * MICROSECONDS
KINDS = ("metric", "ci")


class Machine:
    """A ledger folder whose clock is `off` microseconds from the real one, and the remote that it shares."""

    def __init__(self, world: World, name: str, off: int) -> None:
        self.world, self.name, self.off = world, name, off
        self.folder = world.root / name
        self.folder.mkdir()
        self("init", "--origin", name)
        self.ledger = Ledger.open(self.folder / ".perfledger")

    def __call__(self, *arguments: Any, code: int | None = 0) -> Any:
        """Run a command at this machine's time; return what it says as JSON."""
        with self.at_its_time():
            done = self.world.call(*arguments, "--json", cwd=self.folder, code=code)
        return done.json if done.out.strip() else {}

    def adopt(self, kind: str, name: str) -> Any:
        """Adopt the policy of a name."""
        file = self.world.policy(kind, name)
        return self(*(["ci"] if kind == "ci" else []), "policy", "adopt", file, "--reason", "r")

    def in_force(self, kind: str) -> str | None:
        """The name of the policy in force."""
        rows = self.rows(f"SELECT name FROM policies WHERE kind = '{kind}' AND current")
        return rows[0]["name"] if rows else None

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Ask the state at this machine's time; `sql` has a process of its own, with the real time."""
        with self.at_its_time(), State.open(self.ledger) as state:
            return state.rows(query)

    @contextlib.contextmanager
    def at_its_time(self) -> Iterator[None]:
        """Let this machine's clock tell the time."""
        real = identifiers.clock
        with self.world.patch.context() as patch:
            patch.setattr(identifiers, "clock", lambda: real() + self.off)
            yield

    def sync(self) -> None:
        """Push what is new here, and pull what others pushed."""
        remote = f"file://{self.world.root}/remote"
        self("sync", "push", "--remote", remote, "--create")
        self("sync", "pull", "--remote", remote)


class World:
    """The machines, and the policy files that they adopt."""

    def __init__(self, root: Path, call: Callable[..., Result], patch: pytest.MonkeyPatch) -> None:
        self.root, self.call, self.patch = root, call, patch

    def policy(self, kind: str, name: str) -> Path:
        """A policy file of a name, unlike every other."""
        path = self.root / f"{kind}-{name}.yaml"
        if kind == "metric":
            path.write_text(f"name: {name}\nwindow: {5 + sum(map(ord, name)) % 50}\n")
        else:
            from commands.ci.chosen import load
            from projections.ci.policy import as_data

            path.write_text(json.dumps({**as_data(load("fastvideo-page").policy), "name": name}))
        return path


@pytest.fixture
def world(tmp_path: Path, in_process: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, in_process, monkeypatch)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "off", [-30 * YEAR, -1 * YEAR, DAY // 2], ids=["30 years back", "a year back", "half a day on"]
)
def test_in_force_is_the_policy_that_replaced_the_other_whatever_the_clocks_say(
    world: World, kind: str, off: int
) -> None:
    here, there = Machine(world, "here", 0), Machine(world, "there", off)
    for first, second in ((here, there), (there, here)):
        earlier, later = f"{first.name}-first", f"{second.name}-second"
        assert first.adopt(kind, earlier)["in_force"]["name"] == earlier
        first.sync()
        second.sync()
        assert second.in_force(kind) == earlier
        told = second.adopt(kind, later)
        assert told["in_force"]["name"] == later and told["in_force"]["rivals"] == []
        second.sync()
        first.sync()
        assert [machine.in_force(kind) for machine in (first, second)] == [later, later]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("off", [-30 * YEAR, DAY // 2], ids=["30 years back", "half a day on"])
def test_of_two_that_replaced_the_same_one_the_same_holds_everywhere_and_the_doctor_says_so(
    world: World, kind: str, off: int
) -> None:
    here, there = Machine(world, "here", 0), Machine(world, "there", off)
    here.adopt(kind, "common")
    here.sync()
    there.sync()
    for machine in (here, there):
        machine.adopt(kind, f"of-{machine.name}")
    for machine in (here, there, here, there):
        machine.sync()
    names = {machine.in_force(kind) for machine in (here, there)}
    assert len(names) == 1 and names < {"of-here", "of-there"}
    checks = {check["name"]: check for check in here("doctor", "--fast", code=None)["checks"]}
    assert checks["policies"]["state"] == "warn" and "of-here" in checks["policies"]["message"]
    assert "of-there" in checks["policies"]["message"]

    loser = next(machine for machine in (here, there) if f"of-{machine.name}" not in names)
    told = loser.adopt(kind, "settled")
    assert told["in_force"]["name"] == "settled" and len(told["replaces_events"]) == 2
    for machine in (loser, here, there, here):
        machine.sync()
    assert {machine.in_force(kind) for machine in (here, there)} == {"settled"}
    assert {c["name"]: c for c in here("doctor", "--fast", code=None)["checks"]}["policies"]["state"] == "ok"


@pytest.mark.parametrize("kind", KINDS)
def test_a_policy_from_the_year_2106_does_not_win_for_ever(world: World, kind: str) -> None:
    here, there = Machine(world, "here", 0), Machine(world, "there", 80 * YEAR)
    here.adopt(kind, "mine")
    there.adopt(kind, "of-2106")
    for machine in (there, here):
        machine.sync()
    told = here.adopt(kind, "newer")
    assert told["in_force"]["name"] == "newer" and len(told["replaces_events"]) == 2
    for machine in (here, there):
        machine.sync()
        assert machine.in_force(kind) == "newer"


def test_events_from_the_future_are_left_aside_until_their_time_and_said(world: World) -> None:
    here, there = Machine(world, "here", 0), Machine(world, "there", 80 * YEAR)
    here.ledger.append([result(1)])
    with there.at_its_time():
        there.ledger.append([result(n) for n in range(5)])
    there.sync()
    here.sync()
    count = "SELECT count(*) AS n FROM results"
    assert here.rows(count) == [{"n": 1}]
    assert here("sql", count, "--format", "json") == [{"n": 1}]
    known = [event.position for event in here.ledger.read(origin="there")]
    rows = here.rows("SELECT origin, position, reason, counts_from FROM unread_events ORDER BY position")
    assert [row["position"] for row in rows] == known
    assert {(row["origin"], row["reason"]) for row in rows} == {("there", "from_the_future")}
    own = list(here.ledger.read(origin="here", types=["ResultRecorded"]))
    assert here.ledger.read_stream("target/model-a@GPU") == own
    about = {check["name"]: check for check in here("doctor", "--fast", code=None)["checks"]}["unread events"]
    assert about["state"] == "warn" and f"{len(known)} from the future from there" in about["message"]
    here("verify")
    here("replay", "--check")

    here.off = 80 * YEAR + DAY
    assert here.rows(count) == [{"n": 6}]
    assert not here.rows("FROM unread_events")
    assert len(here.rows("SELECT * FROM results(as_of := TIMESTAMPTZ '2090-01-01')")) == 1


@pytest.mark.parametrize(("ahead", "follows"), [(DAY // 2, True), (2 * DAY, False), (80 * YEAR, False), (-DAY, True)])
def test_a_pull_moves_the_clock_forward_by_at_most_a_day(world: World, ahead: int, follows: bool) -> None:
    here, there = Machine(world, "here", 0), Machine(world, "there", ahead)
    there.sync()
    here.sync()
    newest = max(event.recorded_at for event in here.ledger.read(origin="there"))
    pulled = next(event for event in here.ledger.read(origin="here", types=["EventsPulled"]))
    assert (pulled.recorded_at > newest) is follows
    assert parse_time(pulled.recorded_at) <= identifiers.clock() + DAY


def test_adoptions_of_earlier_versions_follow_each_other_in_recorded_order_and_are_replaced_by_name(
    ledger: Ledger,
) -> None:
    for number, name in enumerate(["first", "second"]):
        body = {"digest": str(number) * 64, "name": name, "policy": {}, "reason": "r", "sha256": ""}
        _write_as_version_1(ledger, body)
    assert _current(ledger) == ["second"]
    from ledger.events.policies import MetricPolicyAdopted

    with State.open(ledger) as state:
        from projections.state.succession import successor

        replaces, number = successor(state, "metric")
    assert len(replaces) == 1 and number == 1
    third = MetricPolicyAdopted(
        name="third",
        policy={"window": 5},
        digest="0" * 64,
        sha256="",
        reason="r",
        replaces_events=replaces,
        number=number,
    )
    ledger.append([NewEvent(stream="policy/metrics", payload=third)])
    assert _current(ledger) == ["third"]


def _current(ledger: Ledger) -> list[str]:
    with State.open(ledger) as state:
        return [row["name"] for row in state.rows("SELECT name FROM metric_policies WHERE current")]


def _write_as_version_1(ledger: Ledger, body: dict[str, Any]) -> None:
    head = ledger.head()
    versions = [event.version for event in ledger.read(stream="policy/metrics")]
    body = {**body, "policy": {"window": 5}}
    event = Event(
        actor="old",
        causation_id=None,
        correlation_id=None,
        event_id=f"0190a0a0-0000-7000-8000-{head.position:012d}",
        git_sha=None,
        hash="",
        host="old",
        key=None,
        origin=ledger.origin,
        payload=msgspec.Raw(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()),
        position=head.position + 1,
        prev_hash=head.hash,
        recorded_at=format_time(head.recorded_us + 1),
        schema_version=1,
        stream="policy/metrics",
        type="MetricPolicyAdopted",
        version=len(versions) + 1,
    )
    add_line(ledger.log.journal_path, chain.link(event))
