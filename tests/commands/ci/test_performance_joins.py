"""What the ledger itself found out about a commit stands in the same gate: verdicts, reseeds, calibrations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.event import NewEvent
from ledger.events.calibrations import CalibrationEnded, CalibrationPlanned, CalibrationReported, Plan
from ledger.events.checks import PullRequestObserved
from ledger.events.reseeds import SourceValidated
from ledger.events.results import ResultRecorded
from ledger.ledger import Ledger
from tests.commands.records import IDENTITY, history, legacy, raw, write
from tests.conftest import Result
from tests.projections.reseed.steps import of_type, record

SHA = "ab" * 20


def contexts(invoke: Callable[..., Result]) -> dict[str, tuple[str, str]]:
    found = invoke("ci", "status", SHA, "--json").json
    return {row["context"]: (row["state"], row["description"]) for row in found["contexts"]}


def test_a_verdict_of_check_is_a_context_of_the_commit_and_the_gate_shows_it(
    invoke: Callable[..., Result], ledger: Ledger, tmp_path: Path
) -> None:
    invoke("import", "hf-tracking", history(tmp_path / "h", [legacy(day) for day in range(1, 8)]), code=0)
    ledger.append(
        [
            NewEvent(
                stream="pull/o/r/7",
                payload=PullRequestObserved(repository="o/r", number=7, title="[perf] x", state="open", head_sha=SHA),
            )
        ]
    )
    slow = raw(avg_generation_time_s=31.2, commit=SHA)
    invoke("check", write(tmp_path / "perf_a.json", slow), code=1)
    state, said = contexts(invoke)["perfledger/baseline"]
    assert state == "failure" and "REGRESSION" in said
    gate = invoke("ci", "gate", "7", "--json", code=1).json
    shown = next(c for c in gate["conditions"] if c["id"] == "baseline")
    assert (shown["met"], shown["advisory"]) == (False, True)
    assert ledger.event(shown["by"]).type == "ResultJudged"
    invoke("check", write(tmp_path / "perf_b.json", raw(commit=SHA, timestamp="2026-07-01T01:00:00+00:00")), code=0)
    assert contexts(invoke)["perfledger/baseline"][0] == "success"


def test_a_cohort_without_a_baseline_is_neither_green_nor_red(
    invoke: Callable[..., Result], ledger: Ledger, tmp_path: Path
) -> None:
    invoke("check", write(tmp_path / "perf_a.json", raw(**IDENTITY, commit=SHA)))
    assert contexts(invoke)["perfledger/baseline"][0] == "neutral"


def result(target: str, digest: str) -> NewEvent:
    return NewEvent(
        stream=f"target/{target}",
        payload=ResultRecorded(
            target=target,
            record={"commit_sha": SHA.upper(), "latency": 1.0},
            path=f"{target}.json",
            format="normalized",
            sha256=digest,
        ),
    )


def test_a_reseed_from_results_of_the_commit_keeps_the_context_open_until_it_is_done(
    invoke: Callable[..., Result], ledger: Ledger
) -> None:
    digest = "1" * 64
    ledger.append(
        [
            result("m@g", digest),
            NewEvent(stream="reseed/x", payload=SourceValidated(reseed="x", path="p", sha256=digest, target="m@g")),
        ]
    )
    steps = ("ReseedPlanned", "ReseedApproved", "RecordsPrepared", "ReseedUploadStarted")
    record(ledger, "x", *(of_type("x", step) for step in steps))
    state, said = contexts(invoke)["perfledger/baseline"]
    assert state == "pending" and "reseed x: ReseedUploadStarted" in said
    record(ledger, "x", of_type("x", "ReseedUploaded"))
    assert contexts(invoke)["perfledger/baseline"][0] == "success"
    record(ledger, "x", of_type("x", "ReseedApproved"))
    state, said = contexts(invoke)["perfledger/baseline"]
    assert state == "success" and "ReseedUploaded" in said, "a late approval does not open the context again"


@pytest.mark.parametrize(
    ("complete", "reported", "state"),
    [(None, False, "pending"), (False, False, "failure"), (True, False, "pending"), (True, True, "success")],
)
def test_a_calibration_is_green_when_its_report_was_not_refused(
    invoke: Callable[..., Result], ledger: Ledger, complete: bool | None, reported: bool, state: str
) -> None:
    stream = "calibration/s"
    ledger.append(
        [
            NewEvent(
                stream=stream,
                payload=CalibrationPlanned(
                    session="s", plan=Plan(model="m", stages=[], repeats=5, run_dir="/tmp/x", calibration_git_sha=SHA)
                ),
            )
        ]
    )
    if complete is not None:
        ledger.append(
            [
                NewEvent(
                    stream=stream,
                    payload=CalibrationEnded(session="s", complete=complete, ok=4 + complete, total=5, passes=1),
                )
            ]
        )
    if reported:
        ledger.append(
            [
                NewEvent(
                    stream=stream,
                    payload=CalibrationReported(
                        session="s",
                        report="report.md",
                        report_sha256="2" * 64,
                        html_sha256=None,
                        calibration_git_sha=SHA,
                    ),
                )
            ]
        )
    assert contexts(invoke)["perfledger/calibration"][0] == state


def test_explain_lists_the_events_behind_a_gate(invoke: Callable[..., Result], ledger: Ledger) -> None:
    receipt = ledger.append(
        [
            NewEvent(
                stream="pull/o/r/7",
                payload=PullRequestObserved(repository="o/r", number=7, title="Add x", state="open", head_sha=SHA),
            )
        ]
    )[0]
    for name in ("o/r#7", "#7", receipt.event_id):
        found = invoke("explain", name, "--json", code=0).json
        assert found["event"]["event_id"] == receipt.event_id and found["mergeable"] is False
    told = invoke("explain", "o/r#7", code=0).out
    assert "does not begin with a tag" in told and receipt.event_id in told
