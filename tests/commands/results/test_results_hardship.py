"""Results on a full disk and killed at every change of a file: all or nothing, and then the same command works.

design, cli.md: exit 4 is the outside world, safe to run again; nothing acknowledged is lost, nothing is counted twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.ledger import Ledger
from tests.commands.hardship import killed_at, no_room, refusal, tree
from tests.commands.records import TARGET, history, legacy, modern, raw, write
from tests.conftest import Result

Cli = Callable[..., Result]
POLICY = "window: 7\n"
WRITING: dict[str, list[str]] = {
    "record": ["record", "perf_a.json"],
    "check": ["check", "perf_a.json"],
    "import hf-tracking": ["import", "hf-tracking", "more"],
    "import threshold-history": ["import", "threshold-history", "h.csv"],
    "import github-action-benchmark": ["import", "github-action-benchmark", "data.js"],
    "baseline pin": ["baseline", "pin", TARGET, "--name", "v1", "--reason", "the release"],
    "policy adopt": ["policy", "adopt", "policy.yaml", "--reason", "a longer window"],
}


@pytest.fixture
def folder(tmp_path: Path, ledger: Ledger, in_process: Cli) -> Path:
    """A ledger with a history of a week, and the files of every command beside it."""
    in_process("import", "hf-tracking", history(tmp_path / "h", [legacy(day) for day in range(1, 8)]), code=0)
    history(tmp_path / "more", [modern(day) for day in range(1, 4)])
    write(tmp_path / "perf_a.json", raw())
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "h.csv").write_text(
        "commit,committed_at,pr,file,symbol,change,old,new\nabc1234,2026-01-01T00:00:00Z,7,f.py,X_MIN,changed,1,2\n"
    )
    bench = {"name": "b", "value": 1.5, "unit": "s"}
    run = {"commit": {"id": "a" * 40}, "date": 1780000000000, "tool": "customSmallerIsBetter", "benches": [bench]}
    (tmp_path / "data.js").write_text("window.BENCHMARK_DATA = " + json.dumps({"entries": {"suite": [run]}}))
    return tmp_path


def head(ledger: Ledger) -> int:
    """The last position as a new reader sees it."""
    return Ledger.open(ledger.path).head().position


@pytest.mark.parametrize("command", WRITING)
def test_without_room_nothing_is_recorded_and_the_same_command_works_later(
    command: str, folder: Path, in_process: Cli, ledger: Ledger
) -> None:
    position, held = head(ledger), tree(folder, without=(".perfledger",))
    with no_room():
        done = in_process(*WRITING[command], "--json")
    refusal(done, 4)
    assert (head(ledger), tree(folder, without=(".perfledger",))) == (position, held)
    in_process("verify", code=0)
    in_process(*WRITING[command], code=0)
    assert head(ledger) > position


def test_without_room_what_only_reads_still_answers(folder: Path, in_process: Cli) -> None:
    commands = [
        ["baseline", "list"],
        ["baseline", "show", TARGET],
        ["baseline", "history", TARGET],
        ["backtest", "--policy", "policy.yaml"],
        ["policy", "show"],
        ["policy", "check", "policy.yaml"],
    ]
    wanted = [in_process(*command, "--json", code=0).out for command in commands]
    with no_room():
        found = [in_process(*command, "--json") for command in commands]
    assert [(done.code, done.out) for done in found] == [(0, text) for text in wanted]


@pytest.mark.parametrize("command", ["record", "check"])
def test_killed_at_any_change_of_the_ledger_a_result_is_recorded_once(
    command: str, folder: Path, in_process: Cli, ledger: Ledger
) -> None:
    """Killed and run again until it ends: one result and, where it was judged, its verdicts; the log verifies."""
    change = 0
    while killed_at(change := change + 1, ledger.path, folder, *WRITING[command]):
        in_process("verify", code=0)
        assert change < 40
    [row] = in_process(
        "sql", "SELECT COUNT(*) AS n FROM events WHERE type = 'ResultRecorded' AND payload LIKE '%perf_a.json%'",
        "--format", "json", code=0,
    ).json  # fmt: skip
    assert row["n"] == 1
    in_process("verify", code=0)
    in_process("replay", "--check", code=0)


def test_a_summary_that_cannot_be_written_is_named(folder: Path, in_process: Cli) -> None:
    """A device that is always full stands for the disk; the file that was asked for is not the verdict."""
    error = refusal(in_process("check", "perf_a.json", "--markdown", "/dev/full", "--json"), 4)
    assert "/dev/full" in error["message"] and "No space left" in error["message"]


def test_a_summary_that_only_the_environment_asked_for_is_a_warning_with_the_name_of_the_file(
    folder: Path, in_process: Cli
) -> None:
    done = in_process("check", "perf_a.json", env={"GITHUB_STEP_SUMMARY": "/dev/full"}, code=0)
    assert "warning: could not write /dev/full: No space left on device" in done.err
    (folder / "file").write_text("in the way")
    done = in_process("check", "perf_a.json", env={"PERF_REPORTS_DIR": "file"}, code=0)
    assert done.err.count("warning: could not write file") == 2, "the summary and the records"
    assert (folder / "file").read_text() == "in the way"


def test_a_summary_goes_to_a_device_as_it_is_and_replaces_a_file_as_a_whole(folder: Path, in_process: Cli) -> None:
    (folder / "real.md").write_text("before")
    (folder / "link.md").symlink_to("real.md")
    (folder / "real.md").chmod(0o640)
    in_process("check", "perf_a.json", "--markdown", "link.md", code=0)
    assert (folder / "link.md").is_symlink() and (folder / "real.md").read_text().startswith("## Performance")
    assert (folder / "real.md").stat().st_mode & 0o777 == 0o640
    in_process("check", "perf_a.json", "--markdown", "/dev/null", code=0)
    assert Path("/dev/null").is_char_device()


def test_records_that_are_written_for_others_are_whole_or_not_there(folder: Path, in_process: Cli) -> None:
    """CI uploads what lies in the folder, also after a run that was killed."""
    out, change = folder / "out", 0
    out.mkdir()
    for n in range(2):
        write(folder / f"perf_{n}.json", raw(commit=f"{n:040x}"))
    command = ("check", "perf_0.json", "perf_1.json", "--normalized-dir", "out")
    while killed_at(change := change + 1, out, folder, *command):
        for path in out.glob("[!.]*"):
            assert json.loads(path.read_bytes())["model_id"]
        assert change < 20
    assert len(list(out.glob("[!.]*"))) == 2 and change >= 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["reseed", "show", "nobody"], "nobody"),
        (["reseed", "approve", "nobody", "--confirm", "confirm performance reseed"], "nobody"),
        (["reseed", "prepare", "nobody"], "nobody"),
        (["reseed", "upload", "nobody", "--confirm", "upload"], "nobody"),
        (["reseed", "cleanup", "nobody", "--confirm", "cleanup reseed temp"], "nobody"),
        (["reseed", "abort", "nobody"], "nobody"),
        (["reseed", "supersede", "nobody", "--reason", "wrong"], "nobody"),
        (["reseed", "run", "--resume", "nobody"], "nobody"),
        (["reseed", "plan"], "--"),
        (["reseed", "plan", "--model", "m", "--gpu", "g", "--reason", "why"], "--source"),
        (["reseed", "plan", "--model", "m", "--gpu", "g", "--reason", "a\nb", "--source", "perf_a.json"], "line"),
        (["reseed", "policy", "--approvals", "0"], "approvals"),
        (["import", "hf-tracking", "nowhere"], "nowhere"),
        (["import", "hf-tracking", "perf_a.json"], "perf_a.json"),
        (["import", "asv", "nowhere"], "nowhere"),
        (["import", "github-action-benchmark", "perf_a.json"], "perf_a.json"),
        (["baseline", "show", "nobody"], "nobody"),
        (["baseline", "plot", TARGET, "--metric", "speed"], "speed"),
        (["baseline", "unpin", TARGET, "--name", "v9", "--reason", "gone"], "v9"),
        (["backtest", "--policy", "nowhere.yaml"], "nowhere.yaml"),
        (["backtest", "--policy", "policy.yaml", "--since", "soon"], "soon"),
        (["policy", "adopt", "perf_a.json", "--reason", "why"], "perf_a.json"),
        (["check", "perf_a.json", "--window", "0"], "window"),
        (["check", "nowhere.json"], "nowhere.json"),
        (["check", "perf_a.json", "--policy", "nowhere.yaml"], "nowhere.yaml"),
        (["record", "--format", "else", "perf_a.json"], "else"),
    ],
)
def test_what_means_nothing_is_wrong_usage_names_it_and_records_nothing(
    arguments: list[str], says: str, folder: Path, in_process: Cli, ledger: Ledger
) -> None:
    position, held = head(ledger), tree(folder, without=(".perfledger",))
    error = refusal(in_process(*arguments, "--json"), 2)
    assert says in error["message"] + error["hint"], error
    assert (head(ledger), tree(folder, without=(".perfledger",))) == (position, held)
