"""`explain` opens the observations that a rewritten threshold rests on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ledger.events.thresholds import ThresholdApplied
from ledger.ledger import Ledger
from tests.commands.calibrate.measured_project import STAMP, MeasuredProject
from tests.conftest import Result
from tests.projections.calibration.story import COMMIT, Story, metric, share, stage

Cli = Callable[..., Result]
YES = ("--mode", "full", "--confirm", "apply thresholds")
TEST = '_A_P95 = {\n    16: {"throughput_qps": 40.0},\n}\n'


def applied_event(cli: Cli) -> dict[str, Any]:
    (line,) = cli("events", "list", "--type", "ThresholdApplied", "--json", code=0).out.splitlines()
    event: dict[str, Any] = json.loads(line)
    return event


def test_an_applied_threshold_shows_what_each_cited_repeat_measured(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    project = MeasuredProject(tmp_path / "repo")
    project.file("tests/test_a_ci.py", TEST)
    run = project.measure({"a_speed": {"throughput_qps": [39.0, 38.5, 41.25]}})
    cli("calibrate", "apply", run, *YES, code=0)
    event = applied_event(cli)
    found = cli("explain", event["event_id"], "--json", code=0).json
    assert found["event"] == event
    assert found["change"]["worst_raw"] == 38.5
    assert [row["event_id"] for row in found["observations"]] == event["payload"]["evidence_event_ids"]
    assert [
        (row["repeat"], row["value"], row["status"], row["samples_ok"], row["samples_total"], row["measured_at"])
        for row in found["observations"]
    ] == [(n, v, "ok", 10, 10, STAMP) for n, v in ((1, 39.0), (2, 38.5), (3, 41.25))]
    assert {row["git_sha"] for row in found["observations"]} == {event["payload"]["commit"]}
    assert cli("events", "show", found["planned"], code=0).json["type"] == "ThresholdApplyPlanned"

    text = cli("explain", event["event_id"], code=0).out
    assert "tests/test_a_ci.py  _A_P95[16]['throughput_qps']: 40.0 -> 38.5  loosens (-3.8%)" in text
    assert "lower bound: the least of 3 observation(s) is 38.5:" in text
    (worst,) = [line for line in text.splitlines() if "(the worst)" in line]
    assert "run 2: 38.5 (the worst)  ok  10/10 samples" in worst and found["observations"][1]["event_id"] in worst


def change(evidence: list[str], **more: Any) -> ThresholdApplied:
    given = {
        "apply": "a",
        "calibration": "story",
        "commit": COMMIT,
        "file": "tests/test_a_ci.py",
        "symbol": "_MAX",
        "subkey": None,
        "literal": "_MAX",
        "old": 1.0,
        "new": 2.0,
        "old_text": "1.0",
        "new_text": "2.0",
        "worst_op": "max",
        "direction": "loosens",
        "percent": 1.0,
        "group": "speed",
        "stage": "s",
        "metric": "rtf_mean",
        "worst_raw": 2.0,
        "evidence_event_ids": evidence,
    }
    return ThresholdApplied(**given | more)


def test_repeats_run_here_copies_and_ids_that_lead_nowhere_are_told_apart(cli: Cli, ledger: Ledger) -> None:
    story = Story(ledger, stage("s", metric("rtf_mean", "max")), repeats=3)
    story.observe(1, share(metrics={"rtf_mean": 2.0}))
    story.observe(2, share(metrics={"rtf_mean": None}, problems={"rtf_mean": "r.json is not there"}))
    story.observe(3, share("another", metrics={"rtf_mean": 9.0}))
    story.import_file("s", 3, metrics={"rtf_mean": 1.5}, from_event="0190-elsewhere")
    *_, first, second, third, copy = [e.event_id for e in ledger.read(stream="calibration/story")]
    nowhere = "01900000-0000-7000-8000-000000000000"
    story.append(change([first, second, third, copy, nowhere, ledger.event("1@testbed").event_id]))
    event = applied_event(cli)

    rows = cli("explain", event["event_id"], "--json", code=0).json["observations"]
    assert [row.get("value") for row in rows] == [2.0, None, None, 1.5, None, None]
    assert rows[0]["type"] == "RepeatObserved" and rows[0]["git_sha"] == COMMIT
    assert rows[1]["problem"] == "r.json is not there"
    assert rows[2]["missing"] == "it observed nothing of s"
    assert rows[3]["copy_of"] == "0190-elsewhere"
    assert nowhere in rows[4]["missing"]
    assert rows[5]["missing"] == "it is not an observation"
    text = cli("explain", event["event_id"], code=0).out
    assert "upper bound: the most of 6 observation(s) is 2.0:" in text
    assert "run 1: 2.0 (the worst)" in text
    assert "run 2: r.json is not there" in text
    assert "a copy of 0190-elsewhere" in text


def test_a_change_without_observations_and_one_put_back_say_so(cli: Cli, ledger: Ledger) -> None:
    story = Story(ledger, stage("s", metric("rtf_mean", "max")), repeats=1)
    story.append(change([], undone=True, percent=None, worst_raw=None, direction="unknown"))
    text = cli("explain", applied_event(cli)["event_id"], code=0).out
    assert "it cites no observation" in text
    assert "put the change of an interrupted apply back" in text
