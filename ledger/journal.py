"""The journal: the tail of an origin's log, one line per append, being written.

Every line is complete in itself: one event, or a batch of events as one JSON array, so that a batch is
all there or not at all. Bytes after the last whole line were never acknowledged: readers pass over
them, the next writer sets them aside. A line that is not whole with whole lines after it is damage.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ledger import chain
from ledger.errors import Damaged
from ledger.event import Event

NAME = "journal.jsonl"


@dataclass(frozen=True)
class Journal:
    """What a journal held when it was read.

    `size` counts the bytes of whole lines; `torn` is what stands after them. `inode` tells whether the
    file was replaced since (a seal does that).
    """

    events: list[Event]
    size: int
    torn: bytes
    inode: int


def read(path: Path, *, start: int = 0, check: bool = True) -> Journal:
    """Read a journal from byte `start`, the beginning of a line. A missing file is an empty journal.

    Writers check every hash. Readers (`check=False`) check the last line's only, which is the one a crash can
    leave half written, and leave the rest to `verify`. Raises `Damaged` when a line that is not whole is followed
    by one that is.
    """
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return Journal([], 0, b"", 0)
    with os.fdopen(fd, "rb") as file:
        inode = os.fstat(file.fileno()).st_ino
        file.seek(start)
        data = file.read()
    return parse(data, path=path, start=start, inode=inode, check=check)


def parse(data: bytes, *, path: Path, start: int = 0, inode: int = 0, check: bool = True) -> Journal:
    """Split journal bytes into events and what is torn. See `read`."""
    events: list[Event] = []
    done = 0
    while (end := data.find(b"\n", done)) >= 0:
        last = data.find(b"\n", end + 1) < 0
        found = chain.parse_line(data[done:end], check=check or last)
        if found is None:
            _refuse_damage(data[end + 1:], path=path, start=start + done, events=events)
            break
        events += found
        done = end + 1
    return Journal(events, start + done, data[done:], inode)


def _refuse_damage(rest: bytes, *, path: Path, start: int, events: list[Event]) -> None:
    for line in rest.split(b"\n"):
        later = chain.parse_line(line) if line else None
        if later:
            where = f"the line after position {events[-1].position}" if events else "the first line"
            raise Damaged(
                f"{path} at byte {start}: {where} is not a whole event, and whole ones follow", code="journal_damaged",
                hint="perfledger verify", file=str(path), byte=start,
                position=events[-1].position + 1 if events else None,
            )
