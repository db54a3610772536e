"""The one readiness rule and the lines of the strict audit."""

from __future__ import annotations

import pytest

from ledger.events.calibrations import RoundRejected, RunFileVanished
from ledger.ledger import Ledger
from projections.calibration.audit import audit_lines, audit_stage, readiness
from tests.projections.calibration.story import COMMIT, OTHER, Story, metric, share, stage


def test_a_ready_session_prints_exactly_the_known_lines(ledger: Ledger) -> None:
    story = Story(ledger, stage("tts_higgs_nonstream_utmos", expected_samples=10), stage("b")).all_strict()
    result = readiness(story.session)
    assert result.ready and result.reasons == ()
    assert audit_lines(story.session, result) == [
        f"calibration_git_sha: {COMMIT}",
        "GIT PROVENANCE: ok (all artifacts match calibration commit)",
        "tts_higgs_nonstream_utmos: ✓✓✓✓✓ (5/5 strict, expected=10)",
        "b: ✓✓✓✓✓ (5/5 strict)",
        "STRICT READY: 2/2 stages (5 repeats each)",
        "STRICT + GIT: READY",
    ]


def test_a_gap_a_partial_and_a_failed_repeat_show_in_their_places(ledger: Ledger) -> None:
    story = Story(ledger, stage("s", expected_samples=10))
    story.observe(1).observe(2, share(ok=9)).observe(4, share(total=5, ok=5)).observe(5)
    result = readiness(story.session)
    assert audit_stage(story.session, story.stages[0]).line() == "s: ✓△—✗✓ (2/5 strict, expected=10)"
    assert result.reasons == ("strict audit incomplete (0/1 stages strict-ready)", "incomplete calibration (2/5)")
    assert [(m.name(), m.reason) for m in result.missing] == [
        ("s/run2", "partial samples (ok 9 of 10)"),
        ("s/run3", "missing file"),
        ("s/run4", "sample scope mismatch (total 5 != expected 10)"),
    ]
    assert audit_lines(story.session, result)[-1] == "STRICT READY: 0/1 stages (5 repeats each)"


def test_strict_metrics_with_failed_provenance_say_so_and_are_not_ready(ledger: Ledger) -> None:
    story = Story(ledger, stage("s"), repeats=2).observe(1).observe(2, sha=OTHER)
    result = readiness(story.session)
    assert result.strict_complete and not result.ready
    lines = audit_lines(story.session, result)
    assert lines[1:3] == [
        "GIT PROVENANCE: FAIL — 1 run(s) recorded on a different commit",
        f"  s/run2: artifact {OTHER[:8]} != calibration {COMMIT[:8]}",
    ]
    assert lines[-1] == (
        "STRICT metrics ok but GIT PROVENANCE failed — purge stale runs or start a fresh "
        "--output-dir on the current commit"
    )


def test_ten_mismatches_and_ten_missing_are_shown_and_the_rest_counted(ledger: Ledger) -> None:
    """`… and <m+s-10> more`, m + s being both list lengths, when either list exceeds ten."""
    story = Story(ledger, stage("s"), repeats=12)
    for repeat in range(1, 13):
        story.import_file("s", repeat, git_sha=OTHER)
    story.import_file("s", 13, git_sha="")
    lines = audit_lines(story.session, readiness(story.session))
    shown = [line for line in lines if line.startswith("  ")]
    assert len(shown) == 12 and shown[-2:] == ["  s/run13", "  … and 3 more"]


def test_the_line_without_a_commit_is_left_out(ledger: Ledger) -> None:
    story = Story(ledger, stage("s"), sha="")
    lines = audit_lines(story.session, readiness(story.session))
    assert lines[0] == "GIT PROVENANCE: FAIL — plan.json has no calibration_git_sha"


def test_more_than_n_rounds_are_all_shown_and_n_strict_ones_are_enough(ledger: Ledger) -> None:
    story = Story(ledger, stage("s"), repeats=3).observe(1).observe(2, share(ok=1)).observe(3).observe(4)
    result = readiness(story.session)
    assert result.ready and result.stages[0].cells == "✓△✓✓"


