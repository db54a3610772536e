"""Events for tests of the log: real types, small payloads."""

from __future__ import annotations

from pathlib import Path

from ledger.event import NewEvent
from ledger.events.results import ResultRecorded
from ledger.log import journal


def result(
    n: int,
    *,
    target: str = "model-a@GPU",
    stream: str | None = None,
    key: str | None = None,
    event_id: str | None = None,
    sha256: str = "",
    **record: object,
) -> NewEvent:
    """A recorded result whose latency is 28 + n / 100 seconds. sha256: of the evidence it cites."""
    body = {
        "model_id": target.split("@")[0],
        "gpu_type": target.split("@")[1],
        "latency": 28 + n / 100,
        "timestamp": f"2026-06-01T00:00:{n % 60:02d}+00:00",
        "success": True,
        **record,
    }
    payload = ResultRecorded(target=target, record=body, path=f"run-{n}.json", format="normalized", sha256=sha256)
    return NewEvent(stream=stream or f"target/{target}", payload=payload, key=key, event_id=event_id)


def lines_of(path: Path) -> bytes:
    """The lines of a journal, without the padding behind them."""
    return path.read_bytes().rstrip(journal.PADDING) + b"\n"


def add_line(path: Path, line: bytes) -> None:
    """Write a line behind a journal's lines, as a writer does, with a newline."""
    path.write_bytes(lines_of(path) + line + b"\n")
