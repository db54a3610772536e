"""What the processes of the fire tests do, as real processes: `python -m tests.ledger.fire.work WHAT LEDGER ...`."""

from __future__ import annotations

import os
import sys
import time
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
