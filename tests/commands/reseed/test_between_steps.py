"""What happens between the steps of a reseed: others' commits, touched files, faults of the Hub, kills."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.commands.reseed.world import GPU, MODEL, World, kill_at, path_of, planned, record
from tests.hub_server import Fault


def test_a_baseline_that_moved_since_the_plan_is_a_conflict(world: World) -> None:
    plan = planned(world)
    world.approve_and_prepare(plan["id"])
    late = record(9, 29.9)
    world.repo.commit("somebody", {path_of(late): world.hub.blob(path_of(late), json.dumps(late).encode())})
    error = world.upload(plan["id"], code=3).json["error"]
    assert error["code"] == "baseline_moved"
    assert error["details"]["new"] == [path_of(late)]
    assert not world.seeds()


def test_another_targets_record_does_not_stop_an_approved_seed(world: World) -> None:
    plan = planned(world)
    world.approve_and_prepare(plan["id"])
    other = {**record(9, 29.9), "model_id": "another-model"}
    world.repo.commit("somebody", {path_of(other): world.hub.blob(path_of(other), json.dumps(other).encode())})
    world.upload(plan["id"], code=0)
    assert len(world.seeds()) == 3


def test_prepared_files_that_were_touched_are_not_uploaded(world: World) -> None:
    plan = planned(world)
    world.approve_and_prepare(plan["id"])
    path = world.folder / "staging" / plan["id"] / plan["destination"][0]
    path.write_bytes(path.read_bytes().replace(b"33.2", b"99.9"))
    assert world.upload(plan["id"], code=3).json["error"]["code"] == "prepared_changed"
    path.unlink()
    assert world.upload(plan["id"], code=3).json["error"]["code"] == "prepared_changed"
    assert not world.seeds()
    world.run("reseed", "prepare", plan["id"], code=0)
    world.upload(plan["id"], code=0)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST */commit/*", kind="race"),
        Fault("POST */commit/*", kind="status_after", status=503),
        Fault("POST */commit/*", kind="drop_after"),
        Fault("POST */commit/*", kind="status", status=429, retry_after="0"),
    ],
)
def test_faults_at_the_commit_never_double_a_seed(world: World, fault: Fault) -> None:
    plan = planned(world)
    world.approve_and_prepare(plan["id"])
    world.hub.faults.append(fault)
    world.upload(plan["id"], code=0)
    assert len(world.seeds()) == 3
    assert sorted(p for p in world.repo.files() if "_reseed_" in p) == sorted(plan["destination"])


def test_killed_at_any_request_and_resumed_the_dataset_has_each_seed_once(world: World) -> None:
    plan = planned(world)
    world.approve_and_prepare(plan["id"])

    def start() -> subprocess.Popen[str]:
        return world.start("reseed", "upload", plan["id"], "--confirm", "upload")

    kills = 0
    for index in range(1, 30):
        for when in ("before", "after"):
            if world.run("reseed", "show", plan["id"], "--json", code=0).json["step"] == "uploaded":
                break
            if kill_at(world.hub, index, when, start) == -9:
                kills += 1
            assert len(world.seeds()) in (0, 3), "one commit: all or none"
    assert kills >= 4
    if world.run("reseed", "show", plan["id"], "--json", code=0).json["step"] != "uploaded":
        world.upload(plan["id"], code=0)
    assert sorted(p for p in world.repo.files() if "_reseed_" in p) == sorted(plan["destination"])
    assert {m: v for m, v in world.medians().items() if v} == {m: v for m, v in plan["candidate"].items() if v}
    assert world.run("verify", code=0)


def test_a_plan_killed_at_any_request_leaves_no_reseed_and_the_next_plan_is_whole(world: World) -> None:
    named = [a for s in world.sources for a in ("--source", s)]

    def start() -> subprocess.Popen[str]:
        return world.start("reseed", "plan", "--model", MODEL, "--gpu", GPU, *named, "--reason", "r")

    for index in (1, 2, 4):
        assert kill_at(world.hub, index, "before", start) == -9
        assert world.run("reseed", "list", "--json", code=0).json == []
    assert planned(world)["old"]["latency"] == 28.5
    world.run("verify", code=0)
