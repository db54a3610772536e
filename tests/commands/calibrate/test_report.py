"""report.md to the byte of the existing format, its refusals, and what survives writing it again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from commands.calibrate.foreign_run import Sources
from commands.calibrate.report import contents_of, refusal_lines, write_report
from commands.calibrate.reporting import markdown
from commands.calibrate.reporting.contents import AppliedChange, context_line, trimmed
from commands.calibrate.run_directory import RunDirectory
from commands.calibrate.sessions import level_with, read_session
from ledger.events.calibrations import UnitFlagged
from ledger.events.thresholds import ThresholdApplied
from ledger.ledger import Ledger
from projections.calibration.audit import readiness
from tests.commands.calibrate.published import METRICS, reports, write_run_directory
from tests.e2e.tiny_project import git
from tests.projections.calibration.story import COMMIT, OTHER, Story, metric, share, stage

TTS = next(r for r in reports() if r["report"] == "20260627T174156Z-tts-report")

GOLDEN = """# CI Threshold Observation Report

**Calibration commit:** `a5abacd5334c743c81fcd0426628876333bd10f0`
**Branch:** main
**Run directory:** `.tune-runs/x`
**Calibration started:** 2026-06-27T11:51:30Z
**Report generated:** STAMP

## 1. TTS HIGGS NONSTREAM Speed

— 2× NVIDIA H20, 1088 samples, max_tokens=32, concurrency=16, 2 runs

| Run | Samples run | Samples ok | Throughput (req/s) | Latency mean (s) |
|-----|--------|--------|--------|--------|
| 1 | 1088 | 1088 | 17.678 | 0.899 |
| 2 | 1088 | 1088 | 17.508 | 0.908 |
| **Worst-of-2** | — | — | **17.508** | **0.908** |

## 2. Docs smoke

— 2× NVIDIA H20, docs smoke, 2 runs

| Run | Result |
|-----|--------|
| 1 | PASS |
| 2 | PASS |
| **Worst-of-2** | **PASS** |

## Provenance

