"""The fact tables: one append-only row per event that matters to a query."""
