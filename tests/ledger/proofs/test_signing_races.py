"""Checkpoints signed by several processes while others append and seal, some of them killed: never two histories."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ledger.ledger import Ledger
from ledger.proofs import checkpoints
from tests.ledger.proofs import rfc6962

TOP = Path(__file__).resolve().parents[3]
WRITERS, EVENTS = 2, 60
TOTAL = 1 + 1 + WRITERS * EVENTS  # the log's first event, and the one that names the key


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", *arguments], cwd=TOP, stdout=subprocess.PIPE, text=True)


def test_every_checkpoint_that_was_signed_is_of_the_one_history(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path, origin="bed", actor="tester@example.org")
    folder = str(ledger.path)
    writers = [start("tests.ledger.fire.work", "write", folder, f"w{n}", str(EVENTS)) for n in range(WRITERS)]
    signers = [start("tests.ledger.proofs.signing", folder, str(TOTAL)) for _ in range(2)]
    told: list[str] = []
    for _ in range(3):
        doomed = start("tests.ledger.proofs.signing", folder, str(TOTAL))
        assert doomed.stdout is not None
        told.append(doomed.stdout.readline())  # it signs, and is killed while it goes on to the next
        doomed.kill()
        told += doomed.communicate()[0].splitlines(keepends=True)
    for process in writers:
        process.communicate(timeout=240)
        assert process.returncode == 0
    for process in signers:
        told += process.communicate(timeout=240)[0].splitlines(keepends=True)
        assert process.returncode == 0
    whole = [line.split() for line in told if line.endswith("\n")]
    hashes = [bytes.fromhex(event.hash) for event in ledger.read()]
    assert len(hashes) == TOTAL and len(whole) >= 4
    for size, root in whole:
        assert rfc6962.mth(hashes[: int(size)]).hex() == root
    kept = checkpoints.read(ledger, "bed")
    assert kept is not None and kept.size == TOTAL
