"""A plan shows the medians that `check` will use, and those of the dataset's other readers where they differ.

What check counts: docs/results.md, "The baseline". The other readers: the performance CI of hao-ai-lab/FastVideo, which
takes of results without identity the last five successful files of the model's folder, in the order of their paths.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from commands.results.baseline_reading import describe_baseline
from ledger.ledger import Ledger
from projections.state.state import State
from tests.commands.records import IDENTITY
from tests.commands.reseed.world import GPU, MODEL, World, record
from tests.hub_server import HubServer

CALM = [record(day, 28.0 + day / 10) for day in range(1, 8)]


def world_of(folder: Path, hub: HubServer, records: list[dict[str, Any]], **seed: Any) -> World:
    world = World.make(folder, hub, records)
    for day in (20, 21, 22):
        world.source(record(day, 33.0 + day / 100, **seed))
    return world


def baseline(world: World, target: str = f"{MODEL}@{GPU}") -> dict[str, Any]:
    """Ask the baseline of a target as `check` and `baseline show` have it."""
    with State.open(Ledger.open(world.folder / ".perfledger")) as state:
        return describe_baseline(state, target, last=0)


def test_a_plan_is_silent_on_other_readers_where_they_see_the_same(tmp_path: Path, hub: HubServer) -> None:
    plan = world_of(tmp_path, hub, CALM).plan().json
    assert plan["readers"] is None


def test_results_of_pull_requests_move_the_other_readers_alone(tmp_path: Path, hub: HubServer) -> None:
    slow = [record(day, 60.0 + day, run_source="pr", baseline_eligible=False) for day in (10, 11, 12)]
    world = world_of(tmp_path, hub, CALM + slow, baseline_eligible=False)
    plan = world.plan().json
    assert plan["old"]["latency"] == statistics.median([28.3, 28.4, 28.5, 28.6, 28.7])
    assert plan["readers"]["old"]["latency"] == world.medians()["latency"] == 70.0
    assert [w["path"].split("/")[1][:10] for w in plan["window"]] == [f"2026-06-0{day}" for day in range(3, 8)]
    done = world.all_of_it(plan["id"])
    assert done["as_planned"] is True
    assert {m: v for m, v in baseline(world)["medians"].items() if v} == {
        m: v for m, v in plan["candidate"].items() if v
    }
    assert world.medians()["latency"] == plan["readers"]["candidate"]["latency"] != plan["candidate"]["latency"]


def test_a_record_without_measurements_takes_a_place_only_in_the_window_of_the_other_readers(
    tmp_path: Path, hub: HubServer
) -> None:
    empty = record(9, 1.0) | {"latency": None, "throughput": None, "memory": None}
    plan = world_of(tmp_path, hub, [*CALM, empty]).plan().json
    assert plan["old"]["latency"] == statistics.median([28.3, 28.4, 28.5, 28.6, 28.7])
    assert plan["readers"]["old"]["latency"] == statistics.median([28.4, 28.5, 28.6, 28.7])


def test_a_result_that_only_this_ledger_has_is_in_the_medians_that_check_will_use(
    tmp_path: Path, hub: HubServer
) -> None:
    world = world_of(tmp_path, hub, CALM)
    world.run("record", world.source(record(15, 30.5)), code=0)
    world.sources.pop()
    plan = world.plan().json
    assert plan["old"]["latency"] == statistics.median([28.4, 28.5, 28.6, 28.7, 30.5])
    assert plan["readers"]["old"]["latency"] == world.medians()["latency"]
    assert "other readers of the dataset differ" in world.run("reseed", "show", plan["id"], code=0).out
    done = world.all_of_it(plan["id"])
    assert done["as_planned"] is True
    assert baseline(world)["medians"]["latency"] == plan["candidate"]["latency"]


def test_seeds_that_check_would_not_count_are_warned_about_and_move_nothing(tmp_path: Path, hub: HubServer) -> None:
    """A seed takes the run source of its source where the dataset's records have one; a pull request's never counts."""
    main = [record(day, 28.0 + day / 10, run_source="scheduled_main") for day in range(1, 8)]
    plan = world_of(tmp_path, hub, main, run_source="pr").plan().json
    assert plan["candidate"] == plan["old"]
    assert "0 of 3 seeds enter the window of check" in plan["warnings"]
    assert plan["readers"]["candidate"]["latency"] == 33.2


def test_the_length_of_the_window_is_that_of_the_policy(tmp_path: Path, hub: HubServer) -> None:
    world = world_of(tmp_path, hub, CALM)
    (tmp_path / "three.yaml").write_text("window: 3\n")
    world.run("policy", "adopt", "three.yaml", "--reason", "short", code=0)
    plan = world.plan().json
    assert len(plan["window"]) == 3
    assert list(plan["will_move_median"]) == ["1", "2", "3"]
    assert len(plan["readers"]["window"]) == 5


def test_superseded_seeds_stay_in_the_window_of_the_other_readers(tmp_path: Path, hub: HubServer) -> None:
    world = world_of(tmp_path, hub, CALM)
    bad = world.plan().json
    world.all_of_it(bad["id"])
    good = world.source(record(25, 28.6))
    fix = world.run("reseed", "supersede", bad["id"], "--source", good, "--reason", "throttled", "--json", code=0).json
    assert fix["candidate"]["latency"] < 30 < fix["readers"]["candidate"]["latency"]
    world.all_of_it(fix["id"])
    assert baseline(world)["medians"]["latency"] == fix["candidate"]["latency"]
    assert world.medians()["latency"] == fix["readers"]["candidate"]["latency"]


def test_a_plan_without_the_field_keeps_its_digest() -> None:
    """Plans that were approved before plans had `readers` are still what their digest says."""
    from ledger.events.reseeds import ReseedPlanned
    from projections.reseed.fold import plan_digest

    words = ("reseed", "digest", "kind", "target", "model_id", "gpu_type", "reason", "dataset", "revision", "backup")
    given: dict[str, Any] = {
        **dict.fromkeys(words, "x"),
        **{key: {} for key in ("old", "batch", "candidate", "spread", "will_move_median")},
        **{key: [] for key in ("sources", "window", "destination", "prepared")},
    }
    plan = ReseedPlanned(
        **given,
        identity=IDENTITY,
        tolerance=0.05,
        old_count=0,
        approvals_needed=1,
    )
    from hashlib import sha256

    import msgspec

    from ledger import canonical

    body = {k: v for k, v in msgspec.to_builtins(plan).items() if k not in ("digest", "readers", "policies")}
    assert json.dumps(body)
    assert plan_digest(plan) == sha256(canonical.encode(body)).hexdigest()
