"""Events that no projection may see, found before a fact row is made of them: the relation `unread`.

`ledger.readable` decides. Type and schema version are asked once for each that occurs. Payloads are read where another
origin wrote them, or an older version did: our own were read back as their class when they were written. The policy in
an adoption has a class of its own, which a newer version may have changed: `POLICIES` says who reads it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field

from ledger import canonical
from ledger.errors import BadInput
from ledger.event import EventPayload, known_type
from ledger.readable import BAD_PAYLOAD, FROM_THE_FUTURE, Unreadable, envelope_fault, payload_of
from projections.state.engine import Connection, quote

READ_AT_ONCE = 10_000
PROJECTIONS = __package__.rpartition(".")[0]  # by its own name, for the wheel has it below another
POLICIES = {"CiPolicyAdopted": "ci.policy:from_data", "MetricPolicyAdopted": "results.metric_policy:policy_from"}
DETAIL_MAX = 200

Kind = tuple[str, int]  # type and schema version
Fault = tuple[str, int, str, str]  # origin, position, reason, detail


@dataclass(frozen=True)
class Arrived:
    """What there is in a batch: event types, the last position by origin, how many events, and the time from which
    the last one of another origin counts (microseconds UTC, 0 when all count)."""

    types: Set[str]
    ends: dict[str, int]
    events: int
    counts_from_us: int


@dataclass
class _Found:
    """Rows for the relations: places of unreadable events with the reason, places of old ones with the new payload."""

    faults: list[Fault] = field(default_factory=list)
    lifted: list[tuple[str, int, str]] = field(default_factory=list)


def set_aside(connection: Connection, learned: str, own: str, *, thorough: bool, faults: Sequence[Fault]) -> Arrived:
    """Make `unread`, and `arrivals` again without what is in it and with old payloads in their newest schema.

    learned: the query that the view `arrivals` is of. own: this ledger's origin. thorough: read every payload.
    faults: events to leave out besides, each with why.
    """
    rows = connection.execute(
        f"SELECT origin, type, schema_version, max(position), count(*), bool_or(learned_at > pulled_at), "
        f"CASE WHEN origin <> '{quote(own)}' THEN epoch_us(max(learned_at)) ELSE 0 END "
        "FROM arrivals GROUP BY origin, type, schema_version"
    ).fetchall()
    ends: dict[str, int] = {}
    for origin, _, _, position, *_ in rows:
        ends[origin] = max(position, ends.get(origin, 0))
    kinds = {(name, version): envelope_fault(name, version) for _, name, version, *_ in rows}
    unknown = {kind: fault for kind, fault in kinds.items() if fault is not None}
    old = [kind for kind in kinds if kind not in unknown and _is_old(kind)]
    ahead = any(row[5] for row in rows)
    found = _Found(list(faults))
    old += [kind for kind in kinds if kind[0] in POLICIES and kind not in unknown]
    if thorough or old or ends.keys() - {own}:
        where = "TRUE" if thorough else f"(origin <> '{quote(own)}' OR {_among(old)})"
        _read_payloads(connection, f"{where} AND NOT {_among(unknown)}", found)
    _make_unread(connection, unknown, found, ahead=ahead)
    _make_arrivals(connection, learned, found, spoilt=bool(unknown or found.faults))
    return Arrived(
        types={name for _, name, *_ in rows},
        ends=ends,
        events=sum(row[4] for row in rows),
        counts_from_us=max((row[6] for row in rows if row[5]), default=0),
    )


def _is_old(kind: Kind) -> bool:
    known = known_type(kind[0])
    return known is not None and kind[1] < known.schema_version


def _among(kinds: Iterable[Kind]) -> str:
    """Return the SQL condition that an event is of one of these types and schema versions."""
    arms = [f"(type = '{quote(name)}' AND schema_version = {version})" for name, version in kinds]
    return f"({' OR '.join(arms)})" if arms else "FALSE"


def _read_payloads(connection: Connection, where: str, found: _Found) -> None:
    cursor = connection.execute(f"SELECT origin, position, type, schema_version, payload FROM arrivals WHERE {where}")
    current = {}
    while part := cursor.fetchmany(READ_AT_ONCE):
        for origin, position, name, version, payload in part:
            if name not in current:
                known = known_type(name)
                assert known is not None, name
                current[name] = known.schema_version
            try:
                typed = payload_of(name, version, payload.encode())
                if name in POLICIES:
                    _read_policy(name, typed)
            except Unreadable as fault:
                found.faults.append((origin, position, fault.reason, fault.detail[:DETAIL_MAX]))
                continue
            if version < current[name]:
                found.lifted.append((origin, position, canonical.encode(typed).decode()))


def _read_policy(name: str, adoption: EventPayload) -> None:
    """Raise `Unreadable` for a policy that its own reader refuses."""
    module, _, function = POLICIES[name].partition(":")
    read = getattr(importlib.import_module(f"{PROJECTIONS}.{module}"), function)
    try:
        read(adoption.policy, where="the policy")  # type: ignore[attr-defined]
    except Exception as error:  # noqa: BLE001  (whatever a policy of another origin makes a reader raise)
        said = error.message if isinstance(error, BadInput) else f"{type(error).__name__} {error}"
        raise Unreadable(BAD_PAYLOAD, said) from None


def _make_unread(connection: Connection, unknown: dict[Kind, Unreadable], found: _Found, *, ahead: bool) -> None:
    _make_table(connection, "faults", "origin VARCHAR, position BIGINT, reason VARCHAR, detail VARCHAR", found.faults)
    envelope = "recorded_at, pulled_at AS learned_at, origin, position, event_id, stream, type, schema_version"
    arms = [
        f"SELECT {envelope}, reason, detail, NULL::TIMESTAMPTZ AS counts_from FROM arrivals JOIN faults "
        "USING (origin, position)"
    ]
    arms += [
        f"SELECT {envelope}, '{fault.reason}', '{quote(fault.detail)}', NULL FROM arrivals WHERE {_among([kind])}"
        for kind, fault in unknown.items()
    ]
    if ahead:
        arms.append(
            f"SELECT {envelope}, '{FROM_THE_FUTURE}', 'recorded more than a day after it was pulled', learned_at "
            f"FROM arrivals ANTI JOIN faults USING (origin, position) "
            f"WHERE learned_at > pulled_at AND NOT {_among(unknown)}"
        )
    connection.execute("CREATE OR REPLACE TEMP TABLE unread AS " + " UNION ALL ".join(arms))


def _make_arrivals(connection: Connection, learned: str, found: _Found, *, spoilt: bool) -> None:
    if not (spoilt or found.lifted):
        return
    _make_table(connection, "lifted", "origin VARCHAR, position BIGINT, payload VARCHAR", found.lifted)
    # The payload of an unread event may be no JSON at all: it is taken away where both sides of the join are known, so
    # that no plan can look into it before.
    connection.execute(
        f"""CREATE OR REPLACE TEMP VIEW arrivals AS
        SELECT a.* REPLACE (CASE WHEN u.position IS NULL THEN coalesce(l.payload, a.payload) END AS payload)
        FROM ({learned}) a LEFT JOIN lifted l ON a.origin = l.origin AND a.position = l.position
        LEFT JOIN (SELECT origin, position FROM unread WHERE counts_from IS NULL) u
          ON a.origin = u.origin AND a.position = u.position
        WHERE u.position IS NULL"""
    )


def _make_table(connection: Connection, name: str, shape: str, rows: Sequence[tuple[object, ...]]) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} ({shape})")
    if rows:
        kinds = [column.split()[1] for column in shape.split(", ")]
        columns = list(_columns(rows))
        connection.execute(f"INSERT INTO {name} SELECT {', '.join(f'unnest(?::{kind}[])' for kind in kinds)}", columns)


def _columns(rows: Sequence[tuple[object, ...]]) -> Iterator[list[object]]:
    for column in zip(*rows, strict=True):
        yield list(column)
