"""Cells, completeness, worst-of-N and directions, from the sentences of the tool's strict audit."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.ledger import Ledger
from projections.calibration.session import Observation
from projections.calibration.worst_of_n import direction, is_complete, metric_worst, missing_reason, strict_cell, worst
from tests.commands.calibrate.published import METRICS, reports
from tests.projections.calibration.story import Story, metric, share, stage


def seen(**fields: Any) -> Observation:
    given: dict[str, Any] = {
        "stage": "s",
        "repeat": 1,
        "event_id": "e",
        "status": "ok",
        "reason": "",
        "metrics": {"throughput_qps": 1.0},
        "samples_total": 10,
        "samples_ok": 10,
    }
    return Observation(**given | fields)


@pytest.mark.parametrize(
    ("fields", "cell"),
    [
        ({}, "✓"),
        ({"readable": False, "metrics": {}}, "✗"),
        ({"metrics": {}}, "✗"),
        ({"metrics": {"throughput_qps": None}}, "✗"),
        ({"metrics": {"throughput_qps": float("nan")}}, "✗"),
        ({"metrics": {"throughput_qps": float("inf")}}, "✗"),
        ({"metrics": {"throughput_qps": 1.0, "other": None}}, "✗"),
        ({"samples_total": None}, "✗"),
        ({"samples_ok": None}, "✗"),
        ({"samples_ok": 9}, "△"),
        ({"samples_total": 11, "samples_ok": 11}, "✗"),
        ({"samples_total": 12, "samples_ok": 11}, "△"),
        ({"status": "failed"}, "✗"),
        ({"destructive": True}, "D"),
        ({"block_discarded": True, "samples_ok": 1}, "D"),
    ],
)
def test_the_cell_follows_the_first_rule_that_holds(fields: dict[str, Any], cell: str) -> None:
    assert strict_cell(stage(expected_samples=10), seen(**fields)) == cell


def test_a_repeat_without_a_run_file_is_an_em_dash() -> None:
    assert strict_cell(stage(), None) == "—"
    assert strict_cell(stage(), None, set_aside=True) == "—"


def test_a_metric_the_schema_reads_but_the_file_lacks_is_not_strict() -> None:
    two = stage("s", metric("throughput_qps"), metric("rtf_mean", "max"))
    assert strict_cell(two, seen()) == "✗"
    assert strict_cell(two, seen(metrics={"throughput_qps": 1.0, "rtf_mean": 0.1})) == "✓"


def test_a_metric_that_needs_configuration_is_never_strict_but_does_not_hold_up_the_scheduler() -> None:
    lacking = stage("s", metric("throughput_qps"), metric("rtf_mean", "max", configured=False))
    recorded = seen(metrics={"throughput_qps": 1.0, "rtf_mean": None})
    assert strict_cell(lacking, recorded) == "✗"
    assert is_complete(lacking, recorded)


def test_a_documentation_stage_is_strict_when_it_passed() -> None:
    docs = stage("d", docs=True)
    passed = seen(metrics={}, samples_total=None, samples_ok=None)
    assert strict_cell(docs, passed) == "✓"
    assert is_complete(docs, passed)
    assert strict_cell(docs, seen(metrics={}, samples_total=None, samples_ok=None, status="failed")) == "✗"


def test_a_stage_without_sample_counts_is_judged_without_them() -> None:
    uncounted = stage(counted=False, expected_samples=10)
    assert strict_cell(uncounted, seen(samples_total=None, samples_ok=None)) == "✓"
    # counts that are there all the same are believed
    assert strict_cell(uncounted, seen(samples_ok=9)) == "△"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"readable": False}, "corrupt json"),
        ({"samples_total": 50, "samples_ok": 50}, "sample scope mismatch (total 50 != expected 10)"),
        ({"samples_ok": 8}, "partial samples (ok 8 of 10)"),
        ({"status": "failed", "reason": "incomplete_metrics_extraction"}, "incomplete_metrics_extraction"),
        ({"status": "failed"}, "failed"),
        ({"metrics": {}}, "incomplete metrics"),
    ],
)
def test_what_is_missing_is_named(fields: dict[str, Any], reason: str) -> None:
    one = stage(expected_samples=10)
    assert not is_complete(one, seen(**fields))
    assert missing_reason(one, seen(**fields)) == reason
    assert missing_reason(one, None) == "missing file"


def published_stages() -> list[Any]:
    return [
        pytest.param(report, s, id=f"{report['report'][:12]}-{s['title']}")
        for report in reports()
        for s in report["stages"]
    ]


def test_there_are_71_published_stages_with_355_repeats() -> None:
    assert len(published_stages()) == 71
    assert sum(len(p.values[1]["repeats"]) for p in published_stages()) == 355


@pytest.mark.parametrize(("report", "published"), published_stages())
def test_worst_of_five_equals_the_published_row(report: dict[str, Any], published: dict[str, Any]) -> None:
    for label, shown in published["worst"].items():
        bound, digits = METRICS[label][2], METRICS[label][4]
        values = [repeat["metrics"][label] for repeat in published["repeats"]]
        assert len(values) == 5
        assert f"{worst(values, bound):.{digits}f}" == f"{shown:.{digits}f}", (published["title"], label)


# The bound of a constant by its name: section 3.2 of the description of the tool.
UPPER = ("MAX", "latency", "rtf", "WER", "ABOVE")


def test_directions_published_wrongly_come_out_right() -> None:
    """A higher throughput floor is tighter. The May 31 report calls exactly these four `loosens`."""
    wrong = {}
    for report in reports():
        for change in report.get("applied") or []:
            published = change["published_direction"]
            if published is None:
                continue
            bound = "max" if any(word in change["symbol"] for word in UPPER) else "min"
            ours = direction(bound, change["old"], change["new"])
            if ours != published.split(" ")[0]:
                wrong[change["symbol"]] = (published, ours)
    assert wrong == {
        "_VC_NON_STREAM_P95[16]['throughput_qps']": ("loosens (+688.9%)", "tightens"),
        "_VC_NON_STREAM_P95[16]['output_tok_per_req_s']": ("loosens (+77.6%)", "tightens"),
        "_VC_STREAM_P95[16]['throughput_qps']": ("loosens (+796.3%)", "tightens"),
        "_VC_STREAM_P95[16]['output_tok_per_req_s']": ("loosens (+80.4%)", "tightens"),
    }


@pytest.mark.parametrize(
    ("bound", "old", "new", "word"),
    [
        ("min", 1.0, 2.0, "tightens"),
        ("min", 2.0, 1.0, "loosens"),
        ("max", 1.0, 2.0, "loosens"),
        ("max", 2.0, 1.0, "tightens"),
        ("min", 1.0, 1.0 + 1e-13, "equal"),
        ("max", None, 1.0, "unknown"),
        ("max", 1.0, None, "unknown"),
    ],
)
def test_a_direction_follows_from_the_bound(bound: str, old: float | None, new: float | None, word: str) -> None:
    assert direction(bound, old, new) == word


def test_rounds_set_aside_and_values_that_were_not_read_do_not_enter_the_worst(ledger: Ledger) -> None:
    story = Story(ledger, stage("s", metric("throughput_qps", "min")), repeats=3)
    story.observe(1, share(value=5.0)).observe(2, share(value=4.0)).observe(3, share(value=None))
    story.import_file("s", 4, metrics={"throughput_qps": 0.1}, destructive=True)
    found = metric_worst(story.session, story.stages[0], "throughput_qps")
    assert (found.worst_raw, found.repeats, found.values) == (4.0, (1, 2), (5.0, 4.0))


def test_the_worst_of_nothing_is_none() -> None:
    assert worst([], "min") is None
