"""Small helpers of the sharing tests: events, what a ledger holds, and the same for a remote."""

from __future__ import annotations

import fnmatch
from pathlib import Path

from ledger.event import NewEvent
from ledger.events.baselines import BaselinePinned
from ledger.ledger import Ledger
from ledger.remotes.open import open_remote
from ledger.sync.pull import PullReport, pull
from ledger.sync.push import PushReport, push
from tests.ledger.sync.conftest import QUICK

HUB_URL = "hf://datasets/org/perf/ledger"


def write(ledger: Ledger, *names: str) -> None:
    """Append one event per name, each with a piece of evidence put before it."""
    for name in names:
        ledger.evidence.put(f"{ledger.origin} {name}".encode())
        ledger.append(
            [
                NewEvent(
                    stream=f"target/{ledger.origin}",
                    payload=BaselinePinned(
                        target="m@g", name=name, medians={"latency": 1.5}, result_event_ids=[], reason="a test"
                    ),
                )
            ]
        )


def do_push(ledger: Ledger, url: str = HUB_URL) -> PushReport:
    """Push with the quick policy."""
    return push(ledger, open_remote(url, policy=QUICK))


def do_pull(ledger: Ledger, url: str = HUB_URL) -> PullReport:
    """Pull with the quick policy."""
    return pull(ledger, open_remote(url, policy=QUICK))


def names(ledger: Ledger, origin: str | None = None) -> list[str]:
    """The names of the pins a ledger knows, in log order."""
    return [str(e.body()["name"]) for e in ledger.read(origin=origin, types=["BaselinePinned"])]


def chain(ledger: Ledger, origin: str, through: int) -> list[tuple[int, str]]:
    """Position and hash of an origin's events up to a position."""
    return [(e.position, e.hash) for e in ledger.read(origin=origin) if e.position <= through]


def remote_segments(files: dict[str, bytes], origin: str) -> list[str]:
    """The names of an origin's segments among a repository's files."""
    found = fnmatch.filter(files, f"*log/{origin}/*.parquet")
    return [Path(path).name for path in sorted(found)]
