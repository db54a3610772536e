"""Facts about ledger replicas."""

from __future__ import annotations

from projections.facts.base import Fact


class FactPull(Fact, table=True):
    """A pull made positions `first`..`last` of `from_origin` known here."""

    __tablename__ = "fact_pull"

    from_origin: str
    first: int
    last: int
    remote: str


class FactOrigin(Fact, table=True):
    """An origin was created."""

    __tablename__ = "fact_origin"

    ledger_format: int
    perfledger_version: str
    host: str
