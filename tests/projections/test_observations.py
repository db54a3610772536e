"""Repeats and their telemetry as facts and views."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ledger.event import EventPayload, NewEvent
from ledger.events.calibrations import BlockDiscarded, RepeatImported, RepeatPurged
from ledger.ledger import Ledger
from projections.state.state import State
from tests.gpu_runner.payloads import observed, stage, telemetry

Ask = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def log(ledger: Ledger) -> Callable[..., None]:
    def append(*payloads: EventPayload, session: str = "s1") -> None:
        for payload in payloads:
            ledger.append([NewEvent(stream=f"calibration/{session}", payload=payload)])

    return append


@pytest.fixture
def ask(ledger: Ledger) -> Ask:
    def rows(sql: str) -> list[dict[str, Any]]:
        with State.open(ledger) as state:
            return state.rows(sql)

    return rows


def test_a_repeat_of_two_stages_is_two_rows_with_metrics_and_where_it_ran(log: Any, ask: Ask) -> None:
    log(observed(stage("a_speed", qps=17.5), stage("a_wer", "failed", "incomplete_metrics_extraction (OOM)", wer=None)))
    rows = ask("SELECT * FROM observations ORDER BY stage")
    assert [(r["session"], r["stage"], r["repeat"], r["status"], r["counted"]) for r in rows] == [
        ("s1", "a_speed", 1, "ok", True),
        ("s1", "a_wer", 1, "failed", True),
    ]
    assert json.loads(rows[0]["metrics"]) == {"qps": 17.5}
    assert rows[0]["git_sha"] == "a" * 40 and rows[0]["samples_total"] == 10 and rows[0]["gpu_uuids"] == '["GPU-a"]'
    metrics = ask("SELECT stage, metric, value, status FROM observation_metrics ORDER BY stage")
    assert metrics == [
        {"stage": "a_speed", "metric": "qps", "value": 17.5, "status": "ok"},
        {"stage": "a_wer", "metric": "wer", "value": None, "status": "failed"},
    ]


def test_a_purged_repeat_stays_visible_and_no_longer_counts_until_it_is_measured_again(log: Any, ask: Ask) -> None:
    log(
        observed(stage("a", qps=1.0)),
        RepeatPurged(session="s1", unit="test_tts_ci", repeat=1, stages=["a"], reason="partial samples"),
    )
    sql = "SELECT metrics, counted, ended, ended_reason FROM observations ORDER BY position"
    assert ask(sql) == [
        {"metrics": '{"qps":1.0}', "counted": False, "ended": "purged", "ended_reason": "partial samples"}
    ]
    log(observed(stage("a", qps=2.0)))
    assert [(r["counted"], r["ended"]) for r in ask(sql)] == [(False, "replaced"), (True, None)]


def test_a_discarded_block_ends_every_round_of_it_in_its_own_session_only(log: Any, ask: Ask) -> None:
    log(observed(stage("a", qps=1.0)), observed(stage("a", qps=2.0), repeat=2), observed(stage("a", qps=3.0), repeat=3))
    log(observed(stage("a", qps=9.0)), session="s2")
    log(BlockDiscarded(session="s1", unit="test_tts_ci", repeats=[1, 2], stages=["a"], reason="two populations"))
    rows = ask("SELECT session, repeat, ended FROM observations ORDER BY session, repeat")
    assert [tuple(r.values()) for r in rows] == [
        ("s1", 1, "discarded"),
        ("s1", 2, "discarded"),
        ("s1", 3, None),
        ("s2", 1, None),
    ]


def test_imported_run_files_stand_beside_measured_repeats(log: Any, ask: Ask) -> None:
    log(
        RepeatImported(
            session="s1",
            stage="b",
            repeat=2,
            sha256="0" * 64,
            status="ok",
            metrics={"wer": 0.01},
            samples_total=5,
            samples_ok=5,
            git_sha="b" * 40,
            recorded_at="2026-05-01T00:00:00Z",
            duration_s=3.0,
        )
    )
    (row,) = ask("SELECT stage, repeat, imported, measured_at, samples_ok, unit FROM observations")
    assert row["imported"] is True and row["samples_ok"] == 5 and row["unit"] is None
    assert row["measured_at"].startswith("2026-05-01T00:00:00")
    assert ask("SELECT value FROM observation_metrics") == [{"value": 0.01}]


def test_telemetry_rows_carry_their_own_time_and_say_when_a_gpu_was_held_back(log: Any, ask: Ask) -> None:
    log(telemetry(3), telemetry(2, gpu_uuid="GPU-b", gpu_index=1, utilization_percent=[99, 100]))
    rows = ask("SELECT * FROM telemetry WHERE gpu_index = 0 ORDER BY sampled_at")
    assert [r["sampled_at"][:23] for r in rows] == [f"2026-06-27T12:00:0{n}.500" for n in range(3)]
    assert [r["throttled"] for r in rows] == [False, True, False]  # 4 is the power cap, 1 is idle
    assert rows[0]["power_w"] == 650.5 and rows[0]["utilization_percent"] is None
    assert ask("SELECT max(utilization_percent) AS u, count(*) AS n FROM telemetry") == [{"u": 100, "n": 5}]


def test_replaying_gives_the_same_rows(ledger: Ledger, log: Any) -> None:
    log(observed(stage("a", qps=1.0), stage("b", wer=None)), telemetry(5))
    queries = [f"SELECT * FROM {view} ORDER BY ALL" for view in ("observations", "observation_metrics", "telemetry")]
    with State.open(ledger) as state:
        live = [state.rows(q) for q in queries]
    ledger.seal()
    (ledger.path / "state.duckdb").unlink(missing_ok=True)
    with State.open(ledger) as state:
        again = [state.rows(q) for q in queries]
    assert live == again and [len(r) for r in live] == [2, 2, 5]
