"""Facts about events that no other fact is made of."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime
from sqlmodel import Field

from projections.facts.base import Fact


class FactUnread(Fact, table=True):
    """An event that this version cannot read, or (`counts_from` not null) that counts from that time on only.

    reason: `unknown_type`, `newer_schema`, `bad_payload` or `from_the_future`; detail: what is wrong, in a phrase.
    learned_at: when it came, also for one whose time has not come.
    """

    __tablename__ = "fact_unread"

    stream: str
    type: str
    schema_version: int
    reason: str
    detail: str
    counts_from: datetime | None = Field(sa_type=DateTime(timezone=True))
