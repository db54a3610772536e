"""Judging a result."""