- Model: tts
- Calibration commit: `a5abacd5334c743c81fcd0426628876333bd10f0`
- Branch: main (dirty) — see `workspace.diff`
- Calibration started: 2026-06-27T11:51:30Z
- Venv Python: /venv/bin/python (flag)
- sglang 0.5.12.post1 · torch 2.11.0+cu130
- GPU: 2× NVIDIA H20
- tune-ci-thresholds v0.6.0
- Report generated: STAMP
"""


def golden_story(ledger: Ledger, tmp_path: Path) -> Story:
    speed = stage(
        "tts_higgs_nonstream_speed",
        metric("throughput_qps", "min", label="Throughput (req/s)", digits=3),
        metric("latency_mean_s", "max", label="Latency mean (s)", digits=3),
        title="TTS HIGGS NONSTREAM Speed",
        expected_samples=1088,
        context={"max_samples": 1088, "max_new_tokens": 32, "max_concurrency": 16},
    )
    story = Story(
        ledger,
        speed,
        stage("tts_docs", docs=True, title="Docs smoke", group="docs", counted=False),
        repeats=2,
        model="tts",
        git_branch="main",
        dirty=True,
        venv_python="/venv/bin/python",
        venv_source="flag",
        gpu_summary="2× NVIDIA H20",
        tune_version="0.6.0",
        versions={"sglang": "0.5.12.post1", "torch": "2.11.0+cu130"},
        run_dir=str(tmp_path),
    )
    for k, qps, latency in ((1, 17.6784, 0.8991), (2, 17.5081, 0.90841)):
        story.observe(
            k,
            share(
                "tts_higgs_nonstream_speed",
                total=1088,
                ok=1088,
                metrics={"throughput_qps": qps, "latency_mean_s": latency},
            ),
            share("tts_docs", total=None, ok=None, metrics={}),
        )
    return story


def test_the_report_is_the_existing_one_to_the_byte_up_to_its_provenance(ledger: Ledger, tmp_path: Path) -> None:
    story = golden_story(ledger, tmp_path)
    text = markdown.render(contents_of(ledger, story.session, None, shown_dir=".tune-runs/x"))
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ(?=\n\n|\n\Z)", "STAMP", text.split("\n## Metric statistics")[0])
    text = re.sub(r"(Report generated:\**) .*", r"\1 STAMP", text)
    assert text.rstrip("\n") == GOLDEN.rstrip("\n")


def test_values_round_half_even_on_the_binary_value() -> None:
    from commands.calibrate.reporting.contents import display

    assert display(metric(digits=2), 0.125) == "0.12"  # exactly half: to even
    assert display(metric(digits=2), 2.675) == "2.67"  # binary 2.67499...
    assert display(metric(scale=100, digits=2), 0.0104) == "1.04"
    assert display(metric(), None) == "N/A"


def test_every_published_stage_table_comes_out_as_published(tmp_path: Path, ledger: Ledger) -> None:
    checked = 0
    for report in reports():
        directory = RunDirectory(write_run_directory(report, tmp_path / report["report"]))
        session, _ = level_with(ledger, directory, Sources())
        text = markdown.render(contents_of(ledger, session, directory, shown_dir="x"))
        for number, published in enumerate(report["stages"], 1):
            section = text.split(f"## {number}. {published['title']}\n")[1].split("\n## ")[0]
            for label, shown in published["worst"].items():
                digits = METRICS[label][4]
                assert f"**{shown:.{digits}f}**" in section, (published["title"], label)
                for repeat in published["repeats"]:
                    assert f" {repeat['metrics'][label]:.{digits}f} |" in section
                    checked += 1
    assert checked > 700


def test_a_missing_repeat_and_a_metric_without_configuration_show_as_such(ledger: Ledger) -> None:
    two = stage("s", metric("throughput_qps"), metric("rtf_mean", "max", configured=False, label="RTF mean"))
    story = Story(ledger, two, repeats=2).observe(2, share(metrics={"throughput_qps": 2.0, "rtf_mean": None}))
    assert markdown.stage_table(story.session, two) == [
        "| Run | Samples run | Samples ok | throughput_qps | RTF mean |",
        "|-----|--------|--------|--------|--------|",
        "| 1 | MISSING | MISSING | MISSING | MISSING |",
        "| 2 | 10 | 10 | 2.000 | N/A |",
        "| **Worst-of-2** | — | — | **2.000** | **N/A** |",
        "",
        "> ⚠ RTF mean: no `json_path` in stages.yaml (config.yaml `metric_sources` missing this metric)",
    ]


def test_refusals_come_in_their_order_with_their_lines(ledger: Ledger) -> None:
    stale = Story(ledger, stage("s", expected_samples=10), repeats=2).observe(1, sha=OTHER)
    assert refusal_lines(readiness(stale.session)) == [
        "error: refusing report — git provenance failed: 1 run(s) recorded on a different commit",
        f"  s/run1: artifact {OTHER[:8]} != calibration {COMMIT[:8]}",
    ]
    short = Story(ledger, stage("s", expected_samples=10), repeats=2, session="b").observe(1)
    short.observe(2, share(ok=1))
    assert refusal_lines(readiness(short.session)) == [
        "error: refusing report — strict audit incomplete (0/1 stages strict-ready)",
        "  s: ✓△ (1/2, expected=10)",
    ]


def test_the_command_refuses_and_writes_nothing(tmp_path: Path, cli: Any) -> None:
    run_dir = write_run_directory(TTS, tmp_path / "tts")
    (run_dir / "qwen3_asr_wer" / "run1.json").unlink()
    cli("init", code=0)
    refused = cli("calibrate", "report", "tts", code=1)
    assert refused.err.splitlines()[:2] == [
        "error: refusing report — strict audit incomplete (13/14 stages strict-ready)",
        "  qwen3_asr_wer: —✓✓✓✓ (4/5, expected=1088)",
    ]
    assert not (run_dir / "report.md").exists()
    assert cli("calibrate", "report", "tts", "--json", code=1).json["error"]["code"] == "not_ready"


def test_what_people_wrote_is_kept_and_what_the_tool_wrote_is_renewed(tmp_path: Path, cli: Any) -> None:
    run_dir = write_run_directory(TTS, tmp_path / "tts")
    path = run_dir / "report.md"
    cli("init", code=0)
    assert cli("calibrate", "report", "tts", code=0).out == f"report written to {path}\n"
    first = path.read_text()
    assert "{{CONTEXT" not in first
    generated = "— 2× NVIDIA H100 80GB HBM3, 1088 samples, 5 runs"
    assert first.count(generated) == 12
    byhand = first.replace(generated, "— measured at night, 5 runs", 1).replace(
        "## Provenance",
        "## Applied changes\n\n| Stage | Metric | Old | New | Direction |\n"
        "|-------|--------|-----|-----|-----------|\n| a | B | 1 | 2 | loosens (+100.0%) |\n\n## Provenance",
    )
    path.write_text(byhand)
    cli("calibrate", "report", "tts", code=0)
    second = path.read_text()
    assert second.count("— measured at night, 5 runs") == 1 and second.count(generated) == 11
    assert "| a | B | 1 | 2 | loosens (+100.0%) |\n\n## Provenance" in second
    assert cli("calibrate", "report", "tts", "--dry-run", code=0).out.startswith("# CI Threshold Observation Report")


def applied(new: float, **more: Any) -> ThresholdApplied:
    given: dict[str, Any] = {
        "apply": "a",
        "calibration": "story",
        "commit": COMMIT,
        "file": "tests/test_a_ci.py",
        "symbol": "_P95",
        "subkey": "throughput_qps",
        "literal": "_P95[16]['throughput_qps']",
        "old": 45.634,
        "new": new,
        "old_text": "45.634",
        "new_text": str(new),
        "worst_op": "min",
        "direction": "loosens",
        "percent": -0.0336,
        "group": "speed",
        "stage": "s",
        "metric": "throughput_qps",
    }
    return ThresholdApplied(**given | more)


def test_applied_changes_come_from_the_events_with_the_direction_of_the_bound(ledger: Ledger, tmp_path: Path) -> None:
    story = Story(ledger, stage("s"), repeats=1, run_dir=str(tmp_path)).observe(1)
    story.append(
        applied(44.1),
        applied(1.0, literal="X", old=1.0),
        applied(7.0, literal="Y"),
        applied(45.634, literal="Y", old=7.0, undone=True),
    )
    path = write_report(ledger, story.session, RunDirectory(tmp_path), shown_dir="x")
    section = path.read_text().split("## Applied changes\n")[1].split("\n## ")[0]
    assert section.strip().splitlines() == [
        "| Stage | Metric | Old | New | Direction |",
        "|-------|--------|-----|-----|-----------|",
        "| s | _P95[16]['throughput_qps'] | 45.634 | 44.1 | loosens (-3.4%) |",
    ]
    session = read_session(ledger, "story")
    assert session is not None and session.reports[-1].report == str(path)
    assert ledger.evidence.get(session.reports[-1].report_sha256) == path.read_bytes()


@pytest.mark.parametrize(
    ("change", "move"),
    [
        (AppliedChange("s", "L", 11.0, 12.0, "min"), "tightens (+9.1%)"),
        (AppliedChange("s", "L", 11.0, 12.0, "max"), "loosens (+9.1%)"),
        (AppliedChange("s", "L", 0.0, 12.0, "max"), "loosens"),
        (AppliedChange("s", "L", None, 12.0, "max"), "unknown"),
        (AppliedChange("s", "L", 16.0, 0.0, "max"), "tightens (-100.0%)"),
    ],
)
def test_a_move_is_a_direction_and_a_signed_percent(change: AppliedChange, move: str) -> None:
    assert change.move() == move


@pytest.mark.parametrize(
    ("value", "text"), [(44.1, "44.1"), (5.0, "5"), (0.0, "0"), (100.0, "100"), (1e-7, "0.0000001"), (None, "?")]
)
def test_raw_values_lose_their_trailing_zeros_only(value: float | None, text: str) -> None:
    assert trimmed(value) == text


def test_a_context_that_is_not_known_shows_a_question_mark(ledger: Ledger) -> None:
    story = Story(ledger, stage("s", context={"max_samples": None, "max_tokens": None, "max_concurrency": 8}))
    assert context_line(story.session, story.stages[0]) == "— ?, ? samples, max_tokens=?, concurrency=8, 5 runs"


def test_further_sections_stand_behind_the_provenance(ledger: Ledger, tmp_path: Path) -> None:
    story = Story(
        ledger,
        stage(
            "s",
            metric("accuracy", scale=100, digits=2, label="Acc (%)"),
            group="accuracy",
            evidence={"cuda graph": "x"},
        ),
        run_dir=str(tmp_path),
    )
    for k in range(1, 6):
        story.observe(
            k,
            share(metrics={"accuracy": 0.6 + k / 100}),
            log_found={"cuda graph": None},
            suspect=["GPU 0 throttled"] if k == 2 else [],
        )
    story.append(UnitFlagged(session="story", unit="test_a_ci", stages=["s"], reason="two populations"))
    text = markdown.render(contents_of(ledger, story.session, None, shown_dir="x"))
    after = text.split("## Provenance")[1]
    titles = re.findall(r"^## (.*)$", after, re.MULTILINE)
    assert titles == [
        "Metric statistics",
        "Rejected rounds",
        "Suspect observations",
        "Runtime evidence",
        "Operational reliability",
    ]
    # Wilson 95 % of 6 in 10
    assert "| s | Acc (%) | 5 | 63.00 | 61.00 | 65.00 | 4.00 | 1.58 | 2.5% | — | 31.3 to 83.2 |" in after
    assert "| s | cuda graph | **missing** | 0/5 |" in after
    assert "| s | 2 | GPU 0 throttled |" in after


def test_the_last_comparable_calibration_is_named_with_what_changed_since(tmp_path: Path, cli: Any) -> None:
    early = write_run_directory(TTS, tmp_path / "early")
    plan = json.loads((early / "plan.json").read_text())
    for field in ("timestamp", "calibration_started_at"):
        plan[field] = "2026-06-01T00:00:00Z"
    (early / "plan.json").write_text(json.dumps(plan))
    write_run_directory(TTS, tmp_path / "late")
    cli("init", code=0)
    cli("calibrate", "report", "early", code=0)
    cli("calibrate", "report", "late", code=0)
    assert "Since the last comparable" not in (early / "report.md").read_text()
    section = (tmp_path / "late" / "report.md").read_text().split("## Since the last comparable calibration")[1]
    assert "2026-06-01T00:00:00Z" in section and "the measured repository is not known here" in section


def test_the_html_twin_is_whole_and_fetches_nothing(tmp_path: Path, cli: Any) -> None:
    run_dir = write_run_directory(TTS, tmp_path / "tts")
    cli("init", code=0)
    cli("calibrate", "report", "tts", code=0)
    page = (run_dir / "report.html").read_text()
    assert not re.search(r"(src|href)=|@import|url\(|<script", page)
    body = page.split("<body>")[1].split("</body>")[0]
    tree = ElementTree.fromstring(f"<body>{body}</body>")
    plots = tree.findall(".//svg")
    assert len(plots) == sum(len(s["worst"]) for s in TTS["stages"])
    assert all(len(plot.findall("circle")) == 5 for plot in plots)
    assert len(tree.findall(".//table")) == 14 + 2


def test_commits_and_sensitive_files_since_the_last_calibration_come_from_git(ledger: Ledger, tmp_path: Path) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    for number, name in enumerate(("README.md", "kernel.cu", "docs.md")):
        (root / name).write_text("x")
        git(root, "add", "-A")
        git(root, "commit", "-qm", f"change {number}")
    first, last = git(root, "rev-parse", "HEAD~2"), git(root, "rev-parse", "HEAD")
    found = {}
    for name, sha, day in (("early", first, "01"), ("late", last, "02")):
        folder = tmp_path / name
        folder.mkdir()
        story = Story(
            ledger,
            stage("s"),
            session=name,
            repeats=1,
            sha=sha,
            repo_root=str(root),
            run_dir=str(folder),
            gpu_summary="2× NVIDIA H20",
            started_at=f"2026-06-{day}T00:00:00Z",
        ).observe(1, sha=sha)
        found[name] = write_report(ledger, story.session, RunDirectory(folder), shown_dir=name).read_text()
    assert "Since the last comparable" not in found["early"]
    section = found["late"].split("## Since the last comparable calibration\n")[1].strip().splitlines()
    assert section == [
        f"- Session: early of 2026-06-01T00:00:00Z, commit `{first}`",
        "- Commits since: 2",
        f"  - {last[:8]} change 2",
        f"  - {git(root, 'rev-parse', 'HEAD~1')[:8]} change 1",
        "- Performance-sensitive files changed: 1",
        "  - `kernel.cu`",
    ]
    session = read_session(ledger, "late")
    assert session is not None and session.reports[0].previous_session == "early"
    assert session.reports[0].changed_files == ["kernel.cu"]
