"""One dataset and one set of keys for all attacks; each attack works on a copy of the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.reseed.attacks.scene import PEOPLE, Keys, Scene, Stage
from tests.commands.reseed.world import World, record
from tests.hub_server import HubServer


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


def world_of(folder: Path, hub: HubServer) -> World:
    return World.make(folder, hub, [record(day, 28.0 + day / 10) for day in range(1, 8)])


@pytest.fixture(scope="session")
def signed_stage(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("signed")
    signers = folder / "signers"
    signers.write_text(keys.lines(PEOPLE), encoding="utf-8")
    with HubServer() as server:
        yield Stage.make(world_of(folder, server), keys, "--approvals", 2, "--allowed-signers", signers, "--pin")


@pytest.fixture(scope="session")
def unsigned_stage(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Iterator[Stage]:
    with HubServer() as server:
        yield Stage.make(world_of(tmp_path_factory.mktemp("unsigned"), server), keys, "--approvals", 2)


@pytest.fixture
def scene(signed_stage: Stage, tmp_path: Path) -> Scene:
    """A pinned policy: two of Ann, Bob and Carl must sign."""
    return signed_stage.scene(tmp_path)


@pytest.fixture
def unsigned(unsigned_stage: Stage, tmp_path: Path) -> Scene:
    """A policy without signers and without a pin: two people."""
    return unsigned_stage.scene(tmp_path)
