"""Make the golden ledger of a format version: `python -m tests.golden.make`. Run once per version, never again.

The ledgers beside this file were written by the release that introduced their format. Every later version must read
them: same events, same hashes, same evidence. A new format gets a new folder; the old ones stay as they are.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from hashlib import sha256
from pathlib import Path

from ledger.adoption import adopt
from ledger.evidence import store as evidence
from ledger.ledger import Ledger
from ledger.verification.walk import verify
from tests.ledger.samples import result

HERE = Path(__file__).parent


def make(folder: Path) -> Path:
    """Write a ledger with one of everything the format has, and what must be read from it."""
    ledger = Ledger.create(folder / ".perfledger", origin="golden", actor="golden@example.org")
    for n, data in enumerate((b'{"latency": 28.01}', bytes(range(256)), b"L" * (evidence.SMALL_BYTES_MAX + 1))):
        new = result(n + 1, key=f"golden/{n}", note='Grüße, \u2028 \U0001f680 "quoted" \\ \t')
        new.payload.sha256 = ledger.evidence.put(data)  # type: ignore[attr-defined]
        ledger.append([new])
    other = Ledger.create(folder / "other", origin="other", actor="other@example.org")
    other.append([result(50, target="model-b@GPU"), result(51, target="model-b@GPU")])
    other.seal()
    adopt(ledger, "other", other.log.segment_paths(), remote="golden")
    shutil.rmtree(folder / "other")
    ledger.seal()
    ledger.append([result(n, tiny=5e-324, huge=1.7976931348623157e308, zero=-0.0, third=1 / 3) for n in (60, 61)])
    ledger.evidence.put(b"in the tail")
    assert verify(ledger).ok
    return ledger.path


def main() -> None:
    """Write `format-1.tar.xz` and `format-1.json`, unless they are there."""
    target = HERE / "format-1.tar.xz"
    if target.exists():
        raise SystemExit(f"{target} is there already, and golden ledgers are never made again")
    work = HERE / "work"
    path = make(work)
    ledger = Ledger.open(path)
    expected = {
        "events": [event.as_dict() for event in ledger.read()],
        "evidence": {d: sha256(ledger.evidence.get(d)).hexdigest() for d in sorted(ledger.evidence.remembered())},
    }
    (HERE / "format-1.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for derived in ("heads.sqlite", "index.sqlite", "lock", "head", "state"):
        for found in path.rglob(derived + "*"):
            found.unlink()
    with tarfile.open(target, "w:xz") as archive:
        archive.add(path, ".perfledger")
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
