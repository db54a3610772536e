"""`perfledger explain` and `backtest`: what is behind a verdict, and which would be others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands.records import IDENTITY, TARGET, history, legacy, modern, raw, write

Cli = Callable[..., Any]


@pytest.fixture
def cli(in_process: Cli) -> Cli:
    in_process("init", code=0)
    return in_process


@pytest.fixture
def judged(cli: Cli, tmp_path: Path) -> dict[str, Any]:
    """A regression against seven days of history."""
    cli("import", "hf-tracking", history(tmp_path / "h", [legacy(day) for day in range(1, 8)]), code=0)
    file = write(tmp_path / "perf_a.json", raw(avg_generation_time_s=31.2))
    record: dict[str, Any] = cli("check", file, "--json", code=1).json["records"][0]
    return record


def test_a_verdict_is_explained_by_its_event_its_window_and_its_limits(cli: Cli, judged: dict[str, Any]) -> None:
    found = cli("explain", judged["event_id"], "--json", code=0).json
    assert found["event"]["type"] == "ResultJudged"
    assert found["verdict"]["metrics"] == judged["metrics"]
    assert [row["latency"] for row in found["window"]] == [28.4] * 5
    assert found["result"]["event_id"] == judged["result_event_id"]
    text = cli("explain", judged["event_id"], code=0).out
    assert judged["reason"] in text and "8.0% and 0.5 s: REGRESSED" in text
    for row in found["window"]:
        assert row["event_id"] in text


def test_a_target_stands_for_its_latest_verdict(cli: Cli, judged: dict[str, Any], tmp_path: Path) -> None:
    assert cli("explain", TARGET, "--json", code=0).json["event"]["event_id"] == judged["event_id"]
    later = cli("check", write(tmp_path / "perf_b.json", raw()), "--json", code=0).json["records"][0]
    assert cli("explain", TARGET, "--json", code=0).json["event"]["event_id"] == later["event_id"]


def test_the_explanation_stays_the_same_when_the_baseline_moves_on(
    cli: Cli, judged: dict[str, Any], tmp_path: Path
) -> None:
    before = cli("explain", judged["event_id"], "--json", code=0).json
    write(tmp_path / "h" / "late.json", legacy(20, latency=99.0))
    cli("import", "hf-tracking", tmp_path / "h", code=0)
    assert cli("explain", judged["event_id"], "--json", code=0).json == before


def test_a_result_says_which_verdicts_it_got_and_which_it_was_used_in(cli: Cli, judged: dict[str, Any]) -> None:
    used = cli("explain", judged["event_id"], "--json", code=0).json["window"][0]["event_id"]
    found = cli("explain", used, "--json", code=0).json
    assert [row["event_id"] for row in found["used_by"]] == [judged["event_id"]] and found["verdicts"] == []
    assert found["baseline"] == {"counted": True, "why": "counts"}
    own = cli("explain", judged["result_event_id"], "--json", code=0).json
    assert [row["status"] for row in own["verdicts"]] == ["REGRESSION"] and own["used_by"] == []


def test_a_pin_and_any_other_event_are_explained_too(cli: Cli, judged: dict[str, Any]) -> None:
    pin = cli("baseline", "pin", TARGET, "--name", "v1", "--reason", "release", "--json", code=0).json
    assert "pinned as v1: release" in cli("explain", pin["event_id"], code=0).out
    plain = cli("events", "list", "--type", "LedgerCreated", "--json", code=0).json
    assert "LedgerCreated" in cli("explain", plain["event_id"], code=0).out
    assert "nothing here is called nonsense" in cli("explain", "nonsense", code=2).err


def test_backtest_lists_the_verdicts_another_policy_would_flip(cli: Cli, tmp_path: Path) -> None:
    latencies = [28.4, 28.4, 28.4, 29.4, 28.4, 28.4, 31.0, 28.4]
    records = [legacy(day, latency=value, success=value != 31.0) for day, value in enumerate(latencies, start=1)]
    cli("import", "hf-tracking", history(tmp_path / "h", records), code=0)
    strict, loose = tmp_path / "strict.yaml", tmp_path / "loose.yaml"
    strict.write_text("metrics: {latency: {threshold_percent: 0.02, threshold_absolute: 0.1}}\n")
    loose.write_text("metrics: {latency: {threshold_percent: 0.5}}\n")
    found = cli("backtest", "--policy", strict, "--json", code=0).json
    assert (found["results"], found["flips"]) == (8, 1)
    assert [(r["was"], r["would_be"], r["failing_metrics"]) for r in found["records"]] == [
        ("PASS", "REGRESSION", ["latency"])
    ]
    found = cli("backtest", "--policy", loose, "--json", code=0).json
    assert found["moves"] == [{"was": "REGRESSION", "would_be": "PASS", "count": 1}]
    same = tmp_path / "same.yaml"
    same.write_text("")
    assert cli("backtest", "--policy", same, "--json", code=0).json["flips"] == 0
    assert cli("backtest", "--policy", strict, "--since", "2026-06-05", "--json", code=0).json == {
        **cli("backtest", "--policy", same, "--json", code=0).json,
        "results": 4,
        "policy": str(strict),
        "policy_digest": cli("policy", "check", strict, "--json", code=0).json["digest"],
    }
    assert "1 of 8 verdicts" in cli("backtest", "--policy", strict, code=0).out


def test_backtest_follows_what_a_changed_verdict_changes_for_later_ones(cli: Cli, tmp_path: Path) -> None:
    """A landed slowdown is refused for ever by the strict floor, and accepted after three runs by the window."""
    records = [modern(day, latency=28.4 if day < 6 else 29.4) for day in range(1, 13)]
    cli("import", "hf-tracking", history(tmp_path / "h", records), code=0)
    policy = tmp_path / "strict.yaml"
    policy.write_text("metrics: {latency: {threshold_percent: 0.02, threshold_absolute: 0.1}}\n")
    found = cli("backtest", "--policy", policy, "--json", code=0).json
    assert [row["would_be"] for row in found["records"]] == ["REGRESSION"] * 7


def test_backtest_judges_past_verdicts_of_raw_results_with_their_fixed_limits(cli: Cli, tmp_path: Path) -> None:
    cli("import", "hf-tracking", history(tmp_path / "h", [modern(day) for day in range(1, 4)]), code=0)
    cli("check", write(tmp_path / "perf_a.json", raw(**IDENTITY, avg_generation_time_s=34.5)), code=1)
    cli("check", write(tmp_path / "perf_b.json", raw(**IDENTITY, avg_generation_time_s=31.0)), code=1)
    policy = tmp_path / "loose.yaml"
    policy.write_text("metrics: {latency: {gated: false}}\n")
    found = cli("backtest", "--policy", policy, "--json", code=0).json
    assert [(row["was"], row["would_be"]) for row in found["records"]] == [("REGRESSION", "PASS")]
