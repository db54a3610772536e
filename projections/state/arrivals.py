"""Newly learned events as one relation, `arrivals`, and the fact rows made of it.

`arrivals` has every envelope column, the payload as canonical JSON text in its newest schema, and
`learned_at`: the recorded time of own events, the time of the pull for others; for those recorded more than a day
after the pull, a day before they were recorded, so that no view has them until their time. Events of another origin
that no pull has announced yet are not there, nor are events this version cannot read (`ledger.readable`): those are
in `unread`, of which `fact_unread` is made, so that no fact table ever sees one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger.event import Event, known_type
from ledger.log.segment import first_of, info
from ledger.readable import AHEAD_MAX_US, ORDERED_BY_NAME
from projections.state import catalogue
from projections.state.engine import Connection, place, quote
from projections.state.unread import Arrived, Fault, set_aside

if TYPE_CHECKING:
    from ledger.ledger import Ledger

COLUMNS = (
    ("origin", "VARCHAR"),
    ("position", "BIGINT"),
    ("event_id", "VARCHAR"),
    ("stream", "VARCHAR"),
    ("version", "BIGINT"),
    ("type", "VARCHAR"),
    ("schema_version", "INTEGER"),
    ("recorded_at", "TIMESTAMPTZ"),
    ("actor", "VARCHAR"),
    ("host", "VARCHAR"),
    ("git_sha", "VARCHAR"),
    ("correlation_id", "VARCHAR"),
    ("causation_id", "VARCHAR"),
    ("key", "VARCHAR"),
    ("payload", "VARCHAR"),
    ("prev_hash", "BLOB"),
    ("hash", "BLOB"),
)
NAMES = ", ".join(name for name, _ in COLUMNS)


@dataclass
class Batch:
    """Events after a checkpoint: `files` are sealed segments by origin, `tail` the journal's events.

    `after` is the checkpoint they follow: origin to the last position already projected. `until`, where given, is the
    last position of each origin that counts; other origins do not.
    """

    own: str
    after: dict[str, int]
    files: dict[str, list[Path]] = field(default_factory=dict)
    tail: list[Event] = field(default_factory=list)
    until: Mapping[str, int] | None = None

    @property
    def reached(self) -> dict[str, int]:
        """The last position of each origin, with what `after` it is."""
        ends = {origin: info(paths[-1]).last for origin, paths in self.files.items()}
        own = [e.position for e in self.tail]
        return {o: max(self.after.get(o, 0), ends.get(o, 0), *(own if o == self.own else ())) for o in self._origins}

    @property
    def _origins(self) -> set[str]:
        return {self.own, *self.after, *self.files}

    @property
    def paths(self) -> list[Path]:
        """All segment files, own origin first."""
        return [p for origin in sorted(self.files, key=lambda o: (o != self.own, o)) for p in self.files[origin]]


def after(ledger: Ledger, checkpoint: Mapping[str, int], *, tail: bool) -> Batch:
    """Find what the log has after a checkpoint, by file names alone.

    A segment that begins at or before a checkpoint is passed over: checkpoints stand at ends of segments.
    """
    batch = Batch(ledger.origin, dict(checkpoint))
    events = ledger.log.tail() if tail else []  # the journal first, then the listing: see OriginLog.read
    for origin in ledger.origins():
        known = checkpoint.get(origin, 0)
        paths = ledger.log_of(origin).segment_paths()
        fresh = [p for p in paths if (first_of(p.name) or 0) > known]
        if fresh:
            batch.files[origin] = fresh
    batch.tail = [e for e in events if e.position > checkpoint.get(ledger.origin, 0)]
    return batch


def load(
    connection: Connection,
    batch: Batch,
    pulls: Sequence[str],
    *,
    thorough: bool = False,
    faults: Sequence[Fault] = (),
) -> Arrived:
    """Make the temporary relations `arrivals` and `unread` of a batch.

    pulls: relations holding earlier `fact_pull` rows. thorough: read the payloads of own events too. These were read
    back as their class when they were written, so that this is needed only for a log that another program wrote.
    faults: events that are left out besides.
    """
    connection.execute("DROP VIEW IF EXISTS arrivals")
    connection.execute("DROP TABLE IF EXISTS arrivals_tail")
    connection.execute(f"CREATE TEMP TABLE arrivals_tail ({', '.join(f'{n} {t}' for n, t in COLUMNS)})")
    sealed_from = f"SELECT {NAMES} FROM {_files(batch.paths)}{_until(batch)}" if batch.paths else None
    tail = [e for e in batch.tail if batch.until is None or e.position <= batch.until.get(batch.own, 0)]
    if batch.tail and sealed_from:
        # a seal between reading the journal and listing the segments shows its events in both places
        known = connection.execute(
            f"SELECT max(position) FROM ({sealed_from}) WHERE origin = ?", [batch.own]
        ).fetchone()
        tail = [e for e in tail if e.position > ((known or [0])[0] or 0)]
    _insert_tail(connection, tail)
    arms = [f"SELECT {NAMES} FROM arrivals_tail", *([sealed_from] if sealed_from else [])]
    learned = _learned(connection, batch, " UNION ALL ".join(arms), pulls)
    connection.execute(f"CREATE TEMP VIEW arrivals AS {learned}")
    return set_aside(connection, learned, batch.own, thorough=thorough, faults=faults)


def _learned(connection: Connection, batch: Batch, everything: str, pulls: Sequence[str]) -> str:
    """Return the query of all events that were learned, with the times they were pulled at and learned at."""
    own = quote(batch.own)
    if all(origin == batch.own for origin in batch.files):
        return f"SELECT *, recorded_at AS pulled_at, recorded_at AS learned_at FROM ({everything})"
    # pulls are own events: those in this batch and those projected before; what others pulled is their knowledge
    kind = known_type("EventsPulled")
    assert kind is not None
    readable = f"origin = '{own}' AND schema_version <= {kind.schema_version}"
    fresh = catalogue.facts()["fact_pull"].select.replace(
        "arrivals", f"(SELECT *, recorded_at AS learned_at FROM ({everything}) WHERE {readable})"
    )
    pulled = " UNION ALL ".join([f"({fresh})", *(f"SELECT * FROM {p} WHERE origin = '{own}'" for p in pulls)])
    connection.execute(f"CREATE OR REPLACE TEMP TABLE known_pulls AS {pulled}")
    unordered = " OR ".join(f"(type = '{n}' AND schema_version >= {v})" for n, v in ORDERED_BY_NAME.items())
    return f"""
        SELECT *, CASE WHEN origin = '{own}' OR {unordered} THEN pulled_at
                  ELSE greatest(pulled_at, make_timestamptz(epoch_us(recorded_at) - {AHEAD_MAX_US})) END AS learned_at
        FROM (SELECT e.*, CASE WHEN e.origin = '{own}' THEN e.recorded_at ELSE k.learned_at END AS pulled_at
              FROM ({everything}) e
              LEFT JOIN known_pulls k ON e.origin = k.from_origin AND e.position BETWEEN k.first AND k.last
              WHERE e.origin = '{own}' OR k.learned_at IS NOT NULL)"""


def _until(batch: Batch) -> str:
    """Return the condition that keeps what counts, as SQL."""
    if batch.until is None:
        return ""
    ends = [f"(origin = '{quote(o)}' AND position <= {last})" for o, last in sorted(batch.until.items())]
    return f" WHERE {' OR '.join(ends) or 'false'}"


def _files(paths: Sequence[Path]) -> str:
    names = ", ".join(f"'{quote(place(p))}'" for p in paths)
    return f"read_parquet([{names}], hive_partitioning = false)"


def _insert_tail(connection: Connection, events: Sequence[Event]) -> None:
    if not events:
        return
    values: dict[str, list[Any]] = {
        "payload": [bytes(e.payload).decode() for e in events],
        "prev_hash": [bytes.fromhex(e.prev_hash) for e in events],
        "hash": [bytes.fromhex(e.hash) for e in events],
    }
    columns = [values.get(name) or [getattr(e, name) for e in events] for name, _ in COLUMNS]
    arms = ", ".join(f"unnest(?::{'VARCHAR' if kind == 'TIMESTAMPTZ' else kind}[])::{kind}" for _, kind in COLUMNS)
    connection.execute(f"INSERT INTO arrivals_tail SELECT {arms}", columns)


def insert_facts(connection: Connection, schema: str, present: Set[str]) -> None:
    """Make the rows of every fact table that one of the event types is for, in a schema that has the tables."""
    for table in catalogue.facts().values():
        if table.takes(present):
            connection.execute(f"INSERT INTO {schema}.{table.name} BY NAME {table.rows(schema)}")


def create_tables(connection: Connection, schema: str, present: Set[str] | None = None) -> None:
    """Create every fact table, empty, in a schema. present: only those that one of these event types is for."""
    connection.execute("BEGIN")  # a commit each would be a write to the disk each
    for table in catalogue.facts().values():
        if present is not None and not table.takes(present):
            continue
        connection.execute(table.ddl.replace(f"CREATE TABLE {table.name}", f"CREATE TABLE {schema}.{table.name}"))
    connection.execute("COMMIT")
