"""purge, status, merge, compare and pr-body on imported calibrations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from commands.calibrate.compare import moves
from commands.calibrate.measuring.loop import early_end
from ledger.ledger import Ledger
from projections.calibration.session import units_of
from tests.commands.calibrate.published import reports, write_run_directory
from tests.e2e.tiny_project import git
from tests.projections.calibration.story import OTHER, Story, metric, share, stage

TTS = next(r for r in reports() if r["report"] == "20260627T174156Z-tts-report")
UNIT = ["qwen3_asr_wer", "qwen3_asr_speed"]  # the stages of one test file


@pytest.fixture
def run_dir(tmp_path: Path, cli: Any) -> Path:
    cli("init", code=0)
    return write_run_directory(TTS, tmp_path / "tts")


def test_a_purge_takes_a_repeat_of_the_whole_unit_as_an_event(run_dir: Path, cli: Any) -> None:
    dry = cli("calibrate", "purge", "tts", "--stage", UNIT[0], "--repeat", "2", "--dry-run", "--json", code=0).json
    assert dry["purged"] == [{"unit": "test_qwen3_asr_ci", "repeat": 2, "stages": UNIT, "reason": "asked for"}]
    assert (run_dir / UNIT[1] / "run2.json").exists()
    cli("calibrate", "purge", "tts", "--stage", UNIT[0], "--repeat", "2", code=0)
    assert not any((run_dir / key / "run2.json").exists() for key in UNIT)
    audit = cli("calibrate", "audit", "tts", "--json", code=1).json["stages"]
    assert [s["cells"] for s in audit[:3]] == ["✓—✓✓✓", "✓—✓✓✓", "✓✓✓✓✓"]
    # what was measured stays in the log
    rows = cli("sql", "SELECT count(*) AS n FROM events WHERE type = 'RepeatImported'", "--format", "json", code=0).json
    assert (rows if isinstance(rows, list) else rows["rows"])[0]["n"] == 70


def test_stale_and_incomplete_repeats_are_found_by_themselves(run_dir: Path, cli: Any) -> None:
    stale = run_dir / UNIT[1] / "run3.json"
    stale.write_text(json.dumps(json.loads(stale.read_text()) | {"git_sha": OTHER}))
    partial = run_dir / UNIT[0] / "run5.json"
    partial.write_text(json.dumps(json.loads(partial.read_text()) | {"sample_counts": {"total": 1088, "ok": 7}}))
    found = cli("calibrate", "purge", "tts", "--stale", "--incomplete", "--json", code=0).json["purged"]
    assert [(p["repeat"], p["reason"]) for p in found] == [
        (3, f"qwen3_asr_speed was measured on {OTHER[:8]}"),
        (5, "qwen3_asr_wer: partial samples (ok 7 of 1088)"),
    ]
    assert cli("calibrate", "purge", "tts", "--stale", "--incomplete", code=0).out == "nothing to purge\n"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "say what to purge"),
        (("--stage", "nope", "--repeat", "1"), "no stage nope"),
        (("--repeat", "9"), "no repeat 9 was observed"),
    ],
)
def test_a_purge_that_means_nothing_is_refused(run_dir: Path, cli: Any, args: tuple[str, ...], says: str) -> None:
    assert says in cli("calibrate", "purge", "tts", *args, code=2).err


def test_status_has_the_known_fields_in_their_order(run_dir: Path, cli: Any) -> None:
    (run_dir / "run.log").write_text("".join(f"line {n}\n" for n in range(20)))
    (run_dir / UNIT[0] / "run4.json").unlink()
    document = cli("calibrate", "status", "tts", code=1).json
    assert list(document)[:20] == [
        "run_dir",
        "model",
        "repeats",
        "complete",
        "ok",
        "total",
        "missing_count",
        "missing",
        "gpu_memory_mib",
        "gpu_busy",
        "gpu_ready",
        "gpus_under_2gb_mib",
        "launch_allowed",
        "gpu_mem_limit_mib",
        "pytest_active",
        "run_log_tail",
        "agent_poll_interval_s",
        "strict_ready",
        "strict_complete",
        "timestamp",
    ]
    assert (document["ok"], document["total"], document["strict_ready"]) == (69, 70, "13/14")
    assert document["missing"] == [{"stage_key": UNIT[0], "run": 4, "reason": "missing file"}]
    assert document["run_log_tail"] == [f"line {n}" for n in range(5, 20)]
    assert document == cli("calibrate", "status", "tts", "--json", code=1).json | {"timestamp": document["timestamp"]}


def test_status_is_not_green_when_provenance_fails(run_dir: Path, cli: Any) -> None:
    file = run_dir / UNIT[0] / "run1.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"git_sha": OTHER}))
    document = cli("calibrate", "status", "tts", code=1).json
    assert (document["complete"], document["strict_complete"], document["ready"]) == (True, True, False)


def partition(run_dir: Path, target: Path, keep: list[str]) -> None:
    shutil.copytree(run_dir, target)
    plan = json.loads((target / "plan.json").read_text())
    for key in set(plan["stages"]) - set(keep):
        shutil.rmtree(target / key)
    (target / "plan.json").write_text(json.dumps(plan | {"stages": keep}))


def test_disjoint_partitions_merge_into_one_ready_session(run_dir: Path, tmp_path: Path, cli: Any) -> None:
    keys = json.loads((run_dir / "plan.json").read_text())["stages"]
    partition(run_dir, tmp_path / "a", keys[:2])
    partition(run_dir, tmp_path / "b", keys[2:])
    cli("calibrate", "merge", "a", "b", "--output-dir", "m", "--dry-run", code=0)
    assert not (tmp_path / "m").exists()
    merged = cli("calibrate", "merge", "a", "b", "--output-dir", "m", "--json", code=0).json
    assert merged["stages"] == keys
    audit = cli("calibrate", "audit", "m", "--json", code=0).json
    assert audit["strict_ready"] == "14/14" and audit["session"] == merged["session"]
    for key in keys:
        ours, theirs = (json.loads((d / key / "run3.json").read_text()) for d in (tmp_path / "m", run_dir))
        assert ours == theirs
    assert cli("calibrate", "merge", "a", "b", "--output-dir", "m", "--json", code=0).json == merged
    overlap = cli("calibrate", "merge", "a", "tts", "--output-dir", "x", code=1)
    assert "stage qwen3_asr_wer is in" in overlap.err and not (tmp_path / "x").exists()


def test_partitions_of_different_calibrations_are_refused(run_dir: Path, tmp_path: Path, cli: Any) -> None:
    keys = json.loads((run_dir / "plan.json").read_text())["stages"]
    partition(run_dir, tmp_path / "a", keys[:2])
    partition(run_dir, tmp_path / "b", keys[2:])
    precheck = json.loads((tmp_path / "b" / "precheck.json").read_text())
    (tmp_path / "b" / "precheck.json").write_text(json.dumps(precheck | {"gpu_summary": "8× NVIDIA B200"}))
    refused = cli("calibrate", "merge", "a", "b", "--output-dir", "m", code=1)
    assert "differ in gpu_summary" in refused.err
    (tmp_path / "a" / keys[0] / "run1.json").unlink()
    assert "is not ready" in cli("calibrate", "merge", "a", "b", "--output-dir", "m", code=1).err


def two(ledger: Ledger, before: list[float], after: list[float], **how: Any) -> Any:
    bound = how.pop("worst", "min")
    stories = []
    for name, values in (("before", before), ("after", after)):
        story = Story(ledger, stage("s", metric("throughput_qps", bound, **how)), session=name, repeats=len(values))
        for k, value in enumerate(values, 1):
            story.observe(k, share(value=value))
        stories.append(story.session)
    return moves(*stories)[0]


@pytest.mark.parametrize(
    ("before", "after", "how", "verdict"),
    [
        ([10.0, 10.1, 10.2, 10.3, 10.4], [9.0, 9.1, 9.2, 9.3, 9.4], {}, "worse"),
        ([10.0, 10.1, 10.2, 10.3, 10.4], [9.0, 9.1, 9.2, 9.3, 9.4], {"worst": "max"}, "better"),
        ([10.0, 10.1, 10.2, 10.3, 10.4], [10.05, 10.15, 10.25, 9.9, 10.5], {}, "noise"),
        # separated, but less than the display shows
        ([1.00001, 1.00002, 1.00003, 1.00004, 1.00005], [1.00006, 1.00007, 1.00008, 1.00009, 1.0001], {}, "noise"),
        ([10.0, 10.1], [1.0, 1.1], {}, "too few"),
    ],
)
def test_a_move_beyond_noise_is_separated_and_visible(
    ledger: Ledger, before: list[float], after: list[float], how: Any, verdict: str
) -> None:
    assert two(ledger, before, after, **how).verdict == verdict


def test_two_real_calibrations_compare_stage_by_stage(tmp_path: Path, cli: Any) -> None:
    omni = [r for r in reports() if "qwen3-omni" in r["report"]]
    for name, report in zip(("june", "may"), omni, strict=True):
        write_run_directory(report, tmp_path / name)
    cli("init", code=0)
    found = cli("calibrate", "compare", "may", "june", "--json", code=0).json
    by_name = {(m["stage"], m["metric"]): m for m in found["moves"]}
    assert by_name["mmmu_speed", "throughput_qps"]["verdict"] == "better"
    assert by_name["mmmu_speed", "throughput_qps"]["p_value"] == pytest.approx(2 / 252)
    assert by_name["videomme_talker_wer", "n_above_50"]["verdict"] == "noise"
    assert "docs_smoke" in found["only_before"]
    text = cli("calibrate", "compare", "may", "june", code=0).out
    assert "mmmu_speed" in text and "better" in text.splitlines()[-1]
    cli("calibrate", "compare", "may", "may", code=0)


def test_the_pull_request_text_names_worst_values_and_evidence(run_dir: Path, cli: Any) -> None:
    text = cli("calibrate", "pr-body", "tts", code=0).out
    assert text.startswith("# Calibrate tts thresholds (worst of 5 at a5abacd5)\n")
    assert "- QWEN3 ASR Wer: Corpus WER (%) ≤ 1.38, Max per-sample WER (%) ≤ 28.57\n" in text
    assert "- TTS HIGGS NONSTREAM Speed: Throughput (req/s) ≥ 17.508" in text
    assert text.index("## Accuracy") < text.index("## WER") < text.index("## Speed") < text.index("## Evidence")
    assert "Nothing was applied." in text
    refused = cli("calibrate", "pr-body", "tts", "--commit", code=1)
    assert "nothing to commit" in refused.err
    newest = json.loads(cli("events", "list", "--json", code=0).out.splitlines()[-1])
    (run_dir / UNIT[0] / "run1.json").unlink()
    assert "not ready" in cli("calibrate", "pr-body", "tts", code=1).err
    assert cli("calibrate", "pr-body", "tts", "--as-of", newest["event_id"], code=0).out == text
    assert "--commit" in cli("calibrate", "pr-body", "tts", "--as-of", newest["event_id"], "--commit", code=2).err


def test_a_commit_takes_the_applied_files_and_nothing_else(ledger: Ledger, tmp_path: Path) -> None:
    from commands.calibrate.applying.commit import Change, commit
    from commands.calibrate.pr_body import applied_files, title
    from ledger.errors import BadInput
    from tests.commands.calibrate.test_report import applied

    root = tmp_path / "repo"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.email", "t@example.org")
    git(root, "config", "user.name", "t")
    for name in ("a.py", "b.py"):
        (root / name).write_text("X = 1\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "one")
    story = Story(ledger, stage("s"), repeats=1, repo_root=str(root)).observe(1).append(applied(44.1, file="a.py"))
    run_dir = tmp_path / "run"
    change = Change(root, applied_files(story.session, run_dir), title(story.session))
    with pytest.raises(BadInput, match="no uncommitted change"):
        commit(ledger, story.session, change, run_dir)
    for name in ("a.py", "b.py"):
        (root / name).write_text("X = 2\n")
    git(root, "add", "b.py")  # what a person staged stays staged
    sha = commit(ledger, story.session, change, run_dir)
    assert f"Perfledger-Calibration: {story.session.id}" in git(root, "show", "--no-patch", "--format=%(trailers)", sha)
    assert git(root, "show", "--name-only", "--format=%s", sha).split("\n") == [
        "Calibrate m thresholds (worst of 1 at a5abacd5)",
        "",
        "a.py",
    ]
    assert git(root, "diff", "--cached", "--name-only") == "b.py"
    types = [e.type for e in ledger.read_stream(story.stream)][-2:]
    assert types == ["PullRequestCommitIntended", "PullRequestCommitted"]


@pytest.mark.parametrize(
    ("values", "settles"),
    [
        ([10.0, 10.0001, 10.0002], True),  # a future value beyond 10 - 0.1 is out of reach
        ([10.0, 11.0, 12.0], False),
        ([10.0, 10.0], False),  # never before three
    ],
)
def test_repeats_end_early_only_when_the_worst_can_hardly_move(
    ledger: Ledger, values: list[float], settles: bool
) -> None:
    story = Story(ledger, stage("s", metric("throughput_qps", digits=1)))
    for k, value in enumerate(values, 1):
        story.observe(k, share(value=value))
    session = story.session
    found = early_end(session, units_of(session.plan)[0], 0.05, gpus=2)
    assert (found is not None) is settles
    if found is not None:
        assert (found.repeats, found.planned, found.saved_gpu_s) == (3, 5, 1.5 * 2 * 2)
        assert found.risk <= found.allowed
        from projections.calibration.audit import readiness

        result = readiness(story.append(found).session)
        assert result.ready and result.stages[0].line() == "s: ✓✓✓ (3/3 strict, settled early of 5)"


def test_a_session_can_be_named_by_its_id_wherever_a_run_directory_is_asked_for(run_dir: Path, cli: Any) -> None:
    session = cli("calibrate", "audit", "tts", "--json", code=0).json["session"]
    assert cli("calibrate", "audit", session, "--json", code=0).json["strict_ready"] == "14/14"
    assert cli("calibrate", "status", session, code=0).json["ready"] is True
    assert "no repeat of" in cli("calibrate", "watch", session, "--wait", "0", code=5).err
    assert "no plan.json in nobody" in cli("calibrate", "audit", "nobody", code=2).err
    assert "no plan.json in nobody" in cli("calibrate", "watch", "nobody", code=2).err


def test_a_run_directory_is_watched_without_a_ledger(tmp_path: Path, cli: Any) -> None:
    write_run_directory(TTS, tmp_path / "tts")
    assert "no repeat of tts is running" in cli("calibrate", "watch", "tts", "--wait", "0", code=5).err
