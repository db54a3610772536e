"""The log against its peers in one run: one durable append, a batch of 1,000, a long history, four writers, verify.

Peers do the same job on the same disk, taking turns with us so that the machine's other work affects all equally: the
`eventsourcing` library on SQLite as its users call it, SQLite with synchronous=FULL keeping the same canonical JSON and
the same hash chain with the same unique ids, and the least any durable log can do: one write and one fdatasync.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sqlite3
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.eventsourcing_peer import appender
from benchmarks.start import print_rows, row
from ledger import canonical
from ledger.event import NewEvent
from ledger.events.results import ResultRecorded
from ledger.ledger import Ledger
from ledger.log import chain

QUICK = bool(os.environ.get("PERFLEDGER_BENCH_QUICK"))
APPENDS, BURST = (300 if QUICK else 1_500), 30  # turns of 30, as the prototypes were measured
BATCHES, BATCH = (8 if QUICK else 30), 1_000
SEGMENTS_FEW, SEGMENTS_MANY = 100, (1_000 if QUICK else 10_000)
WRITER_SECONDS = 2.0 if QUICK else 5.0
VERIFY_EVENTS = 50_000 if QUICK else 1_000_000


def event(n: int) -> NewEvent:
    """Return a result as a benchmark of a model writes it, about 550 bytes of JSON; no file is kept as its evidence."""
    model, at = f"model-{n % 200}", f"2026-06-01T00:{n // 60 % 60:02d}:{n % 60:02d}"
    record = {
        "model_id": model,
        "timestamp": f"{at}+00:00",
        "commit_sha": sha256(str(n).encode()).hexdigest()[:40],
        "gpu_type": "NVIDIA L40S",
        "latency": 28.4 + n % 97 / 100,
        "throughput": 1.58,
        "memory": 10840.0,
        "text_encoder_time_s": 2.141,
        "dit_time_s": 8.437,
        "vae_decode_time_s": 3.208,
        "success": True,
    }
    return NewEvent(
        stream=f"target/{model}@NVIDIA L40S",
        payload=ResultRecorded(
            target=f"{model}@NVIDIA L40S",
            record=record,
            path=f"{model}/{n}.json",
            format="hf-tracking",
            sha256="",
            instant=f"{at}.000000Z",
            source="/history",
        ),
    )


class Sqlite:
    """SQLite in WAL mode with synchronous=FULL, holding hash-chained events in JSON as our log does."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=FULL")
        self.db.execute(
            "CREATE TABLE events (position INTEGER PRIMARY KEY, event_id TEXT UNIQUE, stream TEXT, "
            "version INTEGER, body TEXT, hash TEXT, UNIQUE (stream, version))"
        )
        self.position, self.hash = 0, "0" * 64
        self.versions: dict[str, int] = {}

    def append(self, events: list[NewEvent]) -> None:
        """Append in one transaction."""
        rows = []
        for new in events:
            self.position += 1
            version = self.versions[new.stream] = self.versions.get(new.stream, 0) + 1
            payload = {f: getattr(new.payload, f) for f in new.payload.__struct_fields__}
            event_id = str(uuid.uuid4())
            body = json.dumps(
                {
                    "actor": "a@b",
                    "event_id": event_id,
                    "payload": payload,
                    "position": self.position,
                    "prev_hash": self.hash,
                    "recorded_at": time.time(),
                    "stream": new.stream,
                    "type": "ResultRecorded",
                    "version": version,
                },
                sort_keys=True,
                separators=(",", ":"),
            )
            self.hash = sha256(body.encode()).hexdigest()
            rows.append((self.position, event_id, new.stream, version, body, self.hash))
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany("INSERT INTO events VALUES (?,?,?,?,?,?)", rows)
        self.db.execute("COMMIT")


