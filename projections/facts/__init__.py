"""The fact tables: one append-only row per event that matters to a query."""

from projections.facts.base import Fact

__all__ = ["Fact"]
