"""What the processes of the fire tests do, as real processes: `python -m tests.ledger.fire.work WHAT LEDGER ...`."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ledger import identifiers
from ledger.errors import PerfledgerError
from ledger.ledger import Ledger
from tests.ledger.samples import result


def write(folder: str, name: str, count: str, event_id: str = "") -> None:
    """Append events one at a time, sealing now and then, and print each id once it is acknowledged."""
    ledger = Ledger.open(folder, actor=name)
    for n in range(int(count)):
        receipt = ledger.append([result(n, target=f"{name}@GPU", key=f"{name}/{n}", event_id=event_id or None)])[0]
        sys.stdout.write(f"{receipt.position} {receipt.event_id}\n")
        sys.stdout.flush()
        if n % 20 == 19:
            ledger.seal()


def write_until(folder: str, name: str, seconds: str) -> None:
    """Append batches of one to three until the time is over; seal now and then. Print every acknowledged id."""
    ledger = Ledger.open(folder, actor=name)
    end, n = time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        receipts = ledger.append([result(n, target=f"{name}@GPU") for _ in range(1 + n % 3)])
        sys.stdout.write("".join(f"{r.position} {r.event_id}\n" for r in receipts))
        sys.stdout.flush()
        n += 1
        if n % 50 == 0:
            ledger.seal()


def read_until(folder: str, name: str, seconds: str) -> None:
    """List all events and ask the projections, again and again; any gap or error is fatal. Print the rounds."""
    from projections.state.state import State

    end, rounds, last = time.monotonic() + float(seconds), 0, 0
    while time.monotonic() < end:
        ledger = Ledger.open(folder, actor=name)
        positions = [e.position for e in ledger.read()]
        assert positions == list(range(1, len(positions) + 1)), "a gap"
        assert len(positions) >= last, "events vanished"
        last = len(positions)
        if rounds % 3 == 0:
            with State.open(ledger) as state:
                found = state.rows("SELECT count(*) AS n, max(position) AS p FROM fact_result")[0]
                assert found["n"] >= last - 1, (found, last)
        rounds += 1
    print(rounds)


def keep_writing(folder: str, name: str) -> None:
    """Append results that cite evidence and seal both now and then, until stdin ends."""
    for n in _until_told():
        ledger = Ledger.open(folder, actor=name)
        digest = ledger.evidence.put(f"{name} {n}".encode())
        ledger.append([result(n, target=f"{name}@GPU", sha256=digest)])
        if n % 5 == 0:
            ledger.seal()


def keep_syncing(folder: str, url: str) -> None:
    """Push to a remote, which seals first, and pull from it, again and again, until stdin ends."""
    from ledger.remotes.open import open_remote
    from ledger.sync.pull import pull
    from ledger.sync.push import push

    for _ in _until_told():
        ledger, remote = Ledger.open(folder, actor="syncer"), open_remote(url)
        push(ledger, remote)
        pull(ledger, remote)


def keep_growing(folder: str, url: str) -> None:
    """Append to a ledger and push it, as another machine does, until stdin ends."""
    from ledger.remotes.open import open_remote
    from ledger.sync.push import push

    for n in _until_told():
        ledger = Ledger.open(folder, actor="other")
        ledger.append([result(n, target="other@GPU")])
        push(ledger, open_remote(url))


def _until_told() -> Iterator[int]:
    n = 0
    while not select.select([sys.stdin], [], [], 0.02)[0]:  # a pause, for who checks meanwhile
        yield (n := n + 1)


def seal(folder: str) -> None:
    """Seal once."""
    Ledger.open(folder, actor="sealer").seal()


def project(folder: str) -> None:
    """Bring the state files up to the log."""
    from projections.state.state import State

    with State.open(Ledger.open(folder, actor="projector")):
        pass


def append_one(folder: str, event_id: str) -> None:
    """Append one event under a given id and say how it ended: 0 recorded, else the error's exit code."""
    try:
        Ledger.open(folder, actor="tester").append([result(1, event_id=event_id)])
    except PerfledgerError as error:
        print(error.message)
        sys.exit(error.exit_code)
    except OSError as error:
        print(error)
        sys.exit(4)


def hold(folder: str) -> None:
    """Take the log's lock, say so, and keep it until killed."""
    from ledger.log import lock

    ledger = Ledger.open(folder, actor="holder")
    with lock.exclusive(ledger.log.lock_path):
        print("held", flush=True)
        time.sleep(600)


def at_times(folder: str, *clock: str) -> None:
    """Append one event at each of the given clock readings (microseconds)."""
    ledger = Ledger.open(folder, actor="clock")
    for reading in clock:
        identifiers.clock = lambda now=int(reading): now  # type: ignore[misc]
        ledger.append([result(1)])


if __name__ == "__main__":
    os.chdir(Path(sys.argv[2]).parent)
    globals()[sys.argv[1]](*sys.argv[2:])