def test_a_rejected_round_is_d_and_the_line_says_what_counts(ledger: Ledger) -> None:
    story = Story(ledger, stage("s"), repeats=2)
    story.observe(1).observe(2).append(
        RoundRejected(session="story", unit="test_a_ci", repeat=2, stages=["s"], evidence=[])
    )
    result = readiness(story.session)
    assert result.stages[0].line() == "s: ✓D (1/2 strict, rounds=2, effective=1)"
    assert [(m.run, m.reason) for m in result.missing] == [(None, "1 clean repeat(s) short")]
    story.observe(3).observe(4)
    assert readiness(story.session).stages[0].line() == "s: ✓D✓✓ (2/2 strict, rounds=4, effective=3)"
    assert readiness(story.session).ready


def test_a_session_without_stages_is_not_ready(ledger: Ledger) -> None:
    assert readiness(Story(ledger).session).reasons == ("the plan has no stages",)


def test_a_purged_repeat_is_absent_until_it_is_measured_again(ledger: Ledger) -> None:
    story = Story(ledger, stage("s"), repeats=2).all_strict().purge(1)
    assert readiness(story.session).stages[0].cells == "—✓"
    assert readiness(story.observe(1).session).ready


def test_what_the_old_audit_does_not_know_comes_after_its_lines(ledger: Ledger) -> None:
    patterns = {"cuda graph": "cuda graph: True", "fp8": "fp8"}
    story = Story(ledger, stage("s", counted=False, evidence=patterns), repeats=2)
    story.observe(1, suspect=["GPU 0 throttled 40 % of the time"], log_found={"cuda graph": "x", "fp8": None})
    story.observe(2, log_found={"cuda graph": "x", "fp8": "y"})
    lines = audit_lines(story.session, readiness(story.session))
    ready = lines.index("STRICT + GIT: READY")
    assert lines[ready + 1 :] == [
        "s: samples not counted (no sample_counts in stages.yaml)",
        "s: runtime evidence cuda graph: found (2/2 repeats)",
        "s: runtime evidence fp8: MISSING (1/2 repeats)",
        "s/run1: suspect: GPU 0 throttled 40 % of the time",
    ]


def test_run_files_that_changed_or_vanished_are_findings(ledger: Ledger) -> None:
    story = Story(ledger, stage("s"), repeats=2).import_file("s", 1).import_file("s", 2)
    story.import_file("s", 1, sha256="another", metrics={"throughput_qps": 9.0})
    story.append(RunFileVanished(session="story", stage="s", repeat=2, sha256="s2"))
    lines = audit_lines(story.session, readiness(story.session))
    assert lines[-2:] == ["rewritten since it was first seen: s/run1", "vanished since it was first seen: s/run2"]
    assert readiness(story.session).stages[0].cells == "✓—"


def test_json_has_the_fields_of_the_contract(ledger: Ledger) -> None:
    story = Story(ledger, stage("s", expected_samples=10)).all_strict()
    document = readiness(story.session).as_json()
    assert document["strict_ready"] == "1/1" and document["strict_complete"] is True
    assert (
        document["provenance"].items()
        >= {"ok": True, "calibration_git_sha": COMMIT, "mismatches": [], "missing": []}.items()
    )
    assert (
        document["stages"][0].items()
        >= {"stage": "s", "cells": "✓✓✓✓✓", "strict": 5, "repeats": 5, "expected_samples": 10}.items()
    )


@pytest.mark.parametrize("value", [None, float("nan")])
def test_readiness_never_rests_on_a_value_that_is_not_there(ledger: Ledger, value: float | None) -> None:
    """NaN cannot enter an event; the boundary says so instead of storing it."""
    from ledger.errors import BadInput

    story = Story(ledger, stage("s", metric("throughput_qps")), repeats=1)
    if value is None:
        assert not readiness(story.observe(1, share(value=value)).session).ready
    else:
        with pytest.raises(BadInput, match="NaN"):
            story.observe(1, share(value=value))
