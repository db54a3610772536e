"""The SQL views give the same answers as the audit, for any history of a session."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.events.calibrations import BlockDiscarded, RepeatsSettled, RoundRejected, RunFileVanished, UnitFlagged
from ledger.ledger import Ledger
from projections.calibration.audit import readiness
from projections.calibration.fold import evolve
from projections.calibration.session import Session
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


def test_the_views_answer_as_of_any_moment(ledger: Any) -> None:
    story = Story(ledger, stage("s"), repeats=2).observe(1)
    before = ledger.read_stream(story.stream)[-1].recorded_at
    story.observe(2).purge(1)
    with State.open(ledger) as state:
        ask = "SELECT string_agg(cell, '' ORDER BY \"repeat\") AS c FROM audit_matrix"
        assert state.rows(ask) == [{"c": "—✓"}]
        assert state.rows(f"{ask}(as_of := TIMESTAMPTZ '{before}')") == [{"c": "✓—"}]
