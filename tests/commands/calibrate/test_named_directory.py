"""A command acts in the run directory that was named: the path in the log is information, never a destination."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from ledger.event import NewEvent
from ledger.events.thresholds import ThresholdApplyPlanned
from ledger.ledger import Ledger
from tests.commands.calibrate.measured_project import MeasuredProject
from tests.commands.calibrate.test_apply import TEST, VALUES
from tests.commands.calibrate.test_sessions_commands import partition
from tests.conftest import Result

Cli = Callable[..., Result]
YES = ("--confirm", "apply thresholds")


def bytes_of(folder: Path) -> dict[str, str]:
    """Every file below a folder: relative path to SHA-256."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.parts
    }


@pytest.fixture
def project(tmp_path: Path, ledger: Ledger) -> MeasuredProject:
    made = MeasuredProject(tmp_path / "repo")
    made.file("tests/test_a_ci.py", TEST)
    return made


@pytest.fixture(params=["another tool's", "of this ledger"])
def original(request: pytest.FixtureRequest, project: MeasuredProject, tmp_path: Path, in_process: Cli) -> Path:
    """A measured, reported run directory: one that is imported, and one whose session began here."""
    run = project.measure(VALUES)
    if request.param == "of this ledger":
        keys = list(VALUES)
        partition(run, tmp_path / "first", keys[:1])
        partition(run, tmp_path / "rest", keys[1:])
        shutil.rmtree(run)
        in_process("calibrate", "merge", "first", "rest", "--output-dir", "run", code=0)
    (run / "run.log").write_text("the original's\n")
    in_process("calibrate", "report", "run", code=0)
    return run


@pytest.fixture(params=["a copy", "a moved folder"])
def named(request: pytest.FixtureRequest, original: Path, tmp_path: Path) -> Iterator[Path]:
    """What the command line names. The original stays byte for byte, or does not come back."""
    there = tmp_path / "elsewhere" / "again"
    shutil.copytree(original, there)
    if request.param == "a moved folder":
        shutil.rmtree(original)
    before = bytes_of(original)
    yield there
    assert bytes_of(original) == before and original.exists() == bool(before)


def test_report_is_written_into_the_folder_that_was_named(named: Path, in_process: Cli) -> None:
    (named / "report.md").unlink()
    done = in_process("calibrate", "report", "elsewhere/again", "--json", code=0).json
    assert done["report"] == str(named / "report.md")
    assert "**Run directory:** `elsewhere/again`" in (named / "report.md").read_text()


def test_purge_removes_the_run_files_of_the_folder_that_was_named(named: Path, in_process: Cli) -> None:
    in_process("calibrate", "purge", named, "--repeat", "2", "--json", code=0)
    assert not list(named.glob("*/run2.json")) and list(named.glob("*/run1.json"))


def test_apply_renews_the_report_of_the_folder_that_was_named(
    named: Path, project: MeasuredProject, in_process: Cli
) -> None:
    in_process("calibrate", "apply", named, "--mode", "full", *YES, code=0)
    assert "A_MIN_ACCURACY = 0.72 " in (project.root / "tests/test_a_ci.py").read_text()
    section = (named / "report.md").read_text().split("## Applied changes")[1]
    assert "A_MIN_ACCURACY" in section


def test_plan_apply_says_which_folder_it_read(named: Path, in_process: Cli) -> None:
    assert in_process("calibrate", "plan-apply", named, "--json", code=0).json["run_dir"] == str(named)


def test_status_reads_the_log_of_the_folder_that_was_named(named: Path, in_process: Cli) -> None:
    (named / "run.log").write_text("the copy's\n")
    seen = in_process("calibrate", "status", named, code=0).json
    assert (seen["run_dir"], seen["run_log_tail"]) == (str(named), ["the copy's"])


