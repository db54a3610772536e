"""Facts about reseeds: every step of every one, and what each plan said."""

from __future__ import annotations

from projections.facts.base import Fact


class FactReseedStep(Fact, table=True):
    """A step of a reseed: the event type in `step`, who took it, and what it named. signature: its text, unchecked."""

    __tablename__ = "fact_reseed_step"

    reseed: str
    step: str
    actor: str
    digest: str | None
    approver: str | None
    signature: str | None
    folder: str | None
    dataset: str | None
    revision: str | None
    reason: str | None
    superseded_by: str | None
    path: str | None


class FactReseedPlan(Fact, table=True):
    """A plan: target, kind, numbers. Medians and lists are JSON text. `seeds` counts records."""

    __tablename__ = "fact_reseed_plan"

    reseed: str
    digest: str
    kind: str
    target: str
    model_id: str
    gpu_type: str
    reason: str
    dataset: str
    seeds: int
    old: str
    batch: str
    candidate: str
    old_latency: float | None
    candidate_latency: float | None
    destination: str
    approvals_needed: int
    supersedes: str | None


class FactSupersededSeed(Fact, table=True):
    """A seed that no longer counts: its dataset and its path there."""

    __tablename__ = "fact_superseded_seed"

    reseed: str
    by_reseed: str
    dataset: str
    path: str
