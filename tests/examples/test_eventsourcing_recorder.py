"""A Python application keeps its events in the log: the tests that the `eventsourcing` library publishes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger import Ledger
from tests.conftest import Result, clean_env

TOP = Path(__file__).resolve().parents[2]
CASES = {
    "Aggregate": 2,
    "AggregateWithTextIds": 2,
    "Application": 5,
    "Factory": 9,
    "NonInterleaving": 1,
    "Process": 4,
    "ProcessAsApplication": 5,
    "TrackingAlone": 2,
}


def run(*arguments: str, cwd: Path, tmp: Path) -> subprocess.CompletedProcess[str]:
    """Run Python: the example registers event types, which the catalogue of this process must not show."""
    path = f"{TOP / 'examples'}:{TOP}"
    env = clean_env(TMPDIR=str(tmp), PYTHONPATH=path)
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.mark.parametrize("case", CASES)
def test_the_published_tests_of_the_library_pass(case: str, tmp_path: Path) -> None:
    done = run("-m", "unittest", f"tests.examples.recorder_cases.{case}", cwd=TOP, tmp=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = re.search(r"Ran (\d+) tests? in", done.stderr)
    assert ran is not None and int(ran[1]) >= CASES[case], done.stderr
    assert "skipped" not in done.stderr


def test_the_application_of_the_page_runs_and_its_events_are_the_logs(
    cli: Callable[..., Result], tmp_path: Path
) -> None:
    """docs/own-events.md, as it stands: snapshots, notifications; then read, verified and proved by perfledger."""
    page = (TOP / "docs" / "own-events.md").read_text(encoding="utf-8")
    [_, application] = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "app.py").write_text(application)
    done = run("app.py", cwd=tmp_path, tmp=tmp_path)
    assert (done.returncode, done.stdout) == (0, "256 [1, 2, 4]\n"), done.stderr
    assert "5 events" in cli("verify", "--ledger", "tuning", code=0).out
    listed = cli("events", "list", "--json", "--ledger", "tuning", code=0).out.splitlines()
    assert sum('"AggregateEventStored"' in line for line in listed) == 4
    cli("prove", re.findall(r'"event_id":"([^"]+)"', listed[1])[0], "-o", "p", "--ledger", "tuning", code=0)
    assert "AggregateEventStored" in cli("verify", "--proof", "p", "--ledger", "tuning", code=0).out
    found = cli("sql", "SELECT count(*) AS n FROM events WHERE stream LIKE 'events/%'", "--json", "--ledger", "tuning")
    assert '"n": 3' in found.out.replace('"n":3', '"n": 3'), found.err


def test_the_types_of_the_page_are_an_applications_own(tmp_path: Path) -> None:
    """The first block of docs/own-events.md, with the import that this checkout has in place of the installed one."""
    page = (TOP / "docs" / "own-events.md").read_text(encoding="utf-8")
    [block, _] = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    room = Ledger.__module__.rpartition(".")[0]  # with `perfledger` before it where the wheel is tested
    block = block.replace('"/path/to/ledger"', '"here"').replace("from perfledger.ledger import", f"from {room} import")
    Ledger.create(tmp_path / "here", actor="tester@example.org")
    (tmp_path / "app.py").write_text(block)
    done = run("app.py", cwd=tmp_path, tmp=tmp_path)
    assert (done.returncode, done.stdout) == (0, "[256]\n"), done.stderr