def test_audit_judges_the_folder_that_was_named(named: Path, in_process: Cli) -> None:
    assert in_process("calibrate", "audit", named, "--json", code=0).json["ready"] is True
    in_process("calibrate", "purge", named, "--repeat", "1", code=0)
    assert in_process("calibrate", "audit", named, "--json", code=1).json["ready"] is False


def test_a_pull_request_text_names_the_folder_that_was_named(named: Path, in_process: Cli) -> None:
    assert "- Run directory: `elsewhere/again`" in in_process("calibrate", "pr-body", "elsewhere/again", code=0).out
    refused = in_process("calibrate", "pr-body", named, "--commit", code=1)
    assert f"calibrate apply {named} --mode" in refused.err


@pytest.fixture
def measuring(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Start a process that looks like a repeat of a run directory."""
    started: list[subprocess.Popen[bytes]] = []

    def start(run_dir: Path) -> None:
        basetemp = run_dir / "_pytest" / "unit" / "basetemp_run1"
        basetemp.parent.mkdir(parents=True)
        program = tmp_path / "pytest"
        program.write_text("import sys\nprint('here', flush=True)\nsys.stdin.read()\n")
        line = [sys.executable, str(program), f"--basetemp={basetemp}"]
        started.append(subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        out = started[-1].stdout
        assert out is not None and out.readline() == b"here\n"

    yield start
    for process in started:
        process.communicate()


def test_watch_follows_the_folder_that_was_named(
    original: Path, tmp_path: Path, in_process: Cli, measuring: Callable[[Path], None]
) -> None:
    shutil.copytree(original, tmp_path / "copy")
    measuring(original)
    refused = in_process("calibrate", "watch", "copy", "--wait", "0", code=5)
    assert "no repeat of copy is running" in refused.err and "calibrate status copy" in refused.err


def test_merge_reads_the_folders_that_were_named(project: MeasuredProject, tmp_path: Path, in_process: Cli) -> None:
    run, keys = project.measure(VALUES), list(VALUES)
    for name, kept in (("a", keys[:1]), ("b", keys[1:])):
        partition(run, tmp_path / name, kept)
        in_process("calibrate", "audit", name, code=0)
        shutil.copytree(tmp_path / name, tmp_path / "copies" / name)
    before = [bytes_of(tmp_path / name) for name in "ab"]
    (tmp_path / "copies/a" / keys[0] / "run1.json").unlink()
    refused = in_process("calibrate", "merge", "copies/a", "copies/b", "--output-dir", "m", code=1)
    assert "copies/a is not ready" in refused.err and "calibrate audit copies/a" in refused.err
    shutil.copy(tmp_path / "a" / keys[0] / "run1.json", tmp_path / "copies/a" / keys[0])
    in_process("calibrate", "merge", "copies/a", "copies/b", "--output-dir", "m", code=0)
    merged = next(iter(Ledger.open(tmp_path / ".perfledger").read(types=["CalibrationMerged"])))
    assert merged.body()["source_run_dirs"] == [str(tmp_path / "copies" / name) for name in "ab"]
    assert [bytes_of(tmp_path / name) for name in "ab"] == before


def test_a_session_named_by_its_id_says_which_folder_is_used(original: Path, in_process: Cli) -> None:
    session = in_process("calibrate", "audit", "run", "--json", code=0).json["session"]
    done = in_process("calibrate", "purge", session, "--repeat", "2", code=0)
    assert f"session {session}: its run directory is {original}\n" in done.err
    assert not list(original.glob("*/run2.json"))


def test_a_recorded_folder_that_holds_another_run_by_now_is_left_alone(
    original: Path, project: MeasuredProject, tmp_path: Path, in_process: Cli
) -> None:
    session = in_process("calibrate", "audit", "run", "--json", code=0).json["session"]
    original.rename(tmp_path / "moved")
    project.measure(VALUES, timestamp="2026-07-01T00:00:00Z")
    before = bytes_of(original)
    assert in_process("calibrate", "status", session, code=0).json["run_log_tail"] == []
    done = in_process("calibrate", "purge", session, "--repeat", "2", code=0)
    assert f"session {session}: its run directory is not here" in done.err
    assert "no_run_dir" in in_process("calibrate", "watch", session, "--wait", "0", "--json", code=2).out
    assert bytes_of(original) == before


# ------------------------------------------------------------------ the measured repository


@pytest.fixture
def inside(project: MeasuredProject, tmp_path: Path, in_process: Cli) -> Path:
    """A run directory in its checkout, known to the ledger."""
    run = project.measure(VALUES)
    kept = project.root / "runs" / "a"
    kept.parent.mkdir()
    run.rename(kept)
    in_process("calibrate", "audit", kept, code=0)
    return kept


def test_an_apply_in_a_copied_checkout_writes_into_the_copy(
    inside: Path, project: MeasuredProject, tmp_path: Path, in_process: Cli
) -> None:
    shutil.copytree(project.root, tmp_path / "copied")
    before = bytes_of(project.root)
    in_process("calibrate", "apply", tmp_path / "copied/runs/a", "--mode", "full", *YES, code=0)
    assert bytes_of(project.root) == before
    assert "A_MIN_ACCURACY = 0.72 " in (tmp_path / "copied/tests/test_a_ci.py").read_text()
    sha = in_process("calibrate", "pr-body", tmp_path / "copied/runs/a", "--commit", "--json", code=0).json["commit"]
    copied = subprocess.run(
        ["git", "log", "-1", "--format=%H"], cwd=tmp_path / "copied", capture_output=True, text=True
    )
    assert copied.stdout.strip() == sha != project.git("rev-parse", "HEAD")


def test_an_apply_does_not_guess_between_two_checkouts_of_the_measured_commit(
    project: MeasuredProject, tmp_path: Path, in_process: Cli
) -> None:
    run = project.measure(VALUES)
    shutil.copytree(project.root, tmp_path / "other")
    apply = ("calibrate", "apply", run, "--mode", "full", *YES)
    before = bytes_of(project.root), bytes_of(tmp_path / "other")
    refused = in_process(*apply, "--json", cwd=tmp_path / "other", code=2)
    assert "which_repository" in refused.out and f"--repo-root {tmp_path / 'other'}" in refused.out
    assert (bytes_of(project.root), bytes_of(tmp_path / "other")) == before
    in_process(*apply, "--repo-root", tmp_path / "other", cwd=tmp_path / "other", code=0)
    assert bytes_of(project.root) == before[0] and bytes_of(tmp_path / "other") != before[1]


def test_an_interrupted_apply_is_ended_in_its_own_checkout(
    project: MeasuredProject, tmp_path: Path, in_process: Cli
) -> None:
    run = project.measure(VALUES)
    in_process("calibrate", "apply", run, "--mode", "full", *YES, code=0)
    ledger = Ledger.open(tmp_path / ".perfledger")
    done = next(iter(ledger.read(types=["ThresholdApplyPlanned"])))
    planned = done.typed()
    assert isinstance(planned, ThresholdApplyPlanned)
    cut_off = msgspec.structs.replace(planned, apply="cut-off")
    ledger.append([NewEvent(stream=done.stream, payload=cut_off)])
    shutil.copytree(project.root, tmp_path / "other")
    before = bytes_of(tmp_path / "other")
    apply = ("calibrate", "apply", run, "--mode", "full", "--json")
    refused = in_process(*apply, "--rollback", "--repo-root", tmp_path / "other", code=1)
    assert "apply_elsewhere" in refused.out and f"--repo-root {project.root}" in refused.out
    assert bytes_of(tmp_path / "other") == before
    ended = in_process(*apply, "--rollback", "--repo-root", project.root, code=0).json
    assert ended["outcome"] == "rolled_back"
    assert (project.root / "tests/test_a_ci.py").read_text() == TEST
