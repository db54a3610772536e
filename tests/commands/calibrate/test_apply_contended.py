"""Applies of one session at the same time, and of one that moved (killed ones: tests/ledger/sync/test_announced.py)."""

from __future__ import annotations

import collections
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from commands.calibrate.applying import execute
from commands.calibrate.applying.decisions import Answers, decide
from commands.calibrate.applying.plan import build_plan
from commands.calibrate.applying.targets import rewrites_of
from commands.calibrate.sessions import read_session
from ledger.errors import Conflict
from ledger.event import Event
from ledger.ledger import Ledger
from tests.commands.calibrate.measured_project import MeasuredProject
from tests.conftest import PERFLEDGER, Result, clean_env

Cli = Callable[..., Result]
YES = ("--confirm", "apply thresholds")
FILES = 25
OLD, NEW = "X_MIN_ACCURACY = 0.5\n", "X_MIN_ACCURACY = 0.75\n"


@pytest.fixture
def many(tmp_path: Path, ledger: Ledger) -> tuple[MeasuredProject, Path]:
    """25 test files with one threshold each, and a run that tightens them all."""
    project = MeasuredProject(tmp_path / "repo")
    for number in range(FILES):
        project.file(f"tests/test_x{number:02d}_ci.py", OLD)
    return project, project.measure({f"x{number:02d}_accuracy": {"accuracy": [0.75]} for number in range(FILES)})


def states(project: MeasuredProject) -> collections.Counter[str]:
    paths = sorted((project.root / "tests").glob("test_x*_ci.py"))
    return collections.Counter(path.read_text() for path in paths)


def stream(ledger: Ledger) -> list[Event]:
    (name,) = {event.stream for event in ledger.read(types=["ThresholdApplyPlanned"])}
    return ledger.read_stream(name)


def test_of_applies_at_the_same_time_one_writes_and_the_others_say_so(
    cli: Cli, many: tuple[MeasuredProject, Path], ledger: Ledger, tmp_path: Path
) -> None:
    project, run = many
    cli("calibrate", "audit", run, code=0)
    racing = [
        subprocess.Popen(
            [PERFLEDGER, "calibrate", "apply", str(run), "--mode", "full", *YES],
            cwd=tmp_path,
            env=clean_env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    said = [(*process.communicate(timeout=120), process.returncode) for process in racing]
    assert states(project) == {NEW: FILES}
    assert sum(f"{FILES} literal(s) written" in out for out, _, _ in said) == 1, said
    for out, err, code in said:
        # too late: the stream moved, a file moved, or everything is written already
        assert code in (0, 1, 3), (out, err)
        assert "Traceback" not in err
    kinds = collections.Counter(event.type for event in stream(ledger))
    assert (kinds["ThresholdApplyPlanned"], kinds["ThresholdApplied"]) == (1, FILES)


def test_an_apply_of_a_session_that_moved_is_not_announced(
    cli: Cli, many: tuple[MeasuredProject, Path], ledger: Ledger
) -> None:
    project, run = many
    cli("calibrate", "audit", run, code=0)  # imports the run directory
    (session_id,) = {e.stream.split("/")[1] for e in ledger.read(types=["RunDirectoryImported"])}
    session = read_session(ledger, session_id)
    assert session is not None
    plan = build_plan(session, project.root)
    decisions = decide(plan, "full", Answers())
    planned = execute.planned_event(ledger, plan, rewrites_of(plan, decisions), decisions, "full")
    for text in (OLD, NEW):  # also when another apply has put the same bytes there
        for number in range(FILES):
            project.file(f"tests/test_x{number:02d}_ci.py", text)
        with pytest.raises(Conflict):
            execute.write(ledger, planned, project.root, position=session.position - 1)
        assert states(project) == {text: FILES}
    assert not [event for event in ledger.read() if event.type.startswith("ThresholdAppl")]
