"""The two shipped policies."""

from __future__ import annotations

from pathlib import Path

import pytest

from projections.ci.policy import Policy, from_yaml

SHIPPED = Path(__file__).parents[3] / "commands" / "ci" / "policies"


def shipped(name: str) -> Policy:
    """Read a shipped policy."""
    return from_yaml((SHIPPED / f"{name}.yaml").read_text(), where=name)


@pytest.fixture(scope="session")
def page() -> Policy:
    """The policy of the contributor page."""
    return shipped("fastvideo-page")


@pytest.fixture(scope="session")
def august() -> Policy:
    """The policy of the real configuration of August 2026."""
    return shipped("fastvideo-2026-08")
