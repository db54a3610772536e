"""Keep the events of an application of the `eventsourcing` library in a perfledger log.

    PERSISTENCE_MODULE=eventsourcing_recorder PERFLEDGER_DIR=/path/to/ledger

A stored event becomes one event of this origin's log: durable before the call returns, chained, sealed, synced and
proved like every other. Where perfledger is installed as a package, the imports below are `from perfledger.ledger
import ...`. docs/own-events.md says what is promised.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    IntegrityError,
    Notification,
    OperationalError,
    ProcessRecorder,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
)
from eventsourcing.utils import resolve_topic

from ledger import BadInput, Conflict, Event, EventPayload, Ledger, NewEvent, PerfledgerError, event_type

POLL_S = 0.05


@event_type()
class AggregateEventStored(EventPayload):
    """An event of an aggregate, as the library's mapper made it. state: base64. attempt: names the insert."""

    originator_id: str
    originator_is_uuid: bool
    originator_version: int
    topic: str
    state: str
    attempt: str


@event_type()
class NotificationTracked(EventPayload):
    """The position in another application's sequence up to which this one has processed it."""

    application_name: str
    notification_id: int


class LedgerRecorder:
    """What all recorders share: the ledger, and appends whose refusals are the library's errors."""

    def __init__(self, ledger: Ledger, purpose: str = "events") -> None:
        self.ledger = ledger
        self.purpose = purpose

    def stream_of(self, originator_id: UUID | str) -> str:
        """Return the stream of an aggregate."""
        return f"{self.purpose}/{originator_id}"

    def append(self, new: Sequence[NewEvent], seen: dict[str, int] | None = None) -> list[int]:
        """Append all or none. Raises `IntegrityError` where another writer was first."""
        try:
            return [receipt.position for receipt in self.ledger.append(new, seen=seen)]
        except Conflict as error:
            raise IntegrityError(error.message) from error
        except PerfledgerError as error:
            raise OperationalError(error.message) from error

    def new_events(self, stored_events: Sequence[StoredEvent]) -> list[NewEvent]:
        """Return the events of one insert, each under the one id that its aggregate and version can have.

        The log takes an id once: the same id with other content is refused, and nothing of that append is written. An
        insert is an attempt of its own, so the same event inserted again has other content.
        """
        attempt = str(uuid4())
        found = []
        for event in stored_events:
            stream = self.stream_of(event.originator_id)
            payload = AggregateEventStored(
                originator_id=str(event.originator_id),
                originator_is_uuid=isinstance(event.originator_id, UUID),
                originator_version=event.originator_version,
                topic=event.topic,
                state=base64.b64encode(event.state).decode(),
                attempt=attempt,
            )
            event_id = str(uuid5(NAMESPACE_OID, f"{stream}/{event.originator_version}"))
            found.append(NewEvent(stream=stream, payload=payload, event_id=event_id))
        if len({event.event_id for event in found}) < len(found):
            raise IntegrityError("one version of an aggregate twice in one insert")
        return found


class LedgerAggregateRecorder(LedgerRecorder, AggregateRecorder):
    """Events of aggregates, or with another `purpose` their snapshots."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Store events, all or none."""
        del kwargs
        self.append(self.new_events(stored_events))
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return an aggregate's events in the order of their versions."""
        found = map(stored, self.ledger.read(origin=self.ledger.origin, stream=self.stream_of(originator_id)))
        chosen = [
            one
            for one in sorted(found, key=lambda one: one.originator_version, reverse=desc)
            if (gt is None or one.originator_version > gt) and (lte is None or one.originator_version <= lte)
        ]
        return chosen[:limit]


class LedgerApplicationRecorder(LedgerAggregateRecorder, ApplicationRecorder):
    """Events of aggregates, and the sequence of all of them. A notification's id is its event's position less one:
    position 1 of every log says that it was created. Other events in the log leave gaps in the ids."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Store events, all or none, and return their ids."""
        del kwargs
        return [position - 1 for position in self.append(self.new_events(stored_events))]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Return events of all aggregates in the log's order."""
        found: list[Notification] = []
        after = 0 if start is None else max(0, start + (not inclusive_of_start))
        for event in self.ledger.read(origin=self.ledger.origin, after=after, types=["AggregateEventStored"]):
            if len(found) >= limit or (stop is not None and event.position - 1 > stop):
                break
            one = stored(event)
            if event.stream.startswith(f"{self.purpose}/") and (not topics or one.topic in topics):
                found.append(Notification(**vars(one), id=event.position - 1))
        return found

    def max_notification_id(self) -> int | None:
        """Return the id of the newest event, None when there is none."""
        reach = self.ledger.head().position
        while reach > 0:  # backwards in steps, as what is newest is near the end
            after = max(0, reach - 1000)
            found = [one.id for one in self.select_notifications(after, 1000) if one.id < reach]
            if found:
                return max(found)
            reach = after
        return None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """Return an iterator that waits for new events."""
        return LedgerSubscription(self, gt, topics)


