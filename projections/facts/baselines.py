"""Facts about baselines and the policy they are judged by: pins, unpins, adoptions."""

from __future__ import annotations

from projections.facts.base import Fact


class FactPin(Fact, table=True):
    """A baseline pinned, or no longer (`pinned` false). `medians` and `result_event_ids` are JSON."""

    __tablename__ = "fact_pin"
    target: str
    name: str
    pinned: bool
    medians: str | None
    result_event_ids: str | None
    reason: str


class FactMetricPolicy(Fact, table=True):
    """A metric policy adopted. `policy` is JSON with every limit and rule spelled out.

    replaces_events: the event ids of those it took over from, as JSON; null when it names none.
    """

    __tablename__ = "fact_metric_policy"
    name: str
    digest: str
    policy: str
    window_length: int
    reason: str
    replaces_events: str | None
    number: int
