"""T7: a check looks at one moment. On a ledger that others write, seal, push and pull, `verify` and `replay --check`
find nothing that is not there, and a real fault among all of that is still found."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.evidence.store import EvidenceStore
from ledger.ledger import Ledger
from ledger.log.origin_log import OriginLog
from ledger.verification.walk import verify
from projections.state.state import State
from tests.ledger.fire.test_races import start
from tests.ledger.samples import result

WRITERS = 4  # with the one that syncs and the other machine: six processes


@pytest.fixture
def busy(ledger: Ledger, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger that six processes keep busy: each has done something when the test begins."""
    remote = tmp_path / "remote"
    remote.mkdir()
    other = Ledger.create(tmp_path / "other", origin="other", actor="a")
    url = f"file://{remote}"
    running = [start("keep_writing", ledger.path, f"writer{n}", stdin=subprocess.PIPE) for n in range(WRITERS)]
    running.append(start("keep_syncing", ledger.path, url, stdin=subprocess.PIPE))
    running.append(start("keep_growing", other.path, url, stdin=subprocess.PIPE))
    yield ledger
    for process in running:
        process.communicate(timeout=600)  # ends its stdin, which is the order to end


# The soak is 100 rounds, on ten ledgers: a ledger that grows while it is checked makes each round longer than the one
# before, so that a hundred on the same one do not end.
ROUNDS = [4, *(pytest.param(10, marks=pytest.mark.soak, id=f"ledger {n} of 10") for n in range(1, 11))]


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_ledger_in_use_is_never_called_damaged(busy: Ledger, rounds: int) -> None:
    heads = set()
    for _ in range(rounds):
        report = verify(Ledger.open(busy.path))
        assert report.ok, report.findings
        heads.add(report.heads[busy.origin].position)
        with State.open(Ledger.open(busy.path)) as state:
            live, reached = state.export(), state.reached()
        with State.from_log(Ledger.open(busy.path), until=reached) as state:
            assert state.export() == live
    assert len(heads) > 1, "it grew between two checks"


def test_a_fault_in_a_ledger_in_use_is_found(busy: Ledger) -> None:
    """A byte of a sealed segment changes while everybody writes on."""
    paths = busy.log.segment_paths()
    while len(paths) < 3:
        paths = busy.log.segment_paths()
    damaged = paths[1]
    body = bytearray(damaged.read_bytes())
    body[len(body) // 2] ^= 1
    damaged.write_bytes(body)
    for _ in range(3):
        report = verify(Ledger.open(busy.path))
        assert [finding.file.rpartition("/")[2] for finding in report.findings][:1] == [damaged.name], report.findings


def moved_on(folder: Path) -> None:
    """What another process does in between: evidence and an event that cites it, and a seal of both."""
    other = Ledger.open(folder, actor="other")
    digest = other.evidence.put(f"{other.head().position}".encode())
    other.append([result(1, sha256=digest)])
    other.seal()


class LogInUse(OriginLog):
    """A log that another process seals right before or right after its segments are listed."""

    before = False

    def segment_paths(self) -> list[Path]:
        if self.before:
            moved_on(self.folder.parents[1])
        paths = super().segment_paths()
        if not self.before:
            moved_on(self.folder.parents[1])
        return paths


class EvidenceInUse(EvidenceStore):
    """An evidence store that another process seals right before or right after its files are listed."""

    before = False

    def files(self) -> list[Path]:
        if self.before:
            moved_on(self.root.parent)
        paths = super().files()
        if not self.before:
            moved_on(self.root.parent)
        return paths


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("what", ["log", "evidence"])
def test_a_seal_right_before_or_after_the_listing_hides_nothing(ledger: Ledger, what: str, before: bool) -> None:
    """The same as above, at the moments that matter and not by chance."""
    for n in range(3):
        ledger.append([result(n, sha256=ledger.evidence.put(f"piece {n}".encode()))])
    if what == "log":
        ledger.log = log = LogInUse(ledger.log.folder, ledger.origin)
        log.before = before
    else:
        ledger.evidence = evidence = EvidenceInUse(ledger.evidence.root, ledger.origin)
        evidence.before = before
    report = verify(ledger)
    assert report.ok, report.findings
    assert report.heads[ledger.origin].position >= 4


def test_a_rebuild_is_compared_with_the_log_of_the_same_moment(ledger: Ledger) -> None:
    ledger.append([result(1)])
    with State.open(ledger) as state:
        live, reached = state.export(), state.reached()
    moved_on(ledger.path)
    ledger.append([result(2)])
    with State.from_log(ledger, until=reached) as state:
        assert state.export() == live and state.reached() != reached
    with State.from_log(ledger) as state:
        assert state.export() != live
