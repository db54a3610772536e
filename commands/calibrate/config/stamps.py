"""Time stamps as run directories write them: UTC, to the second."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_stamp(moment: datetime | None = None) -> str:
    """Return `2026-06-27T11:31:48Z`; now unless a moment is given."""
    return (moment or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def compact_stamp(moment: datetime | None = None) -> str:
    """Return `20260627T113148Z`, the form that names of run directories use."""
    return (moment or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
