"""Baselines and policies: what a plot compares with, what can be pinned, and that a refusal records nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands.cli.chart import Point, chart
from commands.results.policy import as_yaml, differences
from ledger.ledger import Ledger
from tests.commands.records import MODEL, TARGET, history, legacy, write

Cli = Callable[..., Any]


@pytest.fixture
def filled(in_process: Cli, tmp_path: Path) -> Cli:
    """Nine days of one model, the latency of each its day plus 20."""
    in_process("init", code=0)
    records = [legacy(day, latency=20.0 + day) for day in range(1, 10)]
    in_process("import", "hf-tracking", history(tmp_path / "h", records), code=0)
    return in_process


def recorded(tmp_path: Path) -> int:
    """How many events the ledger has."""
    return Ledger.open(tmp_path / ".perfledger").head().position


def test_the_first_result_of_a_short_plot_keeps_the_baseline_it_was_compared_with(filled: Cli) -> None:
    whole = filled("baseline", "plot", TARGET, "--json", code=0).json["points"]
    assert [point["baseline"] for point in whole] == [None, 21.0, 21.5, 22.0, 22.5, 23.0, 24.0, 25.0, 26.0]
    for last in (2, 3, 9, 50):
        assert filled("baseline", "plot", TARGET, "-n", last, "--json", code=0).json["points"] == whole[-last:]


def test_the_rolling_baseline_of_a_plot_has_the_window_of_the_policy_in_force(filled: Cli, tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text("window: 3\n")
    filled("policy", "adopt", policy, "--reason", "shorter", code=0)
    last = filled("baseline", "plot", TARGET, "--json", code=0).json["points"][-1]
    assert last["baseline"] == 27.0


def test_a_result_without_the_metric_counts_among_the_last_ones_and_is_no_point(filled: Cli, tmp_path: Path) -> None:
    write(tmp_path / "h" / "x.json", legacy(10, latency=None))
    filled("import", "hf-tracking", tmp_path / "h", code=0)
    points = filled("baseline", "plot", TARGET, "-n", "2", "--json", code=0).json["points"]
    assert [point["value"] for point in points] == [29.0]
    found = filled("baseline", "plot", TARGET, "-n", "3", "--metric", "memory", "--json", code=0).json["points"]
    assert len(found) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("baseline", "pin", TARGET, "--name", "a", "--reason", "r", "--result", "1@x"), 2, "no_such_result"),
        (("baseline", "pin", "nobody", "--name", "a", "--reason", "r"), 2, "no_such_target"),
        (("baseline", "pin", "--name", "a", "--reason", "r"), 2, "no_target"),
        (("baseline", "unpin", TARGET, "--name", "a", "--reason", "r"), 2, "not_pinned"),
        (("policy", "adopt", "none.yaml", "--reason", "r"), 2, "usage"),
        (("policy", "adopt", "bad.yaml", "--reason", "r"), 2, "bad_policy"),
        (("policy", "adopt", "torn.yaml", "--reason", "r"), 2, "bad_policy"),
        (("policy", "adopt", "good.yaml"), 2, "usage"),
        (("backtest", "--policy", "bad.yaml"), 2, "bad_policy"),
        (("backtest", "--policy", "good.yaml", "--since", "noon"), 2, "bad_time"),
    ],
)
def test_a_refused_command_says_one_sentence_under_a_stable_code_and_records_nothing(
    filled: Cli, tmp_path: Path, arguments: tuple[str, ...], code: int, error: str
) -> None:
    (tmp_path / "good.yaml").write_text("window: 3\n")
    (tmp_path / "bad.yaml").write_text("window: soon\n")
    (tmp_path / "torn.yaml").write_text("window: [\n")
    before = recorded(tmp_path)
    told = filled(*arguments, "--json", code=code).json["error"]
    assert told["code"] == error
    assert told["message"] and told["hint"] and "\n" not in told["message"]
    assert recorded(tmp_path) == before


@pytest.mark.parametrize("name", ["bad.yaml", "torn.yaml"])
def test_a_file_that_is_no_policy_is_named_by_check(filled: Cli, tmp_path: Path, name: str) -> None:
    (tmp_path / "bad.yaml").write_text("metrics: {latency: {threshold_percent: lots}}\n")
    (tmp_path / "torn.yaml").write_text("metrics: {\n")
    told = filled("policy", "check", name, "--json", code=2).json["error"]["message"]
    assert name in told and ("threshold_percent" in told or "not readable as YAML" in told)


def test_reading_commands_record_nothing(filled: Cli, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("window: 1\n")
    before = recorded(tmp_path)
    for arguments in (
        ("baseline", "list"),
        ("baseline", "show", TARGET),
        ("baseline", "history", MODEL),
        ("baseline", "plot", MODEL),
        ("policy", "show"),
        ("policy", "check", "p.yaml"),
        ("backtest", "--policy", "p.yaml"),
    ):
        assert filled(*arguments, "--json", code=0).json
        assert filled(*arguments, code=0).out.strip()
    assert recorded(tmp_path) == before


def test_a_pin_of_chosen_results_is_their_median_in_any_order_and_each_once(filled: Cli) -> None:
    rows = filled("baseline", "history", TARGET, "--json", code=0).json["results"]
    ids = [rows[n]["event_id"] for n in (8, 0, 4, 0)]
    options = [part for event_id in ids for part in ("--result", event_id)]
    found = filled("baseline", "pin", TARGET, "--name", "a", "--reason", "r", *options, "--json", code=0).json
    assert found["medians"]["latency"] == 25.0
    assert sorted(found["result_event_ids"]) == sorted(set(ids))


def test_backtest_reports_from_a_time_on_and_what_was_before_still_fills_the_windows(
    filled: Cli, tmp_path: Path
) -> None:
    (tmp_path / "p.yaml").write_text("metrics: {latency: {threshold_percent: 0.001, threshold_absolute: 0.0}}\n")
    every = filled("backtest", "--policy", "p.yaml", "--json", code=0).json
    late = filled("backtest", "--policy", "p.yaml", "--since", "2026-06-08", "--json", code=0).json
    assert (every["results"], late["results"]) == (9, 2)
    assert late["records"] == [row for row in every["records"] if row["instant"] >= "2026-06-08"]
    assert sum(move["count"] for move in every["moves"]) == every["flips"] == len(every["records"]) > 0
    assert filled("backtest", "--policy", "p.yaml", "--target", "nobody", "--json", code=0).json["results"] == 0


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({}, {}, {}),
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": [1, 2]}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a.c": [2, 3]}),
        ({"a": {"b": 1}}, {}, {"a": [{"b": 1}, None]}),
        ({}, {"a": {"b": 1}}, {"a": [None, {"b": 1}]}),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [[1], [1, 2]]}),
        ({"a": True}, {"a": False}, {"a": [True, False]}),
        ({"a": None}, {}, {}),
    ],
)
def test_differences_are_named_by_their_dotted_path_with_old_and_new(
    old: dict[str, Any], new: dict[str, Any], found: dict[str, Any]
) -> None:
    assert differences(old, new) == found


def test_plain_data_is_written_as_yaml_in_its_own_order_and_reads_back() -> None:
    from ruamel.yaml import YAML

    data = {"b": {"y": 1.5, "x": True}, "a": ["text", None], "c": "yes"}
    text = as_yaml(data)
    assert YAML(typ="safe", pure=True).load(text) == data
    assert [line[0] for line in text.splitlines() if line[0].isalpha()] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("values", "rows"),
    [
        ([1.0], [6]),
        ([1.0, 1.0], [6, 6]),
        ([0.0, 11.0], [11, 0]),
        ([11.0, 0.0], [0, 11]),
        ([-5.0, 0.0, 6.0], [11, 6, 0]),
    ],
)
def test_a_chart_puts_the_largest_value_at_the_top_and_equal_ones_in_the_middle(
    values: list[float], rows: list[int]
) -> None:
    lines = chart([Point(value, None, "counts") for value in values], width=60, show="{:.1f}".format)
    columns = [line.partition("│")[2].ljust(len(values)) for line in lines]
    assert [next(row for row in range(12) if columns[row][at] == "●") for at in range(len(values))] == rows


def test_a_value_hides_the_baselines_below_it_and_the_rolling_one_hides_the_pinned() -> None:
    points = [Point(1.0, 1.0, "failed"), Point(2.0, 1.0, "other"), Point(2.0, None, "counts")]
    bottom = chart(points, width=60, show="{:.1f}".format, pinned=1.0)[-1]
    assert bottom == "1.0 │✗─┄"
