"""Peak memory of imports, against an import of a tenth and against the size of what they read.

What the rest of the input adds to the peak is compared with the size of that rest: libraries count in both.
"""

from __future__ import annotations

import csv
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import peak
from benchmarks.check import write_history
from benchmarks.log import QUICK
from benchmarks.start import PERFLEDGER, environment, print_rows

RECORDS, EDITS = (2_000, 2_000) if QUICK else (20_000, 20_000)
GROWTH_LIMIT, TENTH_LIMIT = 40.0, 3.0
COLUMNS = ("commit", "committed_at", "pr", "file", "symbol", "change", "old", "new")


def main(records: int = RECORDS, edits: int = EDITS) -> list[dict[str, Any]]:
    """Measure both kinds of import and return the rows."""
    return [
        *_measured("hf-tracking", f"{records:,} records", records, write_history),
        *_measured("threshold-history", f"{edits:,} edits", edits, _write_edits),
    ]


def _measured(kind: str, size: str, count: int, write: Callable[[Path, int], Path]) -> list[dict[str, Any]]:
    """The peak of an import of so many and of one of a tenth, each into a ledger of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = write(folder / "all", count), write(folder / "some", count // 10)
        bytes_all, bytes_some = map(_bytes, sources)
        whole, tenth = (_import(folder / f"into-{source.name}", kind, source) for source in sources)
    what, rest = f"import {kind} of {size}", (bytes_all - bytes_some) / peak.MIB
    against = f"an import of a tenth, {tenth:.0f} MiB"
    added = f"those nine tenths of the input, {rest:.1f} MiB"
    return [
        peak.row(f"peak memory, {what}", whole, peer=tenth, against=against, limit=TENTH_LIMIT),
        peak.row(f"what nine tenths add, {what}", whole - tenth, peer=rest, against=added, limit=GROWTH_LIMIT),
    ]


def _bytes(source: Path) -> int:
    """Return the size of a file, or of all files of a folder, in bytes."""
    return sum(path.stat().st_size for path in (source, *source.rglob("*")) if path.is_file())


def _import(folder: Path, kind: str, source: Path) -> float:
    """Import into a new ledger; return the peak memory in MiB."""
    folder.mkdir()
    subprocess.run([PERFLEDGER, "init"], cwd=folder, env=environment(), check=True, capture_output=True)
    return peak.cost([PERFLEDGER, "import", kind, str(source)], cwd=folder).mib


def _write_edits(path: Path, count: int) -> Path:
    """Write so many edits of thresholds as a CSV file, five in a commit; return its path."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for number in range(count):
            commit = number // 5
            when = f"2026-{1 + commit // 28 % 12:02d}-{1 + commit % 28:02d}T{commit % 24:02d}:00:00+00:00"
            symbol = f"CASE_{number % 400}_LATENCY_MEAN_MAX_S"
            old, new = f"{20 + number % 17}.25", f"{21 + number % 17}.25"
            rows.writerow((f"{commit:040x}", when, commit + 1, "tests/test_speed_ci.py", symbol, "changed", old, new))
    return path


if __name__ == "__main__":
    print_rows(main())
