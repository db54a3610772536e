"""`reseed cleanup` removes what the reseed wrote, and keeps and names what somebody else put into its folders."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from commands.reseed.work.history import CREATED_MARK, own_folder
from tests.commands.reseed.world import GPU, MODEL, World, record
from tests.hub_server import HubServer

CONFIRM = ("--confirm", "cleanup reseed temp", "--json")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with HubServer() as hub:
        made = World.make(tmp_path, hub, [record(day, 28.0 + day / 10) for day in range(1, 8)])
        made.source(record(20, 33.0, success=False, comparison_status="REGRESSION"))
        yield made


@pytest.fixture
def uploaded(world: World) -> dict[str, Any]:
    """A plan whose seeds are uploaded: its backup and its staging folder are still there."""
    plan: dict[str, Any] = world.plan().json
    world.all_of_it(plan["id"])
    plan["staging"] = str(next((world.folder / "staging").iterdir()))
    return plan


def test_a_folder_with_nothing_else_in_it_goes_whole(world: World, uploaded: dict[str, Any]) -> None:
    done = world.run("reseed", "cleanup", uploaded["id"], *CONFIRM, code=0).json
    assert done == {"id": uploaded["id"], "removed": [uploaded["backup"], uploaded["staging"]], "kept": {}}
    assert list((world.folder / "backups").iterdir()) == list((world.folder / "staging").iterdir()) == []


def test_what_somebody_else_put_there_stays_and_is_named(world: World, uploaded: dict[str, Any]) -> None:
    backup, staging = Path(uploaded["backup"]), Path(uploaded["staging"])
    precious = world.folder / "precious"
    (precious / "below").mkdir(parents=True)
    (precious / "below" / "a.json").write_text("{}")
    (backup / "notes.txt").write_text("why we did it")
    (backup / "link").symlink_to(precious)
    (backup / MODEL / "mine.json").write_text("{}")
    (backup / "empty").mkdir()
    changed = sorted(path for path in backup.rglob("*.json") if path.name != "mine.json")[0]
    changed.write_text(changed.read_text() + "\n")
    foreign = sorted(["notes.txt", "link", f"{MODEL}/mine.json", "empty/", str(changed.relative_to(backup))])

    shown = world.run("reseed", "cleanup", uploaded["id"], "--dry-run", "--json", code=0).json
    assert shown["kept"] == {str(backup): foreign}
    assert set(shown["folders"]) == {str(backup), str(staging)}
    assert (backup / "PROVENANCE.txt").exists()

    done = world.run("reseed", "cleanup", uploaded["id"], *CONFIRM, code=0).json
    assert done == {"id": uploaded["id"], "removed": [str(staging)], "kept": {str(backup): foreign}}
    left = sorted(str(p.relative_to(backup)) for p in backup.rglob("*") if p.is_symlink() or p.is_file())
    assert left == sorted([CREATED_MARK, "notes.txt", "link", f"{MODEL}/mine.json", str(changed.relative_to(backup))])
    assert (backup / "empty").is_dir()
    assert (precious / "below" / "a.json").exists()
    assert not staging.exists()
    event = world.run("events", "list", "--type", "ReseedCleanedUp", "--json", code=0).json
    assert event["payload"]["folders"] == [str(staging)]


def test_a_folder_of_ours_that_became_a_link_is_not_followed(world: World, uploaded: dict[str, Any]) -> None:
    staging = Path(uploaded["staging"])
    elsewhere = world.folder / "elsewhere"
    (staging / MODEL).rename(elsewhere)
    (staging / MODEL).symlink_to(elsewhere)
    done = world.run("reseed", "cleanup", uploaded["id"], *CONFIRM, code=0).json
    assert done["kept"] == {str(staging): [MODEL]}
    assert len(list(elsewhere.iterdir())) == 1
    assert (staging / MODEL).is_symlink()


def test_run_names_what_it_keeps_too(world: World) -> None:
    plan = world.plan().json
    (Path(plan["backup"]) / "notes.txt").write_text("x")
    phrases = ("confirm performance reseed", "upload", "cleanup reseed temp")
    done = world.run("reseed", "run", "--resume", plan["id"], *(w for p in phrases for w in ("--confirm", p)), code=0)
    assert f"kept {plan['backup']}/notes.txt: not written by this reseed" in done.out
    assert plan["gpu_type"] == GPU


def test_a_removal_that_is_interrupted_can_be_run_again(world: World, uploaded: dict[str, Any]) -> None:
    """Half of the files are gone and the event is not there, as after a power cut; the mark goes last."""
    for file in sorted(Path(uploaded["backup"]).rglob("*.json"))[:3]:
        file.unlink()
    (Path(uploaded["staging"]) / uploaded["destination"][0]).unlink()
    done = world.run("reseed", "cleanup", uploaded["id"], *CONFIRM, code=0).json
    assert (len(done["removed"]), done["kept"]) == (2, {})
    assert list((world.folder / "backups").iterdir()) == []


def test_a_copied_folder_stays_and_the_recorded_one_is_cleaned(world: World, uploaded: dict[str, Any]) -> None:
    copy = world.folder / "kept" / "backup"
    shutil.copytree(uploaded["backup"], copy)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    done = world.run("reseed", "cleanup", uploaded["id"], *CONFIRM, code=0).json
    assert done["removed"] == [uploaded["backup"], uploaded["staging"]]
    assert before and {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_a_root_given_relative_to_where_one_is_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert own_folder(Path("staging"), "one", "id") == tmp_path / "staging" / "one"
