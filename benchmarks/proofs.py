"""Proofs that an event is in a log of a million: made with nothing kept, made warm, checked; and their size.

The physical limit of the first is to hash the leaves and nodes of the tree with hashlib, of the warm one an interpreter
that starts, imports what signing and reading Parquet need, and ends.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.log import event
from benchmarks.peak import cost
from benchmarks.start import PERFLEDGER, print_rows, row
from benchmarks.timing import best
from ledger.ledger import Ledger
from ledger.proofs import proof, tree

QUICK = bool(os.environ.get("PERFLEDGER_BENCH_QUICK"))
EVENTS = 50_000 if QUICK else 1_000_000
BATCH = 20_000
PROOF_BYTES_MAX = 4096
IMPORTS = "import pyarrow.parquet, cryptography.hazmat.primitives.asymmetric.ed25519, ledger.proofs.making"
# a signing machine is not faster than its hash: what both rows may cost beside it, with reading a million hashes
COLD_LIMIT, WARM_LIMIT = 12.0, 4.0


def hashed(count: int) -> float:
    """Return the seconds that hashing the leaves and inner nodes of a tree of `count` takes, and nothing else."""
    leaf, node = b"\x00" + bytes(32), b"\x01" + bytes(64)
    began = time.perf_counter()
    for _ in range(count):
        sha256(leaf).digest()
    for _ in range(count - 1):
        sha256(node).digest()
    return time.perf_counter() - began


def main(events: int = EVENTS) -> list[dict[str, Any]]:
    """Measure and return the rows. events: how many the log has."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ledger = Ledger.create(folder, origin="bench", actor="a@b")
        for start in range(0, events, BATCH):
            ledger.append([event(n) for n in range(start, min(start + BATCH, events))])
        middle = f"{events // 2}@bench"
        file = folder / "one.tlog-proof"

        def prove() -> float:
            return cost([PERFLEDGER, "prove", middle, "-o", str(file)], cwd=folder).seconds

        cold = prove()
        (ledger.log.folder / "checkpoint").unlink()
        (ledger.log.folder / tree.NAME).unlink()
        cold = min(cold, prove())
        warm = min(prove() for _ in range(3))
        checked = min(
            cost([PERFLEDGER, "verify", "--proof", str(file), "--ledger", str(folder)], cwd=folder).seconds
            for _ in range(3)
        )
        alone = min(cost([sys.executable, "-c", IMPORTS], cwd=Path(__file__).parent.parent).seconds for _ in range(3))
        data = file.read_bytes()
        payload = len(proof.parse_event(proof.parse(data).event).payload)
        size = len(data) - payload * 4 // 3  # it is in base64
        return [
            row(
                f"one proof among {events:,} events, nothing kept",
                cold,
                peer=best(lambda: hashed(events), 1),
                against="hashlib on as many leaves and nodes",
                limit=COLD_LIMIT,
            ),
            row(
                f"one proof among {events:,} events, warm",
                warm,
                peer=alone,
                against="python that imports pyarrow and Ed25519",
                limit=WARM_LIMIT,
            ),
            row(
                "check a proof by the key the log names",
                checked,
                peer=alone,
                against="python that imports pyarrow and Ed25519",
                limit=WARM_LIMIT,
            ),
            {
                "name": f"a proof among {events:,} events, without the payload",
                "value": size,
                "unit": "bytes",
                "ratio": round(size / PROOF_BYTES_MAX, 2),
                "against": "4 KiB",
                "limit": 1.0,
                "ok": size <= PROOF_BYTES_MAX,
            },
        ]


if __name__ == "__main__":
    print_rows(main())
