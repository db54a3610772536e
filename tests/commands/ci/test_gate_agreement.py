"""The relation `merge_gate` is what `gate` decides: on any history, at any moment."""

from __future__ import annotations

import msgspec
import pytest

from commands.ci.status import read
from ledger.event import NewEvent
from ledger.events.checks import CheckReported
from ledger.events.policies import CiPolicyAdopted
from ledger.ledger import Ledger
from projections.ci import history
from projections.ci.gate import judge
from projections.ci.policy import Policy, as_data, digest, regexes
from projections.state.state import State
from tests.commands.ci.conftest import random_life
from tests.projections.ci.conftest import shipped


def adopt(policy: Policy) -> NewEvent:
    return NewEvent(
        stream="policy/ci",
        payload=CiPolicyAdopted(
            name=policy.name,
            digest=digest(policy),
            policy=as_data(policy),
            path="test",
            sha256="0" * 64,
            reason="test",
            globs=regexes(policy),
        ),
    )


def policy_for(seed: int) -> Policy:
    policy = shipped(["fastvideo-page", "fastvideo-2026-08"][seed % 2])
    if seed % 3 == 0:
        policy = msgspec.structs.replace(policy, aggregates="observed")
    if seed % 4 == 0:
        policy = msgspec.structs.replace(policy, passing_states=["success", "skipped", "neutral"])
    if seed % 5 == 0:
        rules = [
            msgspec.structs.replace(
                rule,
                advisory=False,
                optional=seed % 2 == 0 or rule.kind != "context",
                at_least=2 if rule.kind == "approvals" else 1,
            )
            for rule in policy.merge.conditions
        ]
        policy = msgspec.structs.replace(policy, merge=msgspec.structs.replace(policy.merge, conditions=rules))
    return policy


@pytest.mark.parametrize("seed", range(8))
def test_the_relation_tells_every_condition_as_the_gate_does_now_and_at_any_earlier_moment(
    ledger: Ledger, seed: int
) -> None:
    policy = policy_for(seed)
    receipts = []
    for event in [adopt(policy), *random_life(policy, seed)]:
        receipts += ledger.append([event])
    for moment in (None, receipts[20].event_id, receipts[55].recorded_at):
        with State.open(ledger, as_of=moment) as state:
            rows = state.rows("SELECT number, condition, met, mergeable, policy_digest FROM merge_gate")
            numbers = {row["number"] for row in rows}
            assert numbers
            for number in numbers:
                verdict = judge(policy, history.of_pull(state, "o/r", number))
                told = {row["condition"]: row["met"] for row in rows if row["number"] == number}
                assert told == {c.id: c.met for c in verdict.conditions}, (seed, moment, number)
                assert {row["mergeable"] for row in rows if row["number"] == number} == {verdict.mergeable}
        assert {row["policy_digest"] for row in rows} == {digest(policy)}


def test_the_checks_view_is_the_latest_state_of_the_pure_rule(ledger: Ledger) -> None:
    policy = shipped("fastvideo-page")
    ledger.append(random_life(policy, 99, count=300))
    with State.open(ledger) as state:
        rows = state.rows("SELECT sha, context, state, event_id, report_count FROM checks")
        assert len({row["sha"] for row in rows}) > 1
        for sha in {row["sha"] for row in rows}:
            contexts, _, _ = read(policy, history.of_commits(state, [sha]))
            told = {r["context"]: (r["state"], r["event_id"], r["report_count"]) for r in rows if r["sha"] == sha}
            assert told == {c.context: (c.state, c.event_id, c.report_count) for c in contexts.values()}


def test_a_status_of_another_commit_never_counts(ledger: Ledger) -> None:
    policy = shipped("fastvideo-page")
    head, other = "a" * 40, "b" * 40
    contexts = {lane.context for lane in policy.lanes if lane.tier}
    ledger.append(
        [
            NewEvent(stream=f"check/{other}", payload=CheckReported(sha=other, context=context, state="success"))
            for context in sorted(contexts)
        ]
    )
    with State.open(ledger) as state:
        assert set(read(policy, history.of_commits(state, [other]))[0]) == contexts
        found, totals, _ = read(policy, history.of_commits(state, [head]))
    assert found == {}
    assert {a.state for modes in totals.values() for a in modes.values()} == {"pending"}


def test_a_rebuilt_state_equals_the_live_one(ledger: Ledger) -> None:
    for event in random_life(shipped("fastvideo-page"), 5, count=40):
        ledger.append([event])
        if event.stream.endswith("a"):
            State.open(ledger).close()
    with State.open(ledger) as state:
        live = state.export()
    (ledger.path / "state.duckdb").unlink(missing_ok=True)
    for file in ledger.path.glob("state*"):
        if file.is_file():
            file.unlink()
    with State.open(ledger) as state:
        assert state.export() == live
