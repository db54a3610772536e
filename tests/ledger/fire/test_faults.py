"""A fault at every file system call: strace lets the Nth one fail (EIO, ENOSPC) or kills the process there.

After each the ledger verifies, what was acknowledged is there, the caller was told which of three it was (recorded,
not recorded, unknown), and the same command with the same event id never records twice. The method is Tessera's.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.ledger import Ledger
from ledger.verification.walk import verify
from projections.state.state import State
from tests.conftest import clean_env
from tests.ledger.samples import result

ROOT = Path(__file__).parents[3]
EVENT_ID = "0190a0a0-0000-7000-8000-0000000000ff"
CALLS = "openat,write,pwrite64,fsync,fdatasync,link,linkat,rename,renameat2,unlink,ftruncate,mkdir"
MEANING = {0: "recorded", 4: "not recorded", 6: "unknown", 7: "not recorded"}


def can_trace() -> str:
    """Return why strace cannot be used here, or nothing."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    done = subprocess.run(["strace", "-f", "-e", "inject=fsync:error=EIO", "true"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "this kernel does not let a process trace another"


pytestmark = pytest.mark.skipif(bool(can_trace()), reason=can_trace() or "-")


def trace(arguments: list[str], log: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["strace", "-f", "-qq", "-o", str(log), *options, sys.executable, "-m", "tests.ledger.fire.work"]
    return subprocess.run(
        [*command, *arguments],
        env=clean_env(PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def calls_on_the_ledger(log: Path, folder: Path) -> list[tuple[str, int]]:
    """Return (call, which one of its kind) of each traced call that touches the ledger's files."""
    counts: dict[str, int] = {}
    open_fds: set[tuple[str, str]] = set()
    found = []
    for line in log.read_text(errors="replace").splitlines():
        match = re.match(r"(\d+)\s+(\w+)\((.*)", line)
        if not match:
            continue
        pid, call, rest = match.groups()
        counts[call] = counts.get(call, 0) + 1
        fd = rest.split(",")[0].split(")")[0]
        touches = str(folder) in rest or f"<{folder}" in rest
        if call == "openat" and touches and "O_RDONLY" in rest and "O_DIRECTORY" not in rest:
            touches = False  # a failing read is an ordinary error; the interesting calls change something
        if touches or (pid, fd) in open_fds:
            found.append((call, counts[call]))
    return found


def prepare(folder: Path) -> Path:
    """Make a ledger with a sealed segment, a journal and evidence."""
    ledger = Ledger.create(folder / ".perfledger", origin="testbed", actor="tester")
    ledger.append([result(n) for n in range(3)])
    ledger.evidence.put(b"a record")
    ledger.seal()
    ledger.append([result(4)])
    ledger.evidence.put(b"another record")
    return ledger.path


def every_fault(tmp_path: Path, what: list[str]) -> list[tuple[str, int, str]]:
    """Return (call, which, fault) for each call the operation makes on the ledger."""
    template = prepare(tmp_path / "traced")
    log = tmp_path / "calls"
    done = trace([what[0], str(template), *what[1:]], log, "-y", "-e", f"trace={CALLS}")
    assert done.returncode == 0, done.stderr
    found = calls_on_the_ledger(log, template)
    return [(call, number, fault) for call, number in found for fault in ("error=EIO", "error=ENOSPC", "signal=KILL")]


def inject(tmp_path: Path, what: list[str], fault: tuple[str, int, str]) -> tuple[Path, int, str]:
    """Run an operation on a fresh ledger with one fault. Returns the ledger, the exit code and what was printed."""
    call, number, kind = fault
    folder = tmp_path / f"{call}-{number}-{kind[-4:]}"
    path = prepare(folder)
    done = trace(
        [what[0], str(path), *what[1:]],
        folder / "log",
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:{kind}:when={number}",
    )
    return path, done.returncode, done.stdout + done.stderr


def spread(faults: list[tuple[str, int, str]], limit: int) -> list[tuple[str, int, str]]:
    """Return at most `limit` of the faults, evenly chosen, of every kind of call."""
    return faults if len(faults) <= limit else [faults[i * len(faults) // limit] for i in range(limit)]


def check_append(tmp_path: Path, limit: int) -> dict[str, int]:
    """Inject faults into an append and judge each outcome. Returns how often each was told."""
    told: dict[str, int] = {}
    for fault in spread(every_fault(tmp_path, ["append_one", EVENT_ID]), limit):
        path, code, output = inject(tmp_path, ["append_one", EVENT_ID], fault)
        ledger = Ledger.open(path, actor="tester")
        there = [e.event_id for e in ledger.read()].count(EVENT_ID)
        assert verify(ledger).ok, fault
        outcome = MEANING.get(code, "killed")
        assert not (outcome == "recorded" and there != 1), (fault, output)
        assert not (outcome == "not recorded" and there != 0), (fault, output)
        assert outcome != "killed" or fault[2] == "signal=KILL", (fault, code, output)
        again = ledger.append([result(1, event_id=EVENT_ID)])[0]
        assert again.duplicate == bool(there), fault
        assert [e.event_id for e in Ledger.open(path).read()].count(EVENT_ID) == 1, fault
        assert verify(Ledger.open(path)).ok, fault
        told[outcome] = told.get(outcome, 0) + 1
        shutil.rmtree(path.parent)
    return told


def check_other(tmp_path: Path, what: str, limit: int) -> int:
    """Inject faults into a seal or a catch-up: no event is lost, and the same operation works afterwards."""
    faults = spread(every_fault(tmp_path, [what]), limit)
    for fault in faults:
        path, _, output = inject(tmp_path, [what], fault)
        assert verify(Ledger.open(path)).ok, (fault, output)
        assert len(list(Ledger.open(path).read())) == 5, fault
        ledger = Ledger.open(path, actor="tester")
        ledger.seal()
        assert ledger.append([result(9)])[0].position == 6, fault
        assert {ledger.evidence.get(d) for d in ledger.evidence.remembered()} == {b"a record", b"another record"}
        with State.open(ledger) as live, State.from_log(ledger) as rebuilt:
            assert live.export() == rebuilt.export(), fault
        assert verify(Ledger.open(path)).ok, fault
        shutil.rmtree(path.parent)
    return len(faults)


def test_a_fault_in_an_append_is_told_as_what_it_was_and_a_retry_never_doubles(tmp_path: Path) -> None:
    told = check_append(tmp_path, 30)
    assert told["recorded"]
    assert told["not recorded"]
    assert told["killed"]


def test_a_fault_in_a_seal_loses_nothing(tmp_path: Path) -> None:
    assert check_other(tmp_path, "seal", 14) == 14


def test_a_fault_in_a_catch_up_of_the_projections_skips_nothing(tmp_path: Path) -> None:
    assert check_other(tmp_path, "project", 8) == 8


@pytest.mark.soak
def test_a_fault_at_every_call_of_an_append_a_seal_and_a_catch_up(tmp_path: Path) -> None:
    assert sum(check_append(tmp_path / "append", 10**9).values()) >= 24
    assert check_other(tmp_path / "seal", "seal", 10**9) >= 30
    assert check_other(tmp_path / "project", "project", 10**9) >= 10


def test_when_neither_the_write_nor_taking_it_back_can_be_synced_the_outcome_is_unknown(tmp_path: Path) -> None:
    """The only case of exit 6: every fdatasync fails, so nothing can be said of the line."""
    path = prepare(tmp_path)
    done = trace(
        ["append_one", str(path), EVENT_ID],
        tmp_path / "log",
        "-e",
        "trace=fdatasync",
        "-e",
        "inject=fdatasync:error=EIO",
    )
    assert done.returncode == 6, done.stdout + done.stderr
    assert "may or may not be recorded" in done.stdout
    ledger = Ledger.open(path, actor="tester")
    assert verify(ledger).ok
    ledger.append([result(1, event_id=EVENT_ID)])
    assert [e.event_id for e in Ledger.open(path).read()].count(EVENT_ID) == 1
