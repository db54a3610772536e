"""Which events stop a projection although their payloads are what their classes say: found by halves.

A class cannot say everything that the SQL of a fact table rests on: a text that is a time, a policy that has a window.
An event that fails there is passed over like one that cannot be read. The search is made only after an insert failed.
"""

from __future__ import annotations

from ledger.readable import BAD_PAYLOAD
from projections.state import arrivals
from projections.state.engine import Connection, EngineFailed, EngineOutside
from projections.state.unread import Arrived, Fault

WHOLE = "whole_arrivals"
PROBE = "probe"


def load_without(connection: Connection, batch: arrivals.Batch, pulls: list[str]) -> Arrived:
    """Make the relations of a batch as `arrivals.load` does, without any event of which no facts can be made."""
    arrived = arrivals.load(connection, batch, pulls, thorough=True)
    sql = connection.execute("SELECT sql FROM duckdb_views() WHERE view_name = 'arrivals'").fetchone()[0]
    connection.execute(sql.replace("arrivals", WHOLE, 1))
    faults: list[Fault] = []
    for origin, first, last in connection.execute(
        f"SELECT origin, min(position), max(position) FROM {WHOLE} GROUP BY origin ORDER BY origin"
    ).fetchall():
        _search(connection, arrived, (origin, first, last), faults)
    connection.execute(f"DROP VIEW {WHOLE}")
    return arrivals.load(connection, batch, pulls, thorough=True, faults=faults) if faults else arrived


def _search(connection: Connection, arrived: Arrived, part: tuple[str, int, int], faults: list[Fault]) -> None:
    """Add to `faults` the events of a part of one origin's positions that stop an insert."""
    origin, first, last = part
    why = _fault_of(connection, arrived, part)
    if why is None:
        return
    if first == last:
        faults.append((origin, first, BAD_PAYLOAD, why))
        return
    middle = (first + last) // 2
    _search(connection, arrived, (origin, first, middle), faults)
    _search(connection, arrived, (origin, middle + 1, last), faults)


def _fault_of(connection: Connection, arrived: Arrived, part: tuple[str, int, int]) -> str | None:
    """Return what stops the facts of some events, None when nothing does."""
    origin, first, last = part
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW arrivals AS SELECT * FROM {WHOLE} "
        f"WHERE origin = '{origin}' AND position BETWEEN {first} AND {last}"
    )
    types = {row[0] for row in connection.execute("SELECT DISTINCT type FROM arrivals").fetchall()}
    connection.execute(f"CREATE SCHEMA {PROBE}")
    try:
        arrivals.create_tables(connection, PROBE, types)
        arrivals.insert_facts(connection, PROBE, types & arrived.types)
    except EngineOutside:
        raise
    except EngineFailed as error:
        return str(error).splitlines()[0][:200]
    finally:
        connection.execute(f"DROP SCHEMA {PROBE} CASCADE")
    return None
