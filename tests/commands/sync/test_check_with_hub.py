"""`check` against a history that lives on the Hub, and back to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.records import MODEL, legacy, raw, write
from tests.conftest import Result
from tests.hub_server import HubServer

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

At = Callable[..., Result]
URL = "hf://datasets/org/history"


@pytest.fixture
def history(hub: HubServer) -> HubServer:
    """A dataset of six records of one model."""
    hub.create(
        "org/history",
        files={f"{MODEL}/{day}.json": json.dumps(legacy(day, latency=28.0 + day / 10)).encode() for day in range(1, 7)},
    )
    return hub


def test_a_dataset_can_be_the_tracking_root_and_what_passed_goes_back_and_counts_once(
    history: HubServer, at: At, tmp_path: Path
) -> None:
    file = write(tmp_path / "perf_a.json", raw(avg_generation_time_s=28.5))
    env = {"PERF_RUN_SOURCE": "scheduled_main", "HF_REPO_ID": "org/history"}
    first = at("alpha", "check", file, "--tracking-root", URL, "--upload", "pass", "--json", env=env, code=0).json
    assert (first["records"][0]["baseline_n"], first["records"][0]["baseline_eligible"]) == (5, True)
    assert len(history.repos["org/history"].files()) == 7
    other = write(tmp_path / "perf_b.json", raw(avg_generation_time_s=28.6, commit="b" * 40))
    second = at("alpha", "check", other, "--tracking-root", URL, "--json", env=env, code=0).json["records"][0]
    assert second["baseline_n"] == 5
    assert second["baseline_records"][-1].startswith(f"{URL}/{MODEL}/2026-07-01")
    third = at("beta", "check", other, "--tracking-root", URL, "--json", env=env, code=0).json["records"][0]
    assert third["metrics"] == second["metrics"]  # another machine, the same history, the same numbers


def test_a_hub_that_is_away_is_an_error_and_not_an_empty_history(at: At, tmp_path: Path) -> None:
    file = write(tmp_path / "perf_a.json", raw())
    done = at("alpha", "check", file, "--tracking-root", "hf://datasets/org/nothing-there", code=None)
    assert done.code in (2, 4) and "org/nothing-there" in done.err
    assert at("alpha", "sql", "SELECT count(*) AS n FROM results", "--format", "json", code=0).json == [{"n": 0}]
