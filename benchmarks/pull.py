"""Pulling a long log of another machine: whole processes, from a folder and from the Hub on loopback.

Every event that is pulled is verified. The peers take the same files and verify less: `copy` reads each, takes its
SHA-256 and writes it with fsync; DuckDB reads every column of every row; `snapshot_download` brings them from the same
Hub. Memory is compared with that of a pull of a tenth, and with that of `snapshot_download`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import peak
from benchmarks.log import QUICK
from benchmarks.rebuild import write
from benchmarks.start import PERFLEDGER, environment, print_rows, row
from benchmarks.sync import URL, hub

EVENTS = 10_000 if QUICK else 100_000
ROUNDS = 3
READ_LIMIT, TENTH_MEMORY_LIMIT = 12.0, 3.0
DOWNLOAD_LIMIT, DOWNLOAD_MEMORY_LIMIT = 10.0, 10.0  # it verifies nothing, and needs neither DuckDB nor Arrow
COPY = """
import hashlib, os, pathlib, sys
source, target = map(pathlib.Path, sys.argv[1:])
for path in source.rglob("*.parquet"):
    data = path.read_bytes()
    hashlib.sha256(data).hexdigest()
    with open(target / path.name, "wb") as file:
        file.write(data)
        os.fsync(file.fileno())
"""
READ = """
import sys
import duckdb
duckdb.execute("SET threads = 1")
query = "SELECT count(*), max(hash(COLUMNS(*))) FROM read_parquet(?)"
duckdb.execute(query, [sys.argv[1] + "/**/*.parquet"]).fetchall()
"""
DOWNLOAD = """
import sys
from huggingface_hub import snapshot_download
snapshot_download("org/perf", repo_type="dataset", local_dir=sys.argv[1], max_workers=4)
"""


def main(events: int = EVENTS, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Measure both remotes and return the rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "writer", events)
        write(folder / "small" / "writer", events // 10)
        return [*_from_folder(folder, events, rounds), *_from_hub(folder, events, rounds)]


def _from_folder(folder: Path, events: int, rounds: int) -> list[dict[str, Any]]:
    """A pull from a file:// remote, the peers on the files of that remote; and a pull of a tenth."""
    remote, small = folder / "remote", folder / "small" / "remote"
    for path in (remote, small):
        path.mkdir()
        _push(path.with_name("writer"), path.as_uri())
    pulls, tenths, copies, reads = [], [], [], []
    for number in range(rounds):  # interleaved, so that a busy spell hits all
        target = folder / f"copy-{number}"
        target.mkdir()
        copies.append(peak.cost([sys.executable, "-c", COPY, str(remote), str(target)], cwd=folder))
        reads.append(peak.cost([sys.executable, "-c", READ, str(remote)], cwd=folder))
        pulls.append(_pull(folder / f"reader-{number}", remote.as_uri(), events))
        tenths.append(_pull(small.with_name(f"reader-{number}"), small.as_uri(), events // 10))
    what = f"pull of {events:,} events from a folder"
    mib = sum(path.stat().st_size for path in remote.rglob("*.parquet")) / peak.MIB
    pull, copy, read = (min(cost.seconds for cost in costs) for costs in (pulls, copies, reads))
    return [
        row(what, pull, peer=copy, against=f"copying and hashing its {mib:.1f} MiB, {copy:.2f} s", limit=None),
        row(what, pull, peer=read, against=f"DuckDB reading every column of it, {read:.2f} s", limit=READ_LIMIT),
        _memory(what, pulls, tenths, f"a pull of {events // 10:,}", TENTH_MEMORY_LIMIT),
    ]


def _from_hub(folder: Path, events: int, rounds: int) -> list[dict[str, Any]]:
    """A pull from the Hub of this process, against the usual tool on the same repository."""
    pulls, downloads = [], []
    with hub() as server:
        variables = server.env() | {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        _push(folder / "writer", URL, **variables)
        for number in range(rounds):
            command = [sys.executable, "-c", DOWNLOAD, str(folder / f"mirror-{number}")]
            downloads.append(peak.cost(command, cwd=folder, **variables))
            pulls.append(_pull(folder / f"hub-reader-{number}", URL, events, **variables))
    what = f"pull of {events:,} events from the Hub"
    pull, download = (min(cost.seconds for cost in costs) for costs in (pulls, downloads))
    against = f"snapshot_download of the same, {download:.2f} s"
    return [
        row(what, pull, peer=download, against=against, limit=DOWNLOAD_LIMIT),
        _memory(what, pulls, downloads, "snapshot_download of the same", DOWNLOAD_MEMORY_LIMIT),
    ]


def _memory(what: str, pulls: list[peak.Cost], peers: list[peak.Cost], against: str, limit: float) -> dict[str, Any]:
    """The largest peak of several pulls, against the largest of the peers."""
    ours, theirs = (max(cost.mib for cost in costs) for costs in (pulls, peers))
    against = f"{against}, {theirs:.0f} MiB"
    return peak.row(f"peak memory, {what}", ours, peer=theirs, against=against, limit=limit)


def _push(writer: Path, url: str, **variables: str) -> None:
    """Push a writer's log."""
    peak.cost([PERFLEDGER, "sync", "push", "--remote", url], cwd=writer, **variables)


def _pull(reader: Path, url: str, events: int, **variables: str) -> peak.Cost:
    """Pull into a new ledger, and return what it took. Raises AssertionError when fewer events arrived."""
    from ledger.ledger import Ledger

    reader.mkdir()
    subprocess.run([PERFLEDGER, "init"], cwd=reader, env=environment(), check=True, capture_output=True)
    cost = peak.cost([PERFLEDGER, "sync", "pull", "--remote", url], cwd=reader, **variables)
    assert Ledger.open(reader).head("bench").position > events
    return cost


if __name__ == "__main__":
    print_rows(main())
