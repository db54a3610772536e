"""Run directories of the existing tool: read as they are, again and again, in every command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from commands.calibrate.foreign_run import Sources, session_id_of
from commands.calibrate.run_directory import RunDirectory, read_run_file
from commands.calibrate.sessions import level_with
from ledger.events.calibrations import PlanContinued, RepeatImported, RunDirectoryImported
from ledger.ledger import Ledger
from projections.calibration.audit import readiness
from projections.calibration.worst_of_n import metric_worst
from tests.commands.calibrate.published import COMMIT, METRICS, raw, reports, stage_key, write_run_directory

TTS = next(r for r in reports() if r["report"] == "20260627T174156Z-tts-report")


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return write_run_directory(TTS, tmp_path / "runs" / "tts")


def rewrite(path: Path, **changes: Any) -> None:
    """Change fields of a JSON file; a value of `...` removes the field."""
    document = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in document.items() if v is not ...}))


def test_every_published_calibration_imports_strict_ready_with_its_published_worst_rows(
    tmp_path: Path, ledger: Ledger
) -> None:
    checked = 0
    for report in reports():
        directory = RunDirectory(write_run_directory(report, tmp_path / report["report"]))
        session, _ = level_with(ledger, directory, Sources())
        assert readiness(session).ready, report["report"]
        for published in report["stages"]:
            stage = session.stages[stage_key(published["title"])]
            for label, shown in published["worst"].items():
                key, _, _, scale, digits = METRICS[label]
                found = metric_worst(session, stage, key)
                assert found.worst_raw is not None and len(found.values) == 5
                assert f"{found.worst_raw * scale:.{digits}f}" == f"{shown:.{digits}f}", (published["title"], label)
            checked += 1
    assert checked == 71


def test_importing_twice_adds_nothing_and_a_copy_elsewhere_is_the_same_session(
    run_dir: Path, tmp_path: Path, ledger: Ledger
) -> None:
    session, added = level_with(ledger, RunDirectory(run_dir), Sources())
    assert sum(isinstance(e.payload, RepeatImported) for e in added) == 70
    again, nothing = level_with(ledger, RunDirectory(run_dir), Sources())
    assert nothing == [] and again == session
    shutil.copytree(run_dir, tmp_path / "copy")
    moved, events = level_with(ledger, RunDirectory(tmp_path / "copy"), Sources())
    assert moved.id == session.id and events, "the plan says where the directory is now"
    assert all(isinstance(e.payload, (RunDirectoryImported, PlanContinued)) for e in events)


def test_a_run_file_that_changes_comes_and_goes_is_followed(run_dir: Path, ledger: Ledger) -> None:
    level_with(ledger, RunDirectory(run_dir), Sources())
    file = run_dir / "qwen3_asr_wer" / "run2.json"
    original = file.read_bytes()
    rewrite(file, sample_counts={"total": 1088, "ok": 1087})
    partial, _ = level_with(ledger, RunDirectory(run_dir), Sources())
    assert readiness(partial).stages[0].cells == "✓△✓✓✓" and partial.rewritten == ("qwen3_asr_wer/run2",)
    file.unlink()
    gone, _ = level_with(ledger, RunDirectory(run_dir), Sources())
    assert readiness(gone).stages[0].cells == "✓—✓✓✓" and gone.vanished == ("qwen3_asr_wer/run2",)
    file.write_bytes(original)
    back, _ = level_with(ledger, RunDirectory(run_dir), Sources())
    assert readiness(back).ready


def test_the_existing_tools_fields_survive_the_way_in_and_out(run_dir: Path, ledger: Ledger) -> None:
    later = {"attempt_history": [{"attempt": 1}], "gpu_indices": [0, 1], "seed": 7, "observation_valid": True}
    file = run_dir / "qwen3_asr_wer" / "run1.json"
    rewrite(file, **later)
    session, _ = level_with(ledger, RunDirectory(run_dir), Sources())
    from commands.calibrate.run_directory import run_file_document

    assert run_file_document(session, session.observations["qwen3_asr_wer", 1]) == json.loads(file.read_text())


@pytest.mark.parametrize(
    ("data", "cell"),
    [
        (b"", "✗"),
        (b"{", "✗"),
        (b"[]", "✗"),
        (b'{"metrics": {}}', "✗"),
        (b"\xff\xfe", "✗"),
        (b'{"status": "ok", "metrics": {"corpus_wer": NaN, "per_sample_wer_max": 1.0}}', "✗"),
        (b'{"status": "ok", "metrics": {"corpus_wer": Infinity}}', "✗"),
        (b'{"status": "ok", "metrics": {"corpus_wer": "0.01", "per_sample_wer_max": true}}', "✗"),
        (b'{"metrics": 5, "sample_counts": 7, "attempts": "x", "reason": null}', "✗"),
        (b'{"metrics": {"corpus_wer": 1' + b"0" * 400 + b"}}", "✗"),
        (b"[" * 100_000, "✗"),
    ],
)
def test_no_run_file_can_break_an_audit(run_dir: Path, ledger: Ledger, data: bytes, cell: str) -> None:
    (run_dir / "qwen3_asr_wer" / "run3.json").write_bytes(data)
    session, _ = level_with(ledger, RunDirectory(run_dir), Sources())
    assert readiness(session).stages[0].cells == f"✓✓{cell}✓✓"


def test_values_that_are_not_finite_keep_their_text() -> None:
    payload = read_run_file("s", "a", 1, b'{"metrics": {"x": NaN, "y": -Infinity, "z": 2}}')
    assert payload.metrics == {"x": None, "y": None, "z": 2.0}
    assert payload.not_finite == {"x": "nan", "y": "-inf"}


def test_unlisted_stage_folders_and_other_files_are_ignored(run_dir: Path, ledger: Ledger) -> None:
    (run_dir / "not_in_plan").mkdir()
    (run_dir / "not_in_plan" / "run1.json").write_text("{}")
    for name in ("run0.json", "run01.json", "run1.json.bak", "run.json", "run1.log"):
        (run_dir / "qwen3_asr_wer" / name).write_text("{}")
    session, _ = level_with(ledger, RunDirectory(run_dir), Sources())
    assert len(session.observations) == 70


def test_destructive_rounds_of_the_later_layout_are_d_and_do_not_count(run_dir: Path, ledger: Ledger) -> None:
    file = run_dir / "qwen3_asr_wer" / "run2.json"
    rewrite(
        file,
        destructive=True,
        destructive_evidence=[{"metric": "corpus_wer", "z": 9.5}],
        metrics={"corpus_wer": 0.9, "per_sample_wer_max": 0.9},
    )
    shutil.copy(run_dir / "qwen3_asr_wer" / "run1.json", run_dir / "qwen3_asr_wer" / "run6.json")
    session, _ = level_with(ledger, RunDirectory(run_dir), Sources())
    stage = readiness(session).stages[0]
    assert (stage.cells, stage.ready, stage.effective_n) == ("✓D✓✓✓✓", True, 5)
    worst = metric_worst(session, session.stages["qwen3_asr_wer"], "corpus_wer").worst_raw
    assert worst == raw("Corpus WER (%)", 1.38)


def test_equivalent_commits_that_the_plan_names_are_accepted(run_dir: Path, ledger: Ledger) -> None:
    other = "1" * 40
    rewrite(run_dir / "qwen3_asr_wer" / "run2.json", git_sha=other)
    assert not readiness(level_with(ledger, RunDirectory(run_dir), Sources())[0]).ready
    rewrite(run_dir / "plan.json", equivalent_commits=[other])
    assert readiness(level_with(ledger, RunDirectory(run_dir), Sources())[0]).ready


def test_readers_use_the_calibration_sha_and_fall_back_to_the_second_field(run_dir: Path, ledger: Ledger) -> None:
    rewrite(run_dir / "plan.json", calibration_git_sha=...)
    session, _ = level_with(ledger, RunDirectory(run_dir), Sources())
    assert session.plan.calibration_git_sha == COMMIT and readiness(session).ready


def test_the_session_is_named_by_what_identifies_the_plan() -> None:
    plan = {"model": "m", "stages": ["a"], "repeats": 5, "timestamp": "2026-06-27T11:51:30Z", "git_sha": "x"}
    assert session_id_of(plan).startswith("20260627T115130Z-")
    assert session_id_of(plan) == session_id_of(plan | {"last_resume_at": "2026-06-28T00:00:00Z", "dirty": True})
    assert session_id_of(plan) != session_id_of(plan | {"repeats": 3})
    assert session_id_of(plan | {"perfledger_session": "mine"}) == "mine"


def test_pytest_logs_become_evidence_and_prove_optimizations(run_dir: Path, tmp_path: Path, cli: Any) -> None:
    schema = tmp_path / "runs" / "tts.stages.yaml"
    schema.write_text(
        schema.read_text().replace(
            "  context_vars: []\n", '  context_vars: []\n  runtime_evidence:\n    cuda graph: "cuda graph: True"\n', 1
        )
    )
    logs = run_dir / "_pytest" / "test_qwen3_asr_ci"
    logs.mkdir(parents=True)
    for k in range(1, 6):
        (logs / f"run{k}.log").write_text("start\n" + ("cuda graph: True\n" if k != 4 else "") + "end\n")
    cli("init", code=0)
    done = cli("calibrate", "import", "runs/tts", "--json", code=0).json
    assert (done["imported"], done["vanished"], done["run_files"]) == (70, 0, 70)
    audit = cli("calibrate", "audit", run_dir, code=0).out
    assert "qwen3_asr_wer: runtime evidence cuda graph: MISSING (4/5 repeats)" in audit
    stage = cli("calibrate", "audit", run_dir, "--json", code=0).json["stages"][0]
    assert stage["runtime_evidence"] == {"cuda graph": {"found": 4, "checked": 5}}
    assert cli("verify", code=0).code == 0


def test_every_command_takes_a_run_directory_never_seen_before(run_dir: Path, cli: Any) -> None:
    cli("init", code=0)
    assert cli("calibrate", "status", "runs/tts", code=0).json["strict_ready"] == "14/14"
    rows = cli("sql", "SELECT count(*) AS n FROM audit_matrix WHERE cell = '✓'", "--format", "json", code=0).json
    assert rows == [{"n": 70}]


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda d: (d / "plan.json").unlink(), "no plan.json in runs/tts"),
        (lambda d: (d / "plan.json").write_text("{"), "plan.json is not JSON"),
        (lambda d: (d / "plan.json").write_text("[]"), "plan.json is not a JSON object"),
        (lambda d: rewrite(d / "plan.json", repeats="5"), "repeats must be a whole number"),
        (lambda d: rewrite(d / "plan.json", repeats=True), "repeats must be a whole number"),
        (lambda d: rewrite(d / "plan.json", stages=[1]), "stages must be a list of stage keys"),
        (lambda d: rewrite(d / "plan.json", stages=["nope"]), "has no stage 'nope'"),
        (lambda d: (d.parent / "tts.stages.yaml").unlink(), "stages.yaml"),
    ],
)
def test_a_directory_that_cannot_be_read_is_refused_in_one_sentence(
    run_dir: Path, cli: Any, break_it: Any, says: str
) -> None:
    cli("init", code=0)
    break_it(run_dir)
    refused = cli("calibrate", "audit", "runs/tts", code=2)
    assert says in refused.err and len(refused.err.strip().splitlines()) <= 2
    assert cli("calibrate", "audit", "runs/tts", "--json", code=2).json["error"]["code"]


def test_the_past_can_be_audited(run_dir: Path, cli: Any) -> None:
    cli("init", code=0)
    cli("calibrate", "audit", "runs/tts", code=0)
    then = cli("sql", "SELECT max(recorded_at) AS t FROM events", "--format", "json", code=0).json
    moment = (then if isinstance(then, list) else then["rows"])[0]["t"]
    (run_dir / "qwen3_asr_wer" / "run5.json").unlink()
    cli("calibrate", "audit", "runs/tts", code=1)
    cli("calibrate", "audit", "runs/tts", "--as-of", moment, code=0)
    too_early = cli("calibrate", "audit", "runs/tts", "--as-of", "2020-01-01", code=2)
    assert "was not known at 2020-01-01" in too_early.err


def test_a_schema_that_changed_is_followed_and_one_that_vanished_is_remembered(
    run_dir: Path, tmp_path: Path, ledger: Ledger
) -> None:
    level_with(ledger, RunDirectory(run_dir), Sources())
    schema = tmp_path / "runs" / "tts.stages.yaml"
    stricter = tmp_path / "stricter.yaml"
    stricter.write_text(schema.read_text().replace("expected_samples: 1088", "expected_samples: 2000", 1))
    session, _ = level_with(ledger, RunDirectory(run_dir), Sources(stages_yaml=stricter))
    assert readiness(session).stages[0].line() == "qwen3_asr_wer: ✗✗✗✗✗ (0/5 strict, expected=2000)"
    stricter.unlink()
    schema.unlink()
    session, added = level_with(ledger, RunDirectory(run_dir), Sources())
    assert added == [] and readiness(session).strict_ready == 13
