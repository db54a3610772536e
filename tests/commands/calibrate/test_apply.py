"""`calibrate apply`: modes, answers, isolation, refusals, events (specification, 12.2)."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.event import Event
from ledger.ledger import Ledger
from tests.commands.calibrate.measured_project import CONFIG, MeasuredProject
from tests.conftest import PERFLEDGER, Result, clean_env

Cli = Callable[..., Result]
YES = ("--confirm", "apply thresholds")

TEST = """\
CONCURRENCY = 16
A_MIN_ACCURACY = 0.7  # answers
A_WER_MAX_CORPUS: float = 1e-2
A_MAX_FAILED_REQUESTS = 0
_A_P95 = {
    8: {"throughput_qps": 40.0},
    16: {"throughput_qps": 40.0, "latency_mean_s": 0.900, "rtf_mean": 0.5},
}
"""
VALUES: dict[str, dict[str, list[float | None]]] = {
    "a_accuracy": {"accuracy": [0.72, 0.74]},
    "a_wer": {"corpus_wer": [0.0101, 0.01231]},
    "a_reliability": {"failed_requests": [0, 2]},
    "a_speed": {"throughput_qps": [38.5, 39.0], "latency_mean_s": [0.85, 0.84], "rtf_mean": [0.5, 0.4]},
}


@pytest.fixture
def project(tmp_path: Path, ledger: Ledger) -> MeasuredProject:
    made = MeasuredProject(tmp_path / "repo")
    made.file("tests/test_a_ci.py", TEST)
    return made


def text_of(project: MeasuredProject) -> str:
    return (project.root / "tests/test_a_ci.py").read_text()


def events(tmp_path: Path, kind: str) -> list[Event]:
    return list(Ledger.open(tmp_path / ".perfledger").read(types=[kind]))


def test_full_writes_every_literal_and_no_other_byte(cli: Cli, project: MeasuredProject, tmp_path: Path) -> None:
    run = project.measure(VALUES)
    done = cli("calibrate", "apply", run, "--mode", "full", *YES, "--json", code=0).json
    wanted = TEST
    for old, new in [
        ("A_MIN_ACCURACY = 0.7 ", "A_MIN_ACCURACY = 0.72 "),
        ("1e-2", "0.0124"),
        ("REQUESTS = 0", "REQUESTS = 2"),
        ('16: {"throughput_qps": 40.0', '16: {"throughput_qps": 38.5'),
        ("0.900", "0.85"),
    ]:
        wanted = wanted.replace(old, new)
    assert text_of(project) == wanted
    assert {m["direction_now"] for m in done["metrics"]} == {"equal"}, "read again: equal for all"
    assert {m["action"] for m in done["metrics"]} == {"write", "equal"}

    planned = events(tmp_path, "ThresholdApplyPlanned")[0]
    applied = events(tmp_path, "ThresholdApplied")
    finished = events(tmp_path, "ThresholdApplyFinished")[0]
    assert planned.position < applied[0].position < finished.position
    assert len(applied) == 5
    throughput = next(e.body() for e in applied if e.body()["metric"] == "throughput_qps")
    expected = {
        "file": "tests/test_a_ci.py",
        "symbol": "_A_P95",
        "subkey": "throughput_qps",
        "old": 40.0,
        "new": 38.5,
        "worst_op": "min",
        "direction": "loosens",
        "group": "speed",
        "stage": "a_speed",
        "literal": "_A_P95[16]['throughput_qps']",
        "old_text": "40.0",
        "new_text": "38.5",
        "worst_raw": 38.5,
        "commit": project.git("rev-parse", "HEAD"),
    }
    assert {key: throughput[key] for key in expected} == expected
    assert throughput["percent"] == pytest.approx(-0.0375)
    observed = {e.event_id for e in Ledger.open(tmp_path / ".perfledger").read(types=["RepeatImported"])}
    assert len(throughput["evidence_event_ids"]) == 2
    assert set(throughput["evidence_event_ids"]) <= observed
    again = cli("calibrate", "apply", run, "--mode", "full", *YES, code=0)
    assert "nothing was written" in again.out
    assert len(events(tmp_path, "ThresholdApplied")) == 5, "applying the same data again is no event"


def test_smart_writes_what_its_group_allows_and_asks_about_the_rest(cli: Cli, project: MeasuredProject) -> None:
    run = project.measure(VALUES)
    refused = cli("calibrate", "apply", run, "--mode", "smart", *YES, "--json", code=2).json["error"]
    assert refused["code"] == "answers_missing"
    assert refused["details"]["metrics"] == ["a_reliability.failed_requests", "a_speed.throughput_qps"]
    assert text_of(project) == TEST
    answers = ("--keep", "a_speed.throughput_qps", "--set", "a_reliability.failed_requests=write_value")
    cli("calibrate", "apply", run, "--mode", "smart", *answers, *YES, code=0)
    after = text_of(project)
    assert "A_MIN_ACCURACY = 0.72 " in after, "accuracy is always written"
    assert "A_WER_MAX_CORPUS: float = 0.0124" in after, "and WER, even when it loosens"
    assert '16: {"throughput_qps": 40.0, "latency_mean_s": 0.85,' in after, "speed only where it tightens"
    assert "A_MAX_FAILED_REQUESTS = 2" in after


def test_report_mode_and_dry_run_write_nothing(cli: Cli, project: MeasuredProject, tmp_path: Path) -> None:
    run = project.measure(VALUES)
    said = cli("calibrate", "apply", run, "--mode", "report", code=0).out
    assert "nothing was written" in said
    shown = cli("calibrate", "apply", run, "--mode", "full", "--dry-run", code=0).out
    assert "-A_MIN_ACCURACY = 0.7  # answers\n" in shown
    assert "+A_MIN_ACCURACY = 0.72  # answers\n" in shown
    assert "--- a/tests/test_a_ci.py" in shown
    shown = cli("calibrate", "apply", run, "--mode", "smart", "--dry-run", code=0).out
    assert "  ask    a_speed.throughput_qps: _A_P95[16]['throughput_qps'] = 40.0 -> 38.5  loosens (-3.8%)" in shown
    assert text_of(project) == TEST
    assert events(tmp_path, "ThresholdApplyPlanned") == []


def test_the_phrase_is_needed_exactly(cli: Cli, project: MeasuredProject) -> None:
    run = project.measure(VALUES)
    assert 'apply thresholds"' in cli("calibrate", "apply", run, "--mode", "full", code=2).err
    cli("calibrate", "apply", run, "--mode", "full", "--confirm", "yes", code=2)
    assert text_of(project) == TEST


def test_a_number_of_the_users_is_written_verbatim(cli: Cli, project: MeasuredProject) -> None:
    run = project.measure(VALUES)
    sets = {
        "a_speed.throughput_qps": "30",
        "_A_P95[16]['latency_mean_s']": "1.5e0",
        "_A_P95['rtf_mean']": "0.750",
        "A_MIN_ACCURACY": "0.5",
    }
    options = [part for key, value in sets.items() for part in ("--set", f"{key}={value}")]
    cli("calibrate", "apply", run, "--mode", "full", "--keep", "@wer", *options, *YES, code=0)
    after = text_of(project)
    assert '16: {"throughput_qps": 30, "latency_mean_s": 1.5e0, "rtf_mean": 0.750},' in after
    assert "A_MIN_ACCURACY = 0.5  # answers" in after


REFUSED_ANSWERS = [
    (("--set", "a_speed.throughput_qps=39.9"), 1, "is above the worst measured value 38.5"),
    (("--set", "a_speed.latency_mean_s=0.1"), 1, "is below the worst measured value 0.85"),
    (("--set", "a_speed.throughput_qps=fast"), 2, "is not KEY=VALUE with a number"),
    (("--set", "a_speed.throughput_qps=nan"), 2, "is not KEY=VALUE with a number"),
    (("--set", "a_speed.throughput_qps=1e999"), 2, "is not KEY=VALUE with a number"),
    (("--set", "a_speed=1"), 2, "names 3 literals"),
    (("--set", "nothing=1"), 2, "names no metric"),
    (("--keep", "nothing"), 2, "names no metric"),
]


def test_answers_that_cannot_be_meant_are_refused(cli: Cli, project: MeasuredProject) -> None:
    run = project.measure(VALUES)
    for options, code, says in REFUSED_ANSWERS:
        said = cli("calibrate", "apply", run, "--mode", "full", *options, *YES, code=code)
        assert says in said.err
    assert text_of(project) == TEST


def test_keep_takes_groups_stages_and_directions(cli: Cli, project: MeasuredProject) -> None:
    run = project.measure(VALUES)
    cli("calibrate", "apply", run, "--mode", "full", "--keep", "@speed", "--keep", "loosens", *YES, code=0)
    assert text_of(project) == TEST.replace("A_MIN_ACCURACY = 0.7 ", "A_MIN_ACCURACY = 0.72 ")
    cli("calibrate", "apply", run, "--mode", "full", "--keep", "tightens", "--keep", "loosens", *YES, code=0)


def test_at_a_terminal_the_user_is_asked(project: MeasuredProject, tmp_path: Path) -> None:
    run = project.measure(VALUES)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [PERFLEDGER, "calibrate", "apply", str(run), "--mode", "smart"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=tmp_path,
        env=clean_env(),
        close_fds=True,
    )
    os.close(slave)
    answers = [
        (b"failed_requests", b"oops\n"),
        (b"is not KEY=VALUE", b"3\n"),
        (b"throughput_qps", b"keep\n"),
        (b"to go on", b"apply thresholds\n"),
    ]
    heard, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            try:
                heard += os.read(master, 4096)
            except OSError:
                break
        if answers and answers[0][0] in heard and heard.rstrip().endswith((b":", b"]:")):
            os.write(master, answers.pop(0)[1])
            heard = b""
    assert process.wait(timeout=30) == 0
    os.close(master)
    assert answers == []
    assert "A_MAX_FAILED_REQUESTS = 3" in text_of(project)
    assert '16: {"throughput_qps": 40.0, "latency_mean_s": 0.85,' in text_of(project)


PRESETS = """\
metric_sources:
  test_a_ci.py:
    calibration_presets:
      p: {constant_filter: "^P_"}
      q: {constant_filter: "^Q_"}
