"""The journal: the tail of an origin's log, one line per append, being written.

Every line is complete in itself: one event, or a batch of events as one JSON array, so that a batch is
all there or not at all. Bytes after the last whole line were never acknowledged: readers pass over
them, the next writer sets them aside. A line that is not whole with whole lines after it is damage.

After the lines the file may end in padding, empty lines that the writer made beforehand: a line that is
written over them does not change the file's size, which saves the disk a second write per sync. Zero bytes
count as padding too; a file system may leave them where it lost bytes that were never acknowledged.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import Damaged
from ledger.event import Event
from ledger.log import chain
from ledger.outside.files import open_regular

NAME = "journal.jsonl"
PADDING = b"\n\0"  # padding after the last line, without meaning
READ_COUNT_MAX = 50


@dataclass(frozen=True)
class Journal:
    """What a journal held when it was read.

    `size` counts the bytes of whole lines; `torn` is what follows them, without the padding around it.
    `inode` tells whether the file was replaced since (a seal does that).
    """

    events: list[Event]
    size: int
    torn: bytes
    inode: int


def read(path: Path, *, start: int = 0, check: bool = True) -> Journal:
    """Read a journal from byte `start`, the beginning of a line. A missing file is an empty journal.

    Writers check every hash. Readers (`check=False`) check the last line's only, which is the one a crash can
    leave half written, and leave the rest to `verify`. Raises `Damaged` when a line that is not whole is followed
    by one that is, in two reads: a reader takes no lock, and may meet a line of which a part was written after it
    had read that part of the file.
    """
    before = None
    for _ in range(READ_COUNT_MAX):
        try:
            return _read_once(path, start=start, check=check)
        except Damaged as error:
            damage = error
            if error.details["byte"] == before:
                break
            before = error.details["byte"]
    raise damage


def _read_once(path: Path, *, start: int, check: bool) -> Journal:
    try:
        file = os.fdopen(open_regular(path), "rb")
    except FileNotFoundError:
        return Journal([], 0, b"", 0)
    with file:
        inode = os.fstat(file.fileno()).st_ino
        file.seek(start)
        data = file.read()
    return parse(data, path=path, start=start, inode=inode, check=check)


def parse(data: bytes, *, path: Path, start: int = 0, inode: int = 0, check: bool = True) -> Journal:
    """Split journal bytes into events and what is torn. See `read`."""
    events: list[Event] = []
    done = 0
    end_of_lines = len(data.rstrip(PADDING))
    while (end := data.find(b"\n", done)) >= 0 and done < end_of_lines:
        last = end + 1 >= end_of_lines
        found = chain.parse_line(data[done:end], check=check or last)
        if found is None:
            _refuse_damage(data[end + 1 : end_of_lines], path=path, start=start + done, events=events)
            break
        events += found
        done = end + 1
    return Journal(events, start + done, data[done:].strip(PADDING), inode)


def _refuse_damage(rest: bytes, *, path: Path, start: int, events: list[Event]) -> None:
    for line in rest.split(b"\n"):
        later = chain.parse_line(line) if line else None
        if later:
            where = f"the line after position {events[-1].position}" if events else "the first line"
            raise Damaged(
                f"{path} at byte {start}: {where} is not a whole event, and whole ones follow",
                code="journal_damaged",
                hint="perfledger verify",
                file=str(path),
                byte=start,
                position=events[-1].position + 1 if events else None,
            )
