"""Sharing a ledger: push own events, pull those of others, say what waits."""
