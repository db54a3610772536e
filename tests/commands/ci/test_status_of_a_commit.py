"""The statuses of a commit and its aggregates at every moment, against a second computation from the page's sentence.

"It takes the latest state of every context of the commit (each context counts once), groups them by prefix
(`microscope-*` fastcheck; `test-tube-*`, `bar-chart-*` full suite) and posts ... success when every entry of the group
is success." The strict aggregate also demands every lane that the change should have started (docs/ci.md).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from ledger.event import Event, NewEvent
from ledger.events.checks import ChangeObserved, CheckReported
from ledger.ledger import Ledger
from projections.ci.policy import Policy
from tests.commands.ci.test_lanes_of_the_page import starts

Invoke = Callable[..., Any]
SHA, OTHER = "a" * 40, "b" * 40
PREFIXES = {
    "fastcheck": ("buildkite/ci/microscope-",),
    "full": ("buildkite/ci/test-tube-", "buildkite/ci/bar-chart-"),
}
CHANGES = [["fastvideo-kernel/a.cu"], ["README.md"], ["fastvideo/models/vaes/x.py"]]


def life(policy: Policy, chance: random.Random) -> list[NewEvent]:
    """Reports of two commits, some late, some twice, some without a time of their own; and what one changes."""
    contexts = [lane.context for lane in policy.lanes if lane.tier] + ["pre-commit", "other/x"]
    few = chance.sample(contexts, 5)
    found: list[NewEvent] = []
    for _ in range(chance.randrange(8, 16)):
        sha = SHA if chance.random() < 0.85 else OTHER
        if chance.random() < 0.12:
            payload: Any = ChangeObserved(sha=sha, files=chance.choice(CHANGES))
        else:
            minute, second = chance.randrange(3), chance.randrange(3)
            payload = CheckReported(
                sha=sha,
                context=chance.choice(few),
                state=chance.choices(["success", "pending", "failure", "error", "skipped"], [80, 8, 6, 3, 3])[0],
                remote_id=chance.randrange(3),
                reported_at=chance.choice([f"2026-06-01T10:0{minute}:0{second}.000000Z", None]),
            )
        found.append(NewEvent(stream=f"check/{sha}", payload=payload))
    return found


def latest(events: list[Event]) -> dict[str, str]:
    """Each context's latest state: by the reporter's own time, then its number, then the order of recording."""
    newest: dict[str, tuple[Any, str]] = {}
    for event in events:
        body = event.body()
        if event.type == "CheckReported" and body["sha"] == SHA:
            key = (body["reported_at"] or event.recorded_at, body["remote_id"], event.position)
            if body["context"] not in newest or key > newest[body["context"]][0]:
                newest[body["context"]] = (key, body["state"])
    return {context: state for context, (_, state) in newest.items()}


def changed(events: list[Event]) -> list[str] | None:
    """The last word on what the commit changes, None when nobody said."""
    words = [e.body()["files"] for e in events if e.type == "ChangeObserved" and e.body()["sha"] == SHA]
    return list(words[-1]) if words else None


def observed(states: dict[str, str], tier: str) -> str:
    """The older aggregate: of what was reported in the group."""
    group = [state for context, state in states.items() if context.startswith(PREFIXES[tier])]
    if any(state not in ("success", "pending") for state in group):
        return "failure"
    return "success" if group and all(state == "success" for state in group) else "pending"


def strict_fastcheck(policy: Policy, states: dict[str, str], files: list[str] | None) -> str:
    """The aggregate that counts: also every fastcheck lane that the change should have started."""
    context = {lane.test_type: lane.context for lane in policy.lanes if lane.tier == "fastcheck"}
    group = {c: state for c, state in states.items() if c.startswith(PREFIXES["fastcheck"])}
    if any(state not in ("success", "pending") for state in group.values()):
        return "failure"
    if files is None:
        return "pending"
    needed = {context[lane] for lane in starts(files)}
    return "success" if needed <= set(group) and all(state == "success" for state in group.values()) else "pending"


@pytest.mark.parametrize("seed", range(8))
def test_a_commit_is_what_was_reported_of_it_now_and_at_every_earlier_moment(
    invoke: Invoke, ledger: Ledger, page: Policy, seed: int
) -> None:
    ledger.append(life(page, random.Random(f"status/{seed}")))
    events = list(ledger.read())
    chance = random.Random(seed)
    for position in [len(events), *chance.sample(range(1, len(events)), 3)]:
        known = events[:position]
        states, files = latest(known), changed(known)
        done = invoke("ci", "status", SHA, "--as-of", f"{position}@testbed", "--json")
        found = done.json
        assert {c["context"]: c["state"] for c in found["contexts"]} == states
        assert found["changed_files"] == files
        for tier, modes in found["aggregates"].items():
            assert modes["observed"]["state"] == observed(states, tier), (tier, states)
        assert found["aggregates"]["fastcheck"]["strict"]["state"] == strict_fastcheck(page, states, files)
        failed = any(modes["strict"]["state"] == "failure" for modes in found["aggregates"].values())
        assert done.code == (5 if not states and files is None else int(failed))


@pytest.fixture
def page() -> Policy:
    """The policy of the contributor page."""
    from tests.projections.ci.conftest import shipped

    return shipped("fastvideo-page")


@pytest.mark.parametrize("seed", range(4))
def test_what_is_missing_is_what_the_change_starts_and_nobody_reported(
    invoke: Invoke, ledger: Ledger, page: Policy, seed: int
) -> None:
    ledger.append(life(page, random.Random(f"missing/{seed}")))
    ledger.append([NewEvent(stream=f"check/{SHA}", payload=ChangeObserved(sha=SHA, files=CHANGES[seed % 3]))])
    found = invoke("ci", "status", SHA[:9], "--json").json
    lanes = invoke("ci", "lanes", *(w for f in CHANGES[seed % 3] for w in ("--changed", f)), "--json", code=0).json
    needed = {lane["context"] for lane in lanes["lanes"]}
    assert set(found["missing"]) == needed - {c["context"] for c in found["contexts"]}
    assert found["sha"] == SHA


def test_the_beginning_of_two_commits_is_refused_and_neither_is_guessed(invoke: Invoke, ledger: Ledger) -> None:
    for end in "01":
        words = ("--sha", "c" * 39 + end, "--context", "x", "--state", "success")
        invoke("ci", "report", *words, code=0)
    assert invoke("ci", "status", "cccc", "--json", code=2).json["error"]["code"] == "ambiguous_sha"
    assert invoke("ci", "status", "c" * 39 + "1", "--json", code=0).json["sha"] == "c" * 39 + "1"
