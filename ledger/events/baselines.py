"""Named decisions about baselines that are not reseeds."""

from __future__ import annotations

from ledger.event import EventPayload, event_type


@event_type()
class BaselinePinned(EventPayload):
    """A fixed baseline was named for a target, to be compared beside the rolling one.

    medians: metric to value in the metric's own unit. result_event_ids: the results they come from.
    """

    target: str
    name: str
    medians: dict[str, float]
    result_event_ids: list[str]
    reason: str


@event_type()
class BaselineUnpinned(EventPayload):
    """A pinned baseline no longer applies."""

    target: str
    name: str
    reason: str