class LedgerSubscription(Subscription[ApplicationRecorder]):
    """Looks for new events, whoever appends them; another process may."""

    def __next__(self) -> Notification:
        """Return the next event, waiting for it."""
        while not self._has_been_stopped:
            for one in self._recorder.select_notifications(
                self._last_notification_id, 1, topics=self._topics, inclusive_of_start=False
            ):
                self._last_notification_id = one.id
                return one
            time.sleep(POLL_S)
        raise StopIteration


class LedgerTrackingRecorder(LedgerRecorder, TrackingRecorder):
    """How far other applications' sequences were processed."""

    def insert_tracking(self, tracking: Tracking) -> None:
        """Note a position. Raises `IntegrityError` unless it is after the last one."""
        self.append(*self.tracked(tracking))

    def tracked(self, tracking: Tracking) -> tuple[list[NewEvent], dict[str, int]]:
        """Return the event that notes a position, and up to which event of its stream that was decided."""
        stream = f"tracking/{tracking.application_name}"
        last = self._last(tracking.application_name)
        if last is not None and last[1] >= tracking.notification_id:
            raise IntegrityError(f"{tracking.application_name} was processed up to {last[1]} already")
        payload = NotificationTracked(
            application_name=tracking.application_name, notification_id=tracking.notification_id
        )
        return [NewEvent(stream=stream, payload=payload)], {stream: last[0] if last else 0}

    def max_tracking_id(self, application_name: str) -> int | None:
        """Return the last position that was noted."""
        last = self._last(application_name)
        return last[1] if last else None

    def _last(self, application_name: str) -> tuple[int, int] | None:
        newest = None
        for event in self.ledger.read(origin=self.ledger.origin, stream=f"tracking/{application_name}"):
            newest = event
        return None if newest is None else (newest.position, int(newest.body()["notification_id"]))


class LedgerProcessRecorder(LedgerTrackingRecorder, LedgerApplicationRecorder, ProcessRecorder):
    """Events and the position they follow from, in one append: both are recorded or neither."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Store events and, with `tracking`, what they were made from."""
        new, seen = self.new_events(stored_events), None
        tracking = kwargs.get("tracking")
        if tracking is not None:
            noted, seen = self.tracked(tracking)
            new = [*new, *noted]
        return [position - 1 for position in self.append(new, seen)][: len(stored_events)]


class LedgerFactory(InfrastructureFactory[LedgerTrackingRecorder]):
    """Recorders on the ledger that PERFLEDGER_DIR names; it is created where there is none."""

    def ledger(self) -> Ledger:
        """Open the ledger."""
        folder = self.env.get("PERFLEDGER_DIR")
        if not folder:
            raise OSError("PERFLEDGER_DIR names no ledger")
        try:
            return Ledger.open(folder)
        except BadInput:
            return Ledger.create(folder)

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """Return a recorder of events, or of snapshots."""
        return LedgerAggregateRecorder(self.ledger(), purpose)

    def application_recorder(self) -> ApplicationRecorder:
        """Return a recorder for an application."""
        return LedgerApplicationRecorder(self.ledger())

    def tracking_recorder(
        self, tracking_recorder_class: type[LedgerTrackingRecorder] | None = None
    ) -> LedgerTrackingRecorder:
        """Return a recorder of positions alone, of the class given or named in the environment."""
        topic = self.env.get(self.TRACKING_RECORDER_TOPIC)
        named = resolve_topic(topic) if topic else LedgerTrackingRecorder
        return (tracking_recorder_class or named)(self.ledger())

    def process_recorder(self) -> ProcessRecorder:
        """Return a recorder for an application that processes others' events."""
        return LedgerProcessRecorder(self.ledger())


def stored(event: Event) -> StoredEvent:
    """Return the library's event of one of the log."""
    one = event.typed()
    assert isinstance(one, AggregateEventStored), event.type
    return StoredEvent(
        originator_id=UUID(one.originator_id) if one.originator_is_uuid else one.originator_id,
        originator_version=one.originator_version,
        topic=one.topic,
        state=base64.b64decode(one.state),
    )
