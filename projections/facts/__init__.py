"""The fact tables: one append-only row per event that matters to a query.

Nothing is imported here: SQLModel costs 0.3 s, and who reads `record` needs none of it.
"""
