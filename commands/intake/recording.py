"""Turn measured results into `ResultRecorded` events: the one place that names streams, keys and digests."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from commands.intake.formats.measured import Measured
from ledger.event import NewEvent
from ledger.events.results import ResultRecorded
from projections.results.identity import identity_digest, identity_of, target_of
from projections.results.record_shape import instant_text

if TYPE_CHECKING:
    from ledger.ledger import Ledger

HEX_DIGITS = frozenset("0123456789abcdef")


class Recorded(msgspec.Struct, frozen=True):
    """A result that is in the ledger: its event, and whether it was there before."""

    measured: Measured
    event_id: str
    target: str
    duplicate: bool


def stream_of(target: str) -> str:
    """Return the stream of everything that can move a target's baseline."""
    return f"target/{target}"


def recorded_event(measured: Measured, *, source: str | None = None) -> NewEvent:
    """Return the event of a result. Its key makes the same content one event (per source, path and content)."""
    digest = sha256(measured.data).hexdigest()
    identity = identity_of(measured.record)
    target = target_of(measured.record)
    payload = ResultRecorded(
        target=target,
        record=measured.record,
        path=measured.path,
        format=measured.format,
        sha256=digest,
        instant=instant_text(measured.record.get("timestamp")),
        identity_digest=identity_digest(identity) if identity else None,
        unusable=measured.unusable,
        source=source,
        samples=measured.samples,
        static_limits=measured.static_limits,
        run_source_claimed=measured.run_source_claimed,
    )
    key = f"result/{digest}" if source is None else f"import/{source}/{measured.path}/{digest}"
    return NewEvent(stream=stream_of(target), payload=payload, key=key, git_sha=_commit(measured))


def _commit(measured: Measured) -> str | None:
    commit = str(measured.record.get("commit_sha") or "").lower()
    return commit if 7 <= len(commit) <= 64 and set(commit) <= HEX_DIGITS else None


def record_results(ledger: Ledger, results: Sequence[Measured]) -> list[Recorded]:
    """Store the original bytes as evidence, then append one event per result; the same content is one event."""
    if not results:
        return []
    ledger.evidence.put_many([measured.data for measured in results])
    events = [recorded_event(measured) for measured in results]
    receipts = ledger.append(events)
    return [
        Recorded(measured, receipt.event_id, _target(event), receipt.duplicate)
        for measured, event, receipt in zip(results, events, receipts, strict=True)
    ]


def _target(event: NewEvent) -> str:
    assert isinstance(event.payload, ResultRecorded)
    return event.payload.target
