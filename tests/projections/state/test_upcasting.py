"""Old events stay readable: the bytes of an older schema version, through the reader and through the projections."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from ledger import event_types
from ledger.event import Event, EventPayload, NewEvent, event_type
from ledger.identifiers import format_time, next_time
from ledger.ledger import Ledger
from ledger.log import chain
from ledger.verification.walk import verify
from projections.state import arrivals, engine
from tests.ledger.samples import add_line

OLD = b'{"seconds":1.5,"who":"a"}'


@pytest.fixture
def timing() -> Iterator[type[EventPayload]]:
    """A type in its third version: seconds became milliseconds, then the name of a field changed."""

    @event_type(
        schema_version=3,
        upcasters={
            1: lambda body: {**{k: v for k, v in body.items() if k != "seconds"}, "ms": body["seconds"] * 1000},
            2: lambda body: {**{k: v for k, v in body.items() if k != "who"}, "person": body["who"]},
        },
    )
    class TimingMeasured(EventPayload):
        """A test type."""

        ms: float
        person: str

    yield TimingMeasured
    del event_types._REGISTRY["TimingMeasured"]


def old_event(ledger: Ledger, schema_version: int, payload: bytes) -> Event:
    """Write an event into the journal as an older version of the product did."""
    head = ledger.head()
    made = Event(
        actor="old",
        causation_id=None,
        correlation_id=None,
        event_id=f"0190a0a0-0000-7000-8000-{head.position:012d}",
        git_sha=None,
        hash="",
        host="old",
        key=None,
        origin=ledger.origin,
        payload=msgspec.Raw(payload),
        position=head.position + 1,
        prev_hash=head.hash,
        recorded_at=format_time(next_time(head.recorded_us)),
        schema_version=schema_version,
        stream="timing",
        type="TimingMeasured",
        version=len(list(ledger.read(stream="timing"))) + 1,
    )
    add_line(ledger.log.journal_path, chain.link(made))
    return made


@pytest.fixture
def old(ledger: Ledger, timing: Any) -> Ledger:
    """A ledger with one event of each schema version."""
    old_event(ledger, 1, OLD)
    old_event(ledger, 2, b'{"ms":1600.0,"who":"b"}')
    ledger.append([NewEvent(stream="timing", payload=timing(ms=1700.0, person="c"))])
    return ledger


def test_a_reader_sees_every_old_payload_in_the_newest_schema(old: Ledger, timing: Any) -> None:
    found = [e.typed() for e in old.read(types=["TimingMeasured"])]
    assert found == [timing(ms=1500.0, person="a"), timing(ms=1600.0, person="b"), timing(ms=1700.0, person="c")]


def test_the_old_bytes_themselves_are_never_rewritten(old: Ledger) -> None:
    old.seal()
    assert next(bytes(e.payload) for e in old.read(stream="timing")) == OLD
    assert verify(old).ok


@pytest.mark.parametrize("sealed", [False, True])
def test_projections_see_old_payloads_in_the_newest_schema(old: Ledger, sealed: bool) -> None:
    if sealed:
        old.seal()
    connection = engine.connect()
    arrivals.load(connection, arrivals.after(old, {}, tail=True), [])
    found = connection.execute(
        "SELECT payload->>'person', CAST(payload->>'ms' AS DOUBLE) FROM arrivals WHERE type = 'TimingMeasured' "
        "ORDER BY position"
    ).fetchall()
    assert found == [("a", 1500.0), ("b", 1600.0), ("c", 1700.0)]
    assert connection.execute("SELECT count(*) FROM arrivals").fetchone() == (4,)


def test_a_newer_schema_than_this_version_knows_is_left_as_it_is(ledger: Ledger, timing: Any) -> None:
    made = old_event(ledger, 9, b'{"parsecs":12}')
    assert ledger.event(made.event_id).body() == {"parsecs": 12}
    shutil.copytree(ledger.path, ledger.path.parent / "kept")
    assert verify(ledger).ok