"""


def test_presets_never_touch_each_others_literals(cli: Cli, project: MeasuredProject) -> None:
    text = "P_WER_MAX_CORPUS = 0.01\nQ_WER_MAX_CORPUS = 0.01\nTTS_SIMILARITY_MAX_SAMPLES = 5\n"
    project.file("tests/test_a_ci.py", text)
    project.config += PRESETS
    run = project.measure({"a_q_wer": {"corpus_wer": [0.02]}})
    cli("calibrate", "apply", run, "--mode", "full", *YES, code=0)
    assert text_of(project) == text.replace("Q_WER_MAX_CORPUS = 0.01", "Q_WER_MAX_CORPUS = 0.02")


def test_a_literal_shared_by_stages_is_written_only_when_they_agree(cli: Cli, project: MeasuredProject) -> None:
    project.file("tests/test_a_ci.py", "A_WER_MAX_CORPUS = 0.01\n")
    project.config += "metric_sources:\n  test_a_ci.py:\n    variants: {one: {}, two: {}}\n"
    run = project.measure({"a_one_wer": {"corpus_wer": [0.02]}, "a_two_wer": {"corpus_wer": [0.03]}})
    refused = cli("calibrate", "apply", run, "--mode", "full", *YES, "--json", code=1).json["error"]
    assert refused["code"] == "shared_literal"
    cli("calibrate", "apply", run, "--mode", "full", "--set", "A_WER_MAX_CORPUS=0.03", *YES, code=0)
    assert text_of(project) == "A_WER_MAX_CORPUS = 0.03\n"


def test_pinned_symbols_are_refused_when_set_and_left_out_otherwise(cli: Cli, project: MeasuredProject) -> None:
    project.config += "fixed_symbols: [A_MIN_ACCURACY]\n"
    run = project.measure(VALUES)
    said = cli("calibrate", "apply", run, "--mode", "full", "--set", "A_MIN_ACCURACY=0.1", *YES, code=1)
    assert "pinned by hand and never written" in said.err
    cli("calibrate", "apply", run, "--mode", "full", *YES, code=0)
    assert "A_MIN_ACCURACY = 0.7 " in text_of(project)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("A_MIN_ACCURACY = 0.7\nif FAST:\n    A_MIN_ACCURACY = 0.5\n", "ambiguous_literal"),
        ("A_MIN_ACCURACY = B_MIN_ACCURACY_ = 0.7\n", "ambiguous_literal"),
    ],
)
def test_ambiguous_literals_stop_everything(cli: Cli, project: MeasuredProject, text: str, code: str) -> None:
    project.file("tests/test_a_ci.py", text + "A_WER_MAX_CORPUS = 0.5\n")
    run = project.measure({"a_accuracy": {"accuracy": [0.72]}, "a_wer": {"corpus_wer": [0.1]}})
    refused = cli("calibrate", "apply", run, "--mode", "full", *YES, "--json", code=1).json["error"]
    assert refused["code"] == code
    assert "A_WER_MAX_CORPUS = 0.5" in text_of(project), "nothing is written, not even the clear ones"
    cli("calibrate", "apply", run, "--mode", "full", "--keep", "a_accuracy", *YES, code=0)
    assert "A_WER_MAX_CORPUS = 0.1" in text_of(project)


def test_an_expression_is_skipped_and_said(cli: Cli, project: MeasuredProject) -> None:
    project.file("tests/test_a_ci.py", "A_MIN_ACCURACY = 1 - 0.3\nA_WER_MAX_CORPUS: float | None = None\n")
    run = project.measure({"a_accuracy": {"accuracy": [0.72]}, "a_wer": {"corpus_wer": [0.1]}})
    said = cli("calibrate", "apply", run, "--mode", "full", *YES, code=0).out
    assert "skip   a_accuracy.accuracy" in said and "an expression, not a literal" in said
    assert text_of(project) == "A_MIN_ACCURACY = 1 - 0.3\nA_WER_MAX_CORPUS: float | None = 0.1\n"


def test_drifted_files_are_refused(cli: Cli, project: MeasuredProject) -> None:
    run = project.measure(VALUES)
    project.file("tests/test_a_ci.py", TEST + "# edited\n")
    project.git("commit", "-aqm", "moved on")
    refused = cli("calibrate", "apply", run, "--mode", "full", *YES, "--json", code=1).json["error"]
    assert refused["code"] == "drifted_files"
    assert "tests/test_a_ci.py" in refused["message"]
    assert text_of(project).endswith("# edited\n")


def test_dirty_files_are_refused_but_not_what_apply_itself_left(cli: Cli, project: MeasuredProject) -> None:
    run = project.measure(VALUES)
    stages = project.root / "models/m/stages.yaml"
    stages.write_text(stages.read_text().replace("test_file_sha256: ", "test_file_sha256: x"))
    lines = [line for line in stages.read_text().splitlines() if "test_file_sha256" not in line]
    stages.write_text("\n".join(lines) + "\n")  # a schema without digests: git alone speaks
    project.file("tests/test_a_ci.py", TEST + "# edited\n")
    refused = cli("calibrate", "apply", run, "--mode", "full", *YES, "--json", code=1).json["error"]
    assert refused["code"] == "dirty_files"
    project.file("tests/test_a_ci.py", TEST)
    cli("calibrate", "apply", run, "--mode", "full", "--keep", "@speed", *YES, code=0)
    cli("calibrate", "apply", run, "--mode", "full", *YES, code=0)
    assert '"latency_mean_s": 0.85' in text_of(project), "a second apply goes on from the first"


def test_the_calibration_commit_says_what_was_measured_when_hashes_are_stale(
    cli: Cli, project: MeasuredProject
) -> None:
    """Committed schemas have been found with hashes cut or edited by hand."""
    run = project.measure(VALUES)
    stages = project.root / "models/m/stages.yaml"
    lines = [line[:-2] if "test_file_sha256" in line else line for line in stages.read_text().splitlines()]
    stages.write_text("\n".join(lines) + "\n")
    cli("calibrate", "apply", run, "--mode", "full", *YES, code=0)
    assert "A_MIN_ACCURACY = 0.72 " in text_of(project)


def test_two_calibrations_of_one_commit_are_applied_one_after_the_other(cli: Cli, project: MeasuredProject) -> None:
    """The first apply moves the file the second one measured, but only its thresholds."""
    first = project.measure({"a_accuracy": VALUES["a_accuracy"]}, name="first")
    second = project.measure({"a_wer": VALUES["a_wer"]}, name="second", timestamp="2026-06-28T00:00:00Z")
    cli("calibrate", "apply", first, "--mode", "full", *YES, code=0)
    project.git("commit", "-aqm", "applied the first")
    cli("calibrate", "apply", second, "--mode", "full", *YES, code=0)
    assert text_of(project) == TEST.replace("0.7 ", "0.72 ").replace("1e-2", "0.0124")


def test_a_folder_without_git_is_judged_by_its_digests(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    project = MeasuredProject(tmp_path / "plain", git=False)
    project.file("tests/test_a_ci.py", "A_MIN_ACCURACY = 0.7\n")
    run = project.measure({"a_accuracy": {"accuracy": [0.72]}})
    cli("calibrate", "apply", run, "--mode", "full", "--repo-root", project.root, *YES, code=0)
    assert text_of(project) == "A_MIN_ACCURACY = 0.72\n"


def test_no_schema_or_link_leads_a_write_out_of_the_repository(
    cli: Cli, project: MeasuredProject, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text("A_WER_MAX_CORPUS = 0.5\n")
    (project.root / "tests/limits.py").symlink_to(outside)
    project.file("tests/test_a_ci.py", "A_MIN_ACCURACY = 0.5\n")
    for number, path in enumerate(("tests/limits.py", "../outside.py", str(outside))):
        project.config = CONFIG + f'metric_sources:\n  test_a_ci.py: {{threshold_file: "{path}"}}\n'
        run = project.measure({"a_wer": {"corpus_wer": [0.1]}}, name=f"run{number}", timestamp=f"t{number}")
        refused = cli("calibrate", "apply", run, "--mode", "full", *YES, "--json", code=1).json["error"]
        assert refused["code"] == "outside_repository"
    assert outside.read_text() == "A_WER_MAX_CORPUS = 0.5\n"


def test_the_report_lists_the_applied_changes(cli: Cli, project: MeasuredProject) -> None:
    run = project.measure(VALUES)
    cli("calibrate", "report", run, code=0)
    cli("calibrate", "apply", run, "--mode", "full", *YES, code=0)
    report = (run / "report.md").read_text()
    assert "| a_speed | _A_P95[16]['throughput_qps'] | 40 | 38.5 | loosens (-3.8%) |" in report
    assert report.index("## Applied changes") < report.index("## Provenance")
