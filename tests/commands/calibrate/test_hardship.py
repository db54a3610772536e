"""Commands of a calibration on a full disk and killed at every change of a file: all or nothing, and then run again.

design, cli.md: exit 4 is the outside world, safe to run again; a file is whole or the one that was there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger
from tests.commands.calibrate.measured_project import MeasuredProject
from tests.commands.hardship import killed_at, no_room, refusal, tree
from tests.conftest import Result

Cli = Callable[..., Result]
SAMPLE = Path(__file__).parents[3] / "examples/calibration_sample"
TEST = "A_MIN_ACCURACY = 0.7\nA_WER_MAX_CORPUS = 0.01\n"
VALUES: dict[str, dict[str, list[float | None]]] = {
    "a_accuracy": {"accuracy": [0.72, 0.74]},
    "a_wer": {"corpus_wer": [0.0101, 0.01231]},
}
WRITING: dict[str, list[str]] = {
    "report": ["report", "RUN"],
    "purge": ["purge", "RUN", "--repeat", "1"],
    "apply": ["apply", "RUN", "--mode", "full", "--confirm", "apply thresholds"],
}


def visible(files: dict[str, bytes | None]) -> dict[str, bytes | None]:
    """Files without those that a killed process was still writing beside them."""
    return {name: data for name, data in files.items() if not name.split("/")[-1].startswith(".")}


@pytest.fixture
def run(tmp_path: Path, ledger: Ledger, in_process: Cli) -> Path:
    """A ready run directory of a real repository, imported."""
    made = MeasuredProject(tmp_path / "repo")
    made.file("tests/test_a_ci.py", TEST)
    folder = made.measure(VALUES)
    in_process("calibrate", "import", folder, code=0)
    return folder


@pytest.mark.parametrize("command", WRITING)
def test_without_room_a_command_says_so_and_leaves_every_file_as_it_was(
    command: str, run: Path, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    held, position = tree(tmp_path / "repo") | tree(run), Ledger.open(ledger.path).head().position
    arguments = [a.replace("RUN", str(run)) for a in WRITING[command]]
    with no_room():
        done = in_process("calibrate", *arguments, "--json")
    refusal(done, 4)
    assert Ledger.open(ledger.path).head().position == position, "nothing was acknowledged"
    assert tree(tmp_path / "repo") | tree(run) == held
    in_process("verify", code=0)
    in_process("calibrate", *arguments, code=0)


def test_without_room_what_only_reads_still_answers(run: Path, in_process: Cli) -> None:
    commands = [["audit"], ["status"], ["plan-apply"], ["report", "--dry-run"], ["pr-body"]]
    wanted = {c[0]: in_process("calibrate", c[0], run, *c[1:]) for c in commands}
    with no_room():
        found = {c[0]: in_process("calibrate", c[0], run, *c[1:]) for c in commands}
    for name, answer in found.items():
        assert (answer.code, answer.err) == (wanted[name].code, wanted[name].err), answer.err
        if name not in ("status", "report"):  # these say the time
            assert answer.out == wanted[name].out


def test_a_report_that_does_not_fit_keeps_the_one_before(run: Path, in_process: Cli, ledger: Ledger) -> None:
    in_process("calibrate", "report", run, code=0)
    (run / "report.md").write_text("## Notes\nby hand\n")
    (run / "report.html").write_text("by hand")
    with no_room(200):
        done = in_process("calibrate", "report", run, "--json")
    error = refusal(done, 4)
    assert "File too large" in error["message"]
    assert (run / "report.md").read_text() == "## Notes\nby hand\n"
    assert (run / "report.html").read_text() == "by hand"
    assert [p.name for p in run.iterdir() if p.name.startswith(".")] == []


def test_a_purge_killed_between_two_files_is_finished_by_the_next(
    run: Path, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    """The event decides: what it set aside does not come back because its file was not removed yet."""
    kept = Path(shutil.copytree(tmp_path, tmp_path.with_name("kept"), symlinks=True))
    stages = sorted(VALUES)
    for change in (1, 2):
        for name in ("run", ".perfledger"):
            shutil.rmtree(tmp_path / name)
            shutil.copytree(kept / name, tmp_path / name)
        if not killed_at(change, run, tmp_path, "calibrate", "purge", run, "--repeat", "1"):
            raise AssertionError(f"it ended before change {change}")
        in_process("calibrate", "purge", run, "--repeat", "1")
        for stage in stages:
            assert not (run / stage / "run1.json").exists()
            json.loads((run / stage / "run2.json").read_text())
        cells = in_process("calibrate", "audit", run, "--json").json["stages"]
        assert {s["cells"] for s in cells} == {"—✓"}
        in_process("verify", code=0)
    shutil.rmtree(kept)


def test_a_report_killed_at_any_change_is_whole_or_not_there(
    run: Path, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    held = visible(tree(run))
    change = 0
    while True:
        change += 1
        killed = killed_at(change, run, tmp_path, "calibrate", "report", run)
        now = visible(tree(run))
        assert {k: v for k, v in now.items() if not k.startswith("report.")} == held
        for name, ending in (("report.md", b"\n"), ("report.html", b"</html>\n")):
            data = now.get(name)
            assert data is None or data.endswith(ending), name
        if not killed:
            break
        assert change < 20
    assert change >= 3, "both files were written under a name of their own first"
    in_process("verify", code=0)
    assert {"report.md", "report.html"} <= set(visible(tree(run)))


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A copy of the sample project."""
    return Path(shutil.copytree(SAMPLE, tmp_path / "sample"))


