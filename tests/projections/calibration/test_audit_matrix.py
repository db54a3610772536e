"""The relations `audit_matrix`, `provenance` and `calibrations` give the audit's answers, for any history."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.events.calibrations import (
    BlockDiscarded,
    PlanContinued,
    RepeatsSettled,
    RoundRejected,
    RunFileVanished,
    UnitFlagged,
)
from ledger.ledger import Ledger
from projections.calibration.audit import readiness
from projections.calibration.fold import evolve
from projections.calibration.session import Session
from projections.console.query import Question, ask
from projections.state.state import State
from tests.projections.calibration.story import COMMIT, OTHER, Story, metric, share, stage

STAGES = (
    stage("a", metric("throughput_qps"), metric("rtf_mean", "max", configured=False), expected_samples=10),
    stage("b", counted=False),
    stage("d", docs=True),
)

shares = st.fixed_dictionaries(
    {
        "metrics": st.dictionaries(st.sampled_from(["throughput_qps", "rtf_mean"]), st.sampled_from([1.0, None])),
        "total": st.sampled_from([10, 12, None]),
        "ok": st.sampled_from([10, 9, None]),
        "status": st.sampled_from(["ok", "failed"]),
    }
)
repeats = st.integers(1, 4)
commits = st.sampled_from([COMMIT, OTHER, ""])
steps = st.one_of(
    st.tuples(st.just("observe"), repeats, st.tuples(shares, shares, shares), commits),
    st.tuples(st.just("file"), repeats, shares, commits, st.booleans(), st.booleans()),
    st.tuples(st.sampled_from(["purge", "reject", "discard", "vanish"]), repeats),
    st.tuples(st.just("flag")),
    st.tuples(st.just("settle")),
)


def tell(story: Story, step: tuple[Any, ...]) -> None:
    """Append what one step says."""
    keys = ["a", "b", "d"]
    match step:
        case ("observe", repeat, values, sha):
            story.observe(repeat, *(share(k, **v) for k, v in zip(keys, values, strict=True)), sha=sha)
        case ("file", repeat, v, sha, readable, destructive):
            story.import_file(
                "a",
                repeat,
                metrics=v["metrics"],
                samples_total=v["total"],
                samples_ok=v["ok"],
                status=v["status"],
                git_sha=sha,
                readable=readable,
                destructive=destructive,
            )
        case ("purge", repeat):
            story.purge(repeat)
        case ("reject", repeat):
            story.append(RoundRejected(session="story", unit="test_a_ci", repeat=repeat, stages=keys, evidence=[]))
        case ("discard", repeat):
            story.append(BlockDiscarded(session="story", unit="test_a_ci", repeats=[repeat], stages=keys, reason="r"))
        case ("vanish", repeat):
            story.append(RunFileVanished(session="story", stage="a", repeat=repeat, sha256="x"))
        case ("settle",):
            story.append(
                RepeatsSettled(
                    session="story",
                    unit="test_a_ci",
                    stages=keys,
                    repeats=1,
                    planned=2,
                    risk=0.0,
                    allowed=0.05,
                    alpha=0.05,
                    saved_gpu_s=0.0,
                )
            )
        case ("flag",):
            story.append(UnitFlagged(session="story", unit="test_a_ci", stages=keys, reason="r"))


def step_by_step(story: Story) -> Session | None:
    """The session one event at a time, as a run follows it."""
    session = None
    for event in story.ledger.read_stream(story.stream):
        session = evolve(session, event, own_origin=story.ledger.origin)
    return session


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, max_size=14))
def test_sql_and_audit_agree_on_every_cell_and_on_provenance(history: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        story = Story(Ledger.create(Path(folder), origin="o", actor="t"), *STAGES, repeats=2)
        for step in history:
            tell(story, step)
        result = readiness(story.session)
        assert step_by_step(story) == story.session
        with State.open(story.ledger) as state:
            cells = state.rows("""SELECT stage, string_agg(cell, '' ORDER BY "repeat") AS cells FROM audit_matrix
                                  GROUP BY stage, number ORDER BY number""")
            verdicts = state.rows("SELECT stage, \"repeat\", verdict FROM provenance WHERE verdict <> 'ok'")
            summary = state.rows("FROM calibrations")
    assert [(r["stage"], r["cells"]) for r in cells] == [(s.stage, s.cells) for s in result.stages]
    proof = result.provenance
    named = {line.split(":")[0] for line in proof.mismatches} | set(proof.missing)
    assert {f"{r['stage']}/run{r['repeat']}" for r in verdicts} == named
    assert (summary[0]["strict_stages"], summary[0]["provenance_ok"]) == (result.strict_ready, proof.ok)


def cells(ledger: Ledger, *, as_of: str | None = None, as_recorded: str | None = None) -> Any:
    """The cells of every round and every round that is kept, as a console answers them."""
    query = """SELECT string_agg(cell, '' ORDER BY "repeat") AS cells,
                      (SELECT string_agg("repeat", ' ' ORDER BY "repeat") FROM calibration_rounds) AS kept,
                      (SELECT count(*) FROM events WHERE type = 'RepeatObserved') AS observed FROM audit_matrix"""
    sink = io.BytesIO()
    ask(ledger.path, Question(query, as_of=as_of, as_recorded=as_recorded), sink)
    return json.loads(sink.getvalue())


@pytest.mark.parametrize("sealed", [False, True])
def test_the_relations_answer_as_of_any_moment_also_beside_the_log_itself(ledger: Ledger, sealed: bool) -> None:
    story = Story(ledger, stage("s"), repeats=2).observe(1)
    before = ledger.read_stream(story.stream)[-1]
    if sealed:
        ledger.seal()
    story.observe(2).purge(1)
    assert cells(ledger) == [{"cells": "—✓", "kept": "2", "observed": 2}]
    then = [{"cells": "✓—", "kept": "1", "observed": 1}]
    assert cells(ledger, as_of=before.event_id) == cells(ledger, as_recorded=before.recorded_at) == then


def test_a_round_keeps_the_columns_of_what_measured_it(ledger: Ledger) -> None:
    values = {"throughput_qps": 1.5, "rtf_mean": None}
    story = Story(ledger, stage("s"), repeats=2).observe(1, share("s", metrics=values), git_sha_start=OTHER)
    story.import_file("s", 2, pytest_rc=1, destructive=True)
    (measured, imported) = ledger.read_stream(story.stream)[-2:]
    with State.open(ledger) as state:
        first, second = state.rows('FROM calibration_rounds ORDER BY "repeat"')
    assert first == {
        "session": "story",
        "stage": "s",
        "repeat": 1,
        "unit": "test_a_ci",
        "readable": True,
        "status": "ok",
        "reason": "",
        "metrics": '{"rtf_mean":null,"throughput_qps":1.5}',
        "metric_keys": "rtf_mean throughput_qps",
        "metric_count": 2,
        "null_count": 1,
        "samples_total": 10,
        "samples_ok": 10,
        "git_sha": COMMIT,
        "git_sha_start": OTHER,
        "diff_sha256": None,
        "measured_at": "2026-06-27T12:03:11Z",
        "duration_s": 1.5,
        "attempts": 1,
        "pytest_rc": 0,
        "suspect": "",
        "foreign_file": False,
        "event_id": measured.event_id,
        "recorded_at": measured.recorded_at,
        "learned_at": measured.recorded_at,
        "aside": False,
    }
    told = {"unit": None, "git_sha_start": None, "pytest_rc": 1, "foreign_file": True, "aside": True}
    assert second | told == second
    assert second["event_id"] == imported.event_id


def test_stages_of_a_plan_in_several_events_are_numbered_in_its_order(ledger: Ledger) -> None:
    story = Story(ledger, stage("b"), repeats=1)
    story.append(PlanContinued(session="story", part=1, stages=[stage("a"), stage("c")]))
    with State.open(ledger) as state:
        rows = state.rows("SELECT number, stage, cell FROM audit_matrix ORDER BY number")
    assert [tuple(row.values()) for row in rows] == [(1, "b", "—"), (2, "a", "—"), (3, "c", "—")]
