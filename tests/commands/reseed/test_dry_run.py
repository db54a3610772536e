"""`reseed run --dry-run` shows exactly what would be uploaded, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands.reseed.world import GPU, MODEL, World, record
from tests.hub_server import HubServer


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with HubServer() as hub:
        made = World.make(tmp_path, hub, [record(day, 28.0 + day / 10) for day in range(1, 8)])
        for day in (20, 21, 22):
            made.source(record(day, 33.0 + day / 100, success=False, comparison_status="REGRESSION"))
        yield made


def snapshot(world: World) -> tuple[Any, ...]:
    """Everything a dry run must leave as it is: the log, its evidence, the dataset, backups and staging."""
    folders = [sorted(str(p) for p in (world.folder / name).rglob("*")) for name in ("backups", "staging")]
    evidence = sorted((str(p), p.stat().st_size) for p in (world.folder / ".perfledger" / "evidence").rglob("*"))
    log = world.run("events", "list", "--json", code=0).out
    return log, folders, evidence, world.repo.files(), len(world.repo.commits)


def new_run(world: World) -> list[str]:
    named = [word for source in world.sources for word in ("--source", source)]
    return ["reseed", "run", "--model", MODEL, "--gpu", GPU, *named, "--reason", "torch 2.9 needs more", "--dry-run"]


def times_apart(records: dict[str, Any]) -> list[dict[str, Any]]:
    """The records without their own times, which are those of the real run."""
    return [{k: v for k, v in rec.items() if k != "timestamp"} for _, rec in sorted(records.items())]


def test_a_new_run_shows_plan_and_files_and_changes_nothing(world: World) -> None:
    before = snapshot(world)
    shown = world.run(*new_run(world), "--json", code=0).json
    text = world.run(*new_run(world), code=0).out
    assert snapshot(world) == before

    assert (shown["id"], shown["dry_run"], shown["dataset"]) == (None, True, "hf://datasets/team/performance")
    assert shown["message"].startswith(f"Perf: reseed {MODEL} baseline (3 records)")
    assert "nothing was planned, written or sent (--dry-run)" in text
    assert '"baseline_reseed_reason": "torch 2.9 needs more"' in text

    plan = world.plan().json
    assert shown["plan"]["candidate"] == plan["candidate"]
    assert shown["plan"]["will_move_median"] == plan["will_move_median"]
    world.all_of_it(plan["id"])
    uploaded = {p: json.loads(d) for p, d in world.repo.files().items() if "_reseed_" in p}
    assert times_apart(shown["records"]) == times_apart(uploaded)
    assert sorted(shown["files"]) == sorted(shown["records"])


def test_a_resumed_run_shows_at_every_step_what_is_left(world: World) -> None:
    plan = world.plan().json
    asked = ("reseed", "run", "--resume", plan["id"], "--dry-run", "--json")
    seen = {}

    def look(step: str) -> None:
        before = snapshot(world)
        seen[step] = world.run(*asked, code=0).json
        assert snapshot(world) == before
        assert seen[step]["step"] == step

    look("planned")
    world.approve(plan["id"], code=0)
    look("approved")
    world.run("reseed", "prepare", plan["id"], code=0)
    look("prepared")
    upload = world.run("reseed", "upload", plan["id"], "--dry-run", "--json", code=0).json
    assert upload["records"] == seen["prepared"]["records"]
    world.upload(plan["id"], code=0)
    for step in ("planned", "approved", "prepared"):
        assert sorted(seen[step]["files"]) == sorted(plan["destination"])
        there = {path: data for path, data in world.repo.files().items() if path in seen[step]["files"]}
        assert {path: len(data) for path, data in there.items()} == seen[step]["files"]
        assert {path: json.loads(data) for path, data in there.items()} == seen[step]["records"]
    look("uploaded")
    assert (seen["uploaded"]["files"], len(seen["uploaded"]["folders"])) == ({}, 2)
    world.run("reseed", "cleanup", plan["id"], "--confirm", "cleanup reseed temp", code=0)
    look("cleaned up")
    assert seen["cleaned up"]["files"] == {}


def test_a_run_that_could_not_be_planned_is_refused_as_a_real_one(world: World) -> None:
    before = snapshot(world)
    world.source(record(23, 99.0))
    assert world.run(*new_run(world), "--json", code=1).json["error"]["code"] == "batch_inconsistent"
    assert snapshot(world) == before


def test_no_backup_and_no_staging_goes_into_a_ledger(world: World) -> None:
    inside = str(world.folder / ".perfledger" / "backups")
    before = snapshot(world)[0]
    named = [word for source in world.sources for word in ("--source", source)]
    asked = ("reseed", "plan", "--model", MODEL, "--gpu", GPU, *named, "--reason", "why", "--json")
    refused = world.run(*asked, env={"PERFORMANCE_RESEED_BACKUP_ROOT": inside}, code=2)
    assert refused.json["error"]["code"] == "output_in_ledger"
    assert snapshot(world)[0] == before
    assert not Path(inside).exists()
    plan = world.plan().json
    world.approve(plan["id"], code=0)
    prepare = ("reseed", "prepare", plan["id"], "--json")
    refused = world.run(*prepare, env={"PERFORMANCE_RESEED_STAGING_ROOT": inside}, code=2)
    assert refused.json["error"]["code"] == "output_in_ledger"
