"""The columns every fact table begins with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime
from sqlmodel import Field, SQLModel


def unique() -> Any:
    """Declare a text that no two rows have in common: to compress it takes longer than all else of a row."""
    return Field(sa_column_kwargs={"info": {"compression": "uncompressed"}})


class Fact(SQLModel):
    """One row made from one event; `item` numbers the rows when an event makes several.

    recorded_at: when it happened, where it happened. learned_at: when this ledger came to know it: the same
    for own events, the time of the pull for others. Both UTC. (origin, position, item) is unique.
    """

    recorded_at: datetime = Field(sa_type=DateTime(timezone=True))
    learned_at: datetime = Field(sa_type=DateTime(timezone=True))
    origin: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    event_id: str
    item: int = Field(primary_key=True)