def test_a_discovery_without_room_keeps_the_stages_that_were_there(sample: Path, in_process: Cli) -> None:
    test = sample / "tests/ci/test_vision_ci.py"
    test.write_text(test.read_text().replace("VISION_MAX_SAMPLES = 50", "VISION_MAX_SAMPLES = 60"))
    held = tree(sample)
    with no_room(1000):
        done = in_process("calibrate", "discover", "--json", cwd=sample)
    error = refusal(done, 4)
    assert "stages.yaml" in error["message"]
    assert tree(sample) == held
    in_process("calibrate", "discover", cwd=sample, code=0)
    in_process("calibrate", "discover", "--check", cwd=sample, code=0)


def test_a_discovery_killed_at_any_change_leaves_the_old_or_the_new_stages(sample: Path, in_process: Cli) -> None:
    path = sample / "models/sample/stages.yaml"
    test = sample / "tests/ci/test_vision_ci.py"
    test.write_text(test.read_text().replace("VISION_MAX_SAMPLES = 50", "VISION_MAX_SAMPLES = 60"))
    before, change = path.read_bytes(), 0
    while killed_at(change := change + 1, path.parent, sample, "calibrate", "discover"):
        assert path.read_bytes() == before
        assert change < 10
    assert b"expected_samples: 60" in path.read_bytes() and change >= 3


def test_a_precheck_without_room_writes_no_half_document(sample: Path, in_process: Cli, tmp_path: Path) -> None:
    with no_room(10):
        done = in_process("calibrate", "precheck", "--output-dir", tmp_path / "out", "--json", cwd=sample)
    if done.json.get("error") is None:  # the checks stopped before there was anything to write down
        pytest.skip("this machine fails the checks before the first document")
    assert "precheck.json" in refusal(done, 4)["message"]
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["discover", "--model", "nobody"], 2),
        (["discover", "--stage", "nobody"], 2),
        (["discover", "--repo-root", "nowhere"], 2),
        (["discover", "--config-dir", "nowhere"], 2),
        (["discover", "--output", "tests"], 2),
        (["precheck", "--stages", "nobody"], 2),
        (["precheck", "--host", "nobody"], 2),
        (["stages", "--stages", "@nobody"], 2),
        (["models", "--model", "nobody"], 2),
        (["hosts", "--model", "nobody"], 2),
        (["run", "--stages", "nobody"], 2),
        (["run", "--repeats", "0"], 2),
        (["run", "--repeats", "10000"], 2),
        (["run", "--resume"], 2),
        (["run", "--repo-root", "nowhere"], 2),
    ],
)
def test_a_name_that_means_nothing_is_wrong_usage_and_changes_nothing(
    arguments: list[str], code: int, sample: Path, in_process: Cli, ledger: Any, tmp_path: Path
) -> None:
    held, position = tree(sample), ledger.head().position
    refusal(in_process("calibrate", *arguments, "--json", cwd=sample), code)
    assert tree(sample) == held
    assert Ledger.open(ledger.path).head().position == position
