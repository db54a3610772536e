"""The log as a relation that needs no file access while the query runs.

The view `events` reads segments where they lie. A console's process may open nothing once its query runs, so
the segments are mapped into memory before: the engine still reads only the columns and row groups a query
needs, and no copy of the log is made.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ledger.log import segment
from projections.state import arrivals

if TYPE_CHECKING:
    from projections.state.state import State

SOURCE = "console_log"
ABOUT_EVENTS = "The log itself: every event, with its envelope and payload."


def mentions_events(query: str) -> bool:
    """Whether a query may read the log; a word in a text counts too, which only costs time."""
    return re.search(r"\bevents\b", query, re.IGNORECASE) is not None


def define_events(state: State) -> None:
    """Define the view `events` of a session over mapped segments and the journal's tail."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    batch = arrivals.after(state.ledger, {}, tail=True)
    parquet = ds.ParquetFileFormat()
    pieces = [pa.memory_map(str(path)).read_buffer() for path in batch.paths]
    own = batch.files.get(state.ledger.origin, [])
    # a seal between reading the journal and listing the segments shows its events in both places
    sealed = segment.info(own[-1]).last if own else 0
    tail = [event for event in batch.tail if event.position > sealed]
    if tail:
        pieces.append(pa.py_buffer(segment.encode(tail)))
    fragments = [parquet.make_fragment(piece) for piece in pieces]
    state.connection.execute("SELECT 1").fetchall()  # a result not read to its end would be in register's way
    state.connection.register(SOURCE, ds.FileSystemDataset(fragments, segment.schema(), parquet))
    state.make_events_over(f"SELECT {arrivals.NAMES} FROM {SOURCE}")
