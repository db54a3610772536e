"""`perfledger baseline` and `policy`: what a baseline is, was, and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from commands.cli.chart import Point, chart
from tests.commands.records import IDENTITY, MODEL, TARGET, history, legacy, modern, raw, write

Cli = Callable[..., Any]


@pytest.fixture
def cli(in_process: Cli) -> Cli:
    in_process("init", code=0)
    return in_process


@pytest.fixture
def filled(cli: Cli, tmp_path: Path) -> Cli:
    """Nine days of one model, the latency of each its day plus 20; the third failed, the ninth measured nothing."""
    records = [legacy(day, latency=20.0 + day, success=day != 3) for day in range(1, 9)]
    nothing = {k: None for k in legacy(1) if isinstance(legacy(1)[k], float)}
    cli("import", "hf-tracking", history(tmp_path / "h", [*records, legacy(9, **nothing)]), code=0)
    return cli


def test_list_shows_each_target_with_medians_and_how_many_results_they_rest_on(filled: Cli) -> None:
    rows = filled("baseline", "list", "--json", code=0).json["baselines"]
    assert [(r["target"], r["n"], r["results"], r["counted"], r["latency"]) for r in rows] == [(TARGET, 5, 9, 7, 26.0)]
    assert TARGET in filled("baseline", "list", "--model", MODEL, code=0).out
    assert filled("baseline", "list", "--gpu", "other", "--json", code=0).json == {"baselines": []}
    assert len(filled("baseline", "list", "wan", "--json", code=0).json["baselines"]) == 1
    assert filled("baseline", "list", "nobody", "--json", code=0).json == {"baselines": []}


def test_show_says_which_results_count_and_why_the_others_do_not(filled: Cli) -> None:
    shown = filled("baseline", "show", TARGET, "--json", code=0).json
    assert (shown["n"], shown["medians"]["latency"]) == (5, 26.0)
    assert [row["latency"] for row in shown["records"]] == [24.0, 25.0, 26.0, 27.0, 28.0]
    why = {row["commit_sha"][-1]: row["why"] for row in shown["recent"]}
    assert why["9"] == "no: no metric was measured" and why["3"] == "no: not successful" and why["8"] == "counts"


def test_a_target_is_named_whole_or_by_a_unique_beginning_or_by_options(filled: Cli, tmp_path: Path) -> None:
    for arguments in ([TARGET], [MODEL], ["wan-"], ["--model", MODEL], ["--gpu", "NVIDIA L40S"]):
        assert filled("baseline", "show", *arguments, "--json", code=0).json["target"] == TARGET
    filled("import", "hf-tracking", history(tmp_path / "more", [legacy(1, gpu_type="H100"), modern(1)]), code=0)
    assert "fits several targets" in filled("baseline", "show", MODEL, code=2).err
    assert "no result of nobody" in filled("baseline", "show", "nobody", code=2).err
    assert filled("baseline", "show", code=2).err.startswith("perfledger: which target?")
    by_identity = filled(
        "baseline", "show", "--recipe-fingerprint", IDENTITY["recipe_fingerprint"], "--json", code=0
    ).json
    assert by_identity["target"].startswith("identity:") and by_identity["n"] == 1


def test_history_is_in_the_baselines_order_and_plot_marks_each_result(filled: Cli) -> None:
    rows = filled("baseline", "history", TARGET, "--json", code=0).json["results"]
    assert [row["latency"] for row in rows] == [21.0, 22.0, 23.0, 24.0, 25.0, 26.0, 27.0, 28.0, None]
    plot = filled("baseline", "plot", TARGET, code=0).out
    assert plot.count("●") == 7 + 1 and plot.count("○") == 1 + 1  # the legend names each once
    points = filled("baseline", "plot", TARGET, "--json", code=0).json["points"]
    assert [p["baseline"] for p in points] == [None, 21.0, 21.5, 21.5, 22.0, 23.0, 24.0, 25.0]
    assert (
        filled("baseline", "plot", TARGET, "--metric", "latency", "-n", "3", "--json", code=0).json["points"][0][
            "value"
        ]
        == 27.0
    )


def test_as_of_answers_with_what_this_ledger_knew_then(filled: Cli, tmp_path: Path) -> None:
    then = filled("events", "list", "--json", code=0).out.splitlines()
    moment = __import__("json").loads(then[-1])["recorded_at"]
    write(tmp_path / "h" / "later.json", legacy(10, latency=90.0))
    filled("import", "hf-tracking", tmp_path / "h", code=0)
    assert filled("baseline", "show", TARGET, "--json", code=0).json["medians"]["latency"] == 27.0
    assert filled("baseline", "show", TARGET, "--as-of", moment, "--json", code=0).json["medians"]["latency"] == 26.0


def test_a_pinned_baseline_is_compared_beside_the_rolling_one_until_it_is_unpinned(filled: Cli, tmp_path: Path) -> None:
    pinned = filled("baseline", "pin", TARGET, "--name", "v1", "--reason", "release 1", "--json", code=0).json
    assert pinned["medians"]["latency"] == 26.0 and len(pinned["result_event_ids"]) == 5
    for day in range(10, 24):  # each run 2 % worse: the rolling window follows, the pin does not
        write(tmp_path / "h" / f"{day}.json", legacy(day, latency=26.0 * 1.02 ** (day - 9)))
    filled("import", "hf-tracking", tmp_path / "h", code=0)
    file = write(tmp_path / "perf_a.json", raw(avg_generation_time_s=33.9))
    found = filled("check", file, "--json", code=0).json["records"][0]
    assert (found["status"], found["pinned"]["name"], found["pinned"]["exceeded"]) == ("PASS", "v1", ["latency"])
    assert "beyond the pinned baseline v1: latency +30.4%" in filled("check", file, code=0).out
    policy = tmp_path / "p.yaml"
    policy.write_text("rules: {pinned: fail}\n")
    assert filled("check", file, "--policy", policy, "--json", code=1).json["status"] == "REGRESSION"
    filled("baseline", "unpin", TARGET, "--name", "v1", "--reason", "over", code=0)
    assert filled("check", file, "--json", code=0).json["records"][0]["pinned"] is None
    assert (
        "has no pinned baseline v1"
        in filled("baseline", "unpin", TARGET, "--name", "v1", "--reason", "again", code=2).err
    )


def test_chosen_results_can_be_pinned_and_foreign_ones_not(filled: Cli) -> None:
    rows = filled("baseline", "history", TARGET, "--json", code=0).json["results"]
    chosen = [rows[0]["event_id"], rows[1]["event_id"]]
    pinned = filled(
        "baseline",
        "pin",
        TARGET,
        "--name",
        "old",
        "--reason",
        "r",
        "--result",
        chosen[0],
        "--result",
        chosen[1],
        "--json",
        code=0,
    ).json
    assert pinned["medians"]["latency"] == 21.5
    assert (
        "no result of"
        in filled("baseline", "pin", TARGET, "--name", "x", "--reason", "r", "--result", "1@x", code=2).err
    )


def test_the_adopted_policy_is_what_results_are_judged_by(filled: Cli, tmp_path: Path) -> None:
    file = write(tmp_path / "perf_a.json", raw(avg_generation_time_s=26.8))
    filled("check", file, code=0)
    policy = tmp_path / "strict.yaml"
    policy.write_text(
        "name: strict\nwindow: 3\nmetrics: {latency: {threshold_percent: 0.01, threshold_absolute: 0.1}}\n"
    )
    shown = filled("policy", "check", policy, "--json", code=0).json
    assert shown["changes"]["window"] == [5, 3] and shown["changes"]["metrics.latency.threshold_percent"] == [
        0.08,
        0.01,
    ]
    filled("policy", "adopt", policy, "--reason", "fewer surprises", code=0)
    found = filled("check", write(tmp_path / "perf_b.json", raw(avg_generation_time_s=28.0)), "--json", code=1).json
    assert (found["policy"], found["window"], found["records"][0]["baseline_n"]) == ("strict", 3, 3)
    assert filled("baseline", "show", TARGET, "--json", code=0).json["n"] == 3
    assert filled("policy", "show", "--json", code=0).json["policy"]["window"] == 3
    assert filled("policy", "show", "--default", "--json", code=0).json["policy"]["window"] == 5


def test_a_policy_printed_is_a_policy_that_reads_back(filled: Cli, tmp_path: Path) -> None:
    file = tmp_path / "shown.yaml"
    file.write_text(filled("policy", "show", code=0).out)
    assert filled("policy", "check", file, "--json", code=0).json["changes"] == {}


def test_a_chart_has_one_column_per_value_and_never_more_than_fit() -> None:
    points = [Point(float(v % 10), None if v < 2 else 5.0, "counts" if v % 3 else "failed") for v in range(50)]
    lines = chart(points, width=40, show="{:.1f}".format, pinned=9.5)
    assert len(lines) == 12 and max(map(len, lines)) <= 40
    marks = sum(line.count("●") + line.count("✗") for line in lines)
    assert marks == 40 - len("9.5") - 3
    assert chart([Point(1.0, None, "other")] * 3, width=30, show="{:.1f}".format)[6].endswith("○○○")


def test_as_of_every_step_of_a_story_equals_what_was_answered_then(cli: Cli, tmp_path: Path) -> None:
    """Imports, a rewritten and a vanished file, verdicts, a pin and its end, an adopted policy."""
    root = history(tmp_path / "h", [legacy(day, latency=20.0 + day) for day in range(1, 8)])
    policy = tmp_path / "three.yaml"
    policy.write_text("window: 3\n")
    main = {"PERF_RUN_SOURCE": "scheduled_main"}
    steps: list[Callable[[], Any]] = [
        lambda: cli("import", "hf-tracking", root, code=0),
        lambda: cli("check", write(tmp_path / "perf_a.json", raw(avg_generation_time_s=25.0)), env=main, code=0),
        lambda: (
            write(root / "records" / "006.json", legacy(7, latency=1.0)),
            cli("import", "hf-tracking", root, code=0),
        ),
        lambda: cli("baseline", "pin", TARGET, "--name", "v1", "--reason", "r", code=0),
        lambda: (
            (root / "records" / "005.json").rename(tmp_path / "taken-away.json"),
            cli("import", "hf-tracking", root, code=0),
        ),
        lambda: cli("policy", "adopt", policy, "--reason", "r", code=0),
        lambda: cli("check", tmp_path / "perf_a.json", "--pytest-rc", "1", env=main, code=1),
        lambda: cli("baseline", "unpin", TARGET, "--name", "v1", "--reason", "r", code=0),
    ]
    answers = []
    for step in steps:
        step()
        last = msgspec.json.decode(cli("events", "list", "--json", code=0).out.splitlines()[-1])
        questions = (["list"], ["show", TARGET])
        answers.append(
            (f"{last['position']}@{last['origin']}", [cli("baseline", *q, "--json", code=0).json for q in questions])
        )
    assert len({str(answer) for _, answer in answers}) == len(steps) - 1  # only the vanished file moves no baseline
    for moment, then in answers:
        assert [cli("baseline", *q, "--as-of", moment, "--json", code=0).json for q in questions] == then, moment
