"""The test classes that the `eventsourcing` library publishes for recorders and factories, given those of examples/.

Run in a process of its own by test_eventsourcing_recorder.py: the example registers event types, which the catalogue of
this process would show. Nothing is overridden but what the classes ask for, and no test of theirs is left out.
"""

from __future__ import annotations

import tempfile
from uuid import uuid4

from eventsourcing.persistence import AggregateRecorder, ApplicationRecorder, ProcessRecorder, TrackingRecorder
from eventsourcing.tests import persistence as published
from eventsourcing.utils import Environment

from examples import eventsourcing_recorder as recorders
from ledger import Ledger


class OnAFreshLedger:
    """Each test has a ledger of its own."""

    INITIAL_VERSION = 1

    def fresh(self) -> Ledger:
        """A ledger with nothing but its first event."""
        folder = tempfile.mkdtemp(prefix="recorder-")
        return Ledger.create(folder, origin="app", actor="tester@example.org")


class Aggregate(OnAFreshLedger, published.AggregateRecorderTestCase):
    """AggregateRecorderTestCase."""

    def create_recorder(self) -> recorders.LedgerAggregateRecorder:
        """A recorder of events."""
        return recorders.LedgerAggregateRecorder(self.fresh())


class AggregateWithTextIds(Aggregate):
    """The same with ids that are texts."""

    def new_originator_id(self) -> str:
        """A text."""
        return f"account-{uuid4()}"


class Application(OnAFreshLedger, published.ApplicationRecorderTestCase[recorders.LedgerApplicationRecorder]):
    """ApplicationRecorderTestCase, with its optional test of subscriptions."""

    def create_recorder(self) -> recorders.LedgerApplicationRecorder:
        """A recorder of events and notifications."""
        return recorders.LedgerApplicationRecorder(self.fresh())

    def test_insert_subscribe(self) -> None:
        """The optional test."""
        self.optional_test_insert_subscribe()


class TrackingAlone(OnAFreshLedger, published.TrackingRecorderTestCase):
    """TrackingRecorderTestCase."""

    def create_recorder(self) -> recorders.LedgerTrackingRecorder:
        """A recorder of positions."""
        return recorders.LedgerTrackingRecorder(self.fresh())


class Process(OnAFreshLedger, published.ProcessRecorderTestCase):
    """ProcessRecorderTestCase."""

    def create_recorder(self) -> recorders.LedgerProcessRecorder:
        """A recorder of events and positions."""
        return recorders.LedgerProcessRecorder(self.fresh())


class ProcessAsApplication(Application):
    """A process recorder is an application recorder too."""

    def create_recorder(self) -> recorders.LedgerProcessRecorder:
        """A recorder of events and positions."""
        return recorders.LedgerProcessRecorder(self.fresh())


class NonInterleaving(OnAFreshLedger, published.NonInterleavingNotificationIDsBaseCase):
    """NonInterleavingNotificationIDsBaseCase: a thousand events of two writers at once."""

    def create_recorder(self) -> recorders.LedgerApplicationRecorder:
        """A recorder of events and notifications."""
        return recorders.LedgerApplicationRecorder(self.fresh())


class AnotherTrackingRecorder(recorders.LedgerTrackingRecorder):
    """For the test that names a class of its own."""


class Factory(published.InfrastructureFactoryTestCase[recorders.LedgerFactory]):
    """InfrastructureFactoryTestCase."""

    def setUp(self) -> None:
        """Name the module and the ledger, as an application's environment does."""
        folder = tempfile.mkdtemp(prefix="recorder-")
        self.env = Environment(env={"PERSISTENCE_MODULE": recorders.__name__, "PERFLEDGER_DIR": folder})
        super().setUp()

    def expected_factory_class(self) -> type[recorders.LedgerFactory]:
        """What PERSISTENCE_MODULE finds."""
        return recorders.LedgerFactory

    def expected_aggregate_recorder_class(self) -> type[AggregateRecorder]:
        """Ours."""
        return recorders.LedgerAggregateRecorder

    def expected_application_recorder_class(self) -> type[ApplicationRecorder]:
        """Ours."""
        return recorders.LedgerApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[TrackingRecorder]:
        """Ours."""
        return recorders.LedgerTrackingRecorder

    def tracking_recorder_subclass(self) -> type[TrackingRecorder]:
        """One of the application's own."""
        return AnotherTrackingRecorder

    def expected_process_recorder_class(self) -> type[ProcessRecorder]:
        """Ours."""
        return recorders.LedgerProcessRecorder
