"""Newly learned events as one relation, `arrivals`, and the fact rows made of it.

`arrivals` has every envelope column, the payload as canonical JSON text in its newest schema, and
`learned_at`: the recorded time of own events, the time of the pull for others. Events of another origin
that no pull has announced yet are not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger import canonical
from ledger.event import Event, upcast
from ledger.log.segment import first_of, info
from projections.state import catalogue
from projections.state.engine import Connection, quote

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


def load(connection: Connection, batch: Batch, pulls: Sequence[str]) -> None:
    """Make the temporary relation `arrivals` of a batch. `pulls` are relations holding earlier `fact_pull` rows."""
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
    everything = " UNION ALL ".join(arms)
    own = quote(batch.own)
    foreign = any(origin != batch.own for origin in batch.files)
    if not foreign:
        learned = f"SELECT *, recorded_at AS learned_at FROM ({everything})"
    else:
        # pulls are own events: those in this batch and those projected before; what others pulled is their knowledge
        fresh = catalogue.facts()["fact_pull"].select.replace(
            "arrivals", f"(SELECT *, recorded_at AS learned_at FROM ({everything}) WHERE origin = '{own}')"
        )
        pulled = " UNION ALL ".join([f"({fresh})", *(f"SELECT * FROM {p} WHERE origin = '{own}'" for p in pulls)])
        connection.execute(f"CREATE OR REPLACE TEMP TABLE known_pulls AS {pulled}")
        learned = f"""
            SELECT e.*, CASE WHEN e.origin = '{own}' THEN e.recorded_at ELSE k.learned_at END AS learned_at
            FROM ({everything}) e
            LEFT JOIN known_pulls k ON e.origin = k.from_origin AND e.position BETWEEN k.first AND k.last
            WHERE e.origin = '{own}' OR k.learned_at IS NOT NULL"""
    connection.execute(f"CREATE TEMP VIEW arrivals AS {learned}")
    _upcast_old(connection, learned)


def _until(batch: Batch) -> str:
    """Return the condition that keeps what counts, as SQL."""
    if batch.until is None:
        return ""
    ends = [f"(origin = '{quote(o)}' AND position <= {last})" for o, last in sorted(batch.until.items())]
    return f" WHERE {' OR '.join(ends) or 'false'}"


def _files(paths: Sequence[Path]) -> str:
    names = ", ".join(f"'{quote(str(p))}'" for p in paths)
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


def _upcast_old(connection: Connection, learned: str) -> None:
    """Replace payloads of older schema versions, where there are any, by what the upcasters make of them.

    learned: the query of the view `arrivals`.
    """
    from ledger.event import EventType, load_catalogue

    old: list[EventType] = [t for t in load_catalogue().values() if t.schema_version > 1]
    if not old:
        return
    wanted = " OR ".join(f"(type = '{t.name}' AND schema_version < {t.schema_version})" for t in old)
    found = connection.execute(
        f"SELECT origin, position, type, schema_version, payload FROM arrivals WHERE {wanted}"
    ).fetchall()
    if not found:
        return
    lifted = [canonical.encode(upcast(t, v, canonical.decode(p))).decode() for _, _, t, v, p in found]
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE lifted AS SELECT unnest(?::VARCHAR[]) AS origin, "
        "unnest(?::BIGINT[]) AS position, unnest(?::VARCHAR[]) AS payload",
        [[f[0] for f in found], [f[1] for f in found], lifted],
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW arrivals AS SELECT a.* REPLACE (coalesce(l.payload, a.payload) "
        f"AS payload) FROM ({learned}) a LEFT JOIN lifted l USING (origin, position)"
    )


def types_present(connection: Connection) -> set[str]:
    """Return the event types in `arrivals`."""
    return {row[0] for row in connection.execute("SELECT DISTINCT type FROM arrivals").fetchall()}


def insert_facts(connection: Connection, schema: str, present: Set[str]) -> None:
    """Make the rows of every fact table that one of the event types is for, in a schema that has the tables."""
    for table in catalogue.facts().values():
        if table.types & present:
            connection.execute(f"INSERT INTO {schema}.{table.name} BY NAME {table.rows(schema)}")


def create_tables(connection: Connection, schema: str) -> None:
    """Create every fact table, empty, in a schema."""
    connection.execute("BEGIN")  # a commit each would be a write to the disk each
    for table in catalogue.facts().values():
        connection.execute(table.ddl.replace(f"CREATE TABLE {table.name}", f"CREATE TABLE {schema}.{table.name}"))
    connection.execute("COMMIT")
