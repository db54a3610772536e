"""A Hub for the command tests, and the CLI set up to use it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Result
from tests.hub_server import HubServer
from tests.ledger.sync.conftest import hub

__all__ = ["hub"]

URL = "hf://datasets/org/perf/ledger"


@pytest.fixture
def at(cli: Callable[..., Result], hub: HubServer, tmp_path: Path) -> Callable[..., Result]:
    """Run a command on a machine: `at("alpha", "sync", "push", code=0)`. Its ledger is made at first use."""

    def run(
        machine: str, *args: Any, env: dict[str, str] | None = None, token: str | None = None, **options: Any
    ) -> Result:
        folder = tmp_path / machine
        variables = hub.env(**(env or {}))
        if token is not None:
            variables["HF_TOKEN"] = token
        if not folder.exists():
            folder.mkdir()
            cli("init", "--origin", machine, cwd=folder, env=variables, code=0)
        return cli(*args, cwd=folder, env=variables, **options)

    return run