def floor(path: Path) -> Callable[[list[NewEvent]], None]:
    """Return the least a durable append can be: one write of as many bytes, one fdatasync."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    line = b"x" * 1_050 + b"\n"

    def append(events: list[NewEvent]) -> None:
        os.write(fd, line * len(events))
        os.fdatasync(fd)

    return append


def interleaved(
    ways: dict[str, Callable[[list[NewEvent]], object]], rounds: int, size: int, burst: int = 1
) -> dict[str, list[float]]:
    """Let all ways append the same events, taking turns of `burst` appends. Returns the seconds of every append.

    Small appends come in bursts, as a user's do, so that no contender's sync pays for what another left unsynced.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(-5, rounds // burst):
        for name, append in ways.items():
            for n in range(turn * burst, (turn + 1) * burst):
                events = [event(5 * burst * size + n * size + i) for i in range(size)]
                start = time.perf_counter()
                append(events)
                if turn >= 0:  # the first ones make tables and files
                    times[name].append(time.perf_counter() - start)
    return times


def quartile(times: list[float]) -> float:
    """Return the time a quarter of the appends stayed under."""
    return sorted(times)[len(times) // 4]


def quickest_five(times: list[float]) -> float:
    """Return the mean of the quickest five appends in a row."""
    return min(statistics.mean(times[n : n + 5]) for n in range(len(times) - 4))


def appends(folder: Path) -> list[dict[str, Any]]:
    """One durable append (the quickest quarter's slowest), and a batch of 1,000 (the quickest five in a row, so that
    seals and checkpoints count). What a busy machine adds is not the subject."""
    rows = []
    for size, rounds in ((1, APPENDS), (BATCH, BATCHES)):
        here = folder / f"appends-{size}"
        here.mkdir()
        ledger = Ledger.create(here / ".perfledger", origin="bench", actor="a@b")
        sqlite = Sqlite(here / "peer.sqlite")
        times = interleaved(
            {
                "ours": ledger.append,
                "eventsourcing on SQLite": appender(here / "library.sqlite"),
                "SQLite synchronous=FULL": sqlite.append,
                "raw write + fdatasync": floor(here / "raw"),
            },
            rounds,
            size,
            BURST if size == 1 else 1,
        )
        middle = quartile if size == 1 else quickest_five
        ours = middle(times["ours"])
        name = "one durable append" if size == 1 else "batch of 1,000"
        for peer, limit in (
            ("eventsourcing on SQLite", 1.0),
            ("SQLite synchronous=FULL", 1.0),
            ("raw write + fdatasync", 2.5),
        ):
            if size > 1 and peer.startswith("raw"):
                continue
            rows.append(row(name, ours, peer=middle(times[peer]), against=peer, limit=limit))
    return rows


def history(folder: Path) -> list[dict[str, Any]]:
    """Open and append with many segments against few."""
    found = {}
    for count in (SEGMENTS_FEW, SEGMENTS_MANY):
        path = folder / f"segments-{count}"
        ledger = Ledger.create(path / ".perfledger", origin="bench", actor="a@b")
        for n in range(count):
            ledger.append([event(n)])
            ledger.log.seal()
        found[count] = path

    def once(path: Path) -> float:
        start = time.perf_counter()
        Ledger.open(path, actor="a@b").append([event(1)])
        return time.perf_counter() - start

    times: dict[int, list[float]] = {count: [] for count in found}
    for _ in range(60):
        for count, path in found.items():
            times[count].append(once(path))
    few, many = (quartile(times[count]) for count in found)
    return [
        row(
            f"open and append, {SEGMENTS_MANY:,} segments",
            many,
            peer=few,
            against=f"{SEGMENTS_FEW} segments",
            limit=1.5,
        )
    ]


def _writer(path: str, name: str, begin: float, done: Any) -> None:
    ledger = Ledger.open(path, actor=name)
    n = 0
    time.sleep(max(0.0, begin - time.time()))  # all start together, however long the imports took
    while time.time() < begin + WRITER_SECONDS:
        ledger.append([event(n)])
        n += 1
    done.put(n)


def fairness(folder: Path) -> list[dict[str, Any]]:
    """Four processes that append as fast as they can: the slowest one's share of the fastest one's."""
    path = folder / "four"
    Ledger.create(path / ".perfledger", origin="bench", actor="a@b")
    context = multiprocessing.get_context("spawn")
    done = context.Queue()
    begin = time.time() + 5.0
    writers = [context.Process(target=_writer, args=(str(path), f"w{n}", begin, done)) for n in range(4)]
    for writer in writers:
        writer.start()
    counts = sorted(done.get() for _ in writers)
    for writer in writers:
        writer.join()
    share = counts[0] / counts[-1]
    return [
        {
            "name": "4 writers, appends of the slowest",
            "value": counts[0],
            "unit": "appends",
            "ratio": round(share, 3),
            "against": "appends of the fastest",
            "limit": 0.8,
            "ok": share >= 0.8,
        }
    ]


def verification(folder: Path) -> list[dict[str, Any]]:
    """`verify` of a long log against a loop that reads event by event."""
    from ledger.verification.walk import verify

    ledger = Ledger.create(folder / "verified" / ".perfledger", origin="bench", actor="a@b")
    for start in range(0, VERIFY_EVENTS, 20_000):
        ledger.append([event(n) for n in range(start, min(start + 20_000, VERIFY_EVENTS))])
    start_s = time.perf_counter()
    report = verify(ledger)
    ours = time.perf_counter() - start_s
    assert report.ok
    assert report.events == VERIFY_EVENTS + 1
    start_s = time.perf_counter()
    previous = "0" * 64
    for stored in ledger.read():
        assert chain.hash_of(stored) == stored.hash
        assert stored.prev_hash == previous
        assert canonical.encode(canonical.decode(bytes(stored.payload))) == bytes(stored.payload)
        previous = stored.hash
    peer = time.perf_counter() - start_s
    return [
        row(
            f"verify {VERIFY_EVENTS:,} events",
            ours,
            peer=peer,
            against="a loop over the events that checks hash, link and form only",
            limit=1.0,
        )
    ]


def main() -> list[dict[str, Any]]:
    """Measure and return the rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [*appends(folder), *history(folder), *fairness(folder), *verification(folder)]


if __name__ == "__main__":
    print_rows(main())
