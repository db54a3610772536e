"""Facts about thresholds: every known move of a literal, by a calibration or found in a repository's history."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime
from sqlmodel import Field

from projections.facts.base import Fact


class FactThresholdChange(Fact, table=True):
    """One literal moved once. `effective_at`: the commit's time, or when a calibration wrote it.

    way: `applied` by this tool, `edited` in a repository's history. who: the actor, or the author's hash.
    """

    __tablename__ = "fact_threshold_change"

    way: str
    file: str
    symbol: str
    subkey: str | None
    literal: str
    change: str
    old: float | None
    new: float | None
    worst_op: str | None
    direction: str | None
    percent: float | None
    group_name: str | None
    effective_at: datetime = Field(sa_type=DateTime(timezone=True))
    commit_sha: str | None
    pr: int | None
    who: str | None
    calibration: str | None
    stage: str | None
    metric: str | None
    evidence_event_ids: str | None
    source: str | None
