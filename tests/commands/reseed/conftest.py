"""A Hub server, and a dataset on it with a week of history and three slower results to seed from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.reseed.world import World, record
from tests.hub_server import HubServer


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture
def world(tmp_path: Path, hub: HubServer) -> World:
    made = World.make(tmp_path, hub, [record(day, 28.0 + day / 10) for day in range(1, 8)])
    for day in (20, 21, 22):
        made.source(record(day, 33.0 + day / 100, commit=f"{day:040x}", success=False, comparison_status="REGRESSION"))
    return made
