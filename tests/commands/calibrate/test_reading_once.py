"""`calibrate run` reads and folds each event of its stream once, so a session of N events costs N and not N squared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.stream import counted, measure
from ledger.ledger import Ledger
from tests.conftest import Result
from tests.e2e.tiny_project import git, make


@pytest.mark.parametrize("sealing", [False, True])
def test_ten_times_the_repeats_read_ten_times_the_events(tmp_path: Path, sealing: bool) -> None:
    few, few_events = measure(tmp_path / "few", 30, sealing=sealing)
    many, many_events = measure(tmp_path / "many", 300, sealing=sealing)
    assert (few.folded, many.folded) == (few_events, many_events), "each event is folded once"
    origin = 1  # the event of another stream that every log begins with
    assert few.decoded <= few_events + origin and many.decoded <= many_events + origin


def test_a_run_with_its_real_repeats_folds_each_event_once(tmp_path: Path, in_process: Callable[..., Result]) -> None:
    root = make(tmp_path / "project")
    slow = root / "tests" / "test_slow_ci.py"
    # incomplete, because a report would fold every session of the ledger to compare with
    slow.write_text(
        slow.read_text().replace("    measure(tmp_path, BASE", "    assert repeat < 2\n    measure(tmp_path, BASE")
    )
    git(root, "commit", "-qam", "the second repeat fails")
    in_process("init", root, code=0)
    run = ("calibrate", "run", "--model", "tiny", "--output-dir", "runs/a", "--skip-precheck", "--no-sync")
    more = ("--stages", "slow_speed", "--repeats", "2", "--max-passes", "1")
    with counted() as first:
        in_process(*run, *more, cwd=root, code=1)
    ledger = Ledger.open(root, actor="a")
    stream = next(e.stream for e in ledger.read() if e.type == "CalibrationPlanned")
    events = len(ledger.read_stream(stream))
    assert first.folded == events >= 6
    with counted() as again:
        in_process(*run, "--max-passes", "1", "--resume", cwd=root, code=1)
    after = len(ledger.read_stream(stream))
    assert again.folded == after > events
    assert again.decoded < 2 * (after + len(list(ledger.read())))
