"""The peer of `benchmarks.log`: an application of the `eventsourcing` library, as its tutorial builds one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event


class Target(Aggregate):
    """A target that collects results."""

    def __init__(self) -> None:
        self.count = 0

    @event("Recorded")
    def record(self, record: dict[str, Any], path: str) -> None:  # noqa: ARG002  (the event keeps both)
        """Take in one result."""
        self.count += 1


def appender(path: Path) -> Callable[[list[Any]], None]:
    """Return an append: an aggregate per target, saved by its application in SQLite."""
    app: Application[UUID] = Application(env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)})
    targets: dict[str, Target] = {}

    def append(events: list[Any]) -> None:
        touched = {}
        for new in events:
            target = targets.get(new.stream)
            if target is None:
                target = targets[new.stream] = Target()
            target.record(new.payload.record, new.payload.path)
            touched[new.stream] = target
        app.save(*touched.values())

    return append
