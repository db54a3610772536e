"""A reseed step by step, from the plan over upload and clean-up to a correction, each behind its gate."""

from __future__ import annotations

from pathlib import Path

from tests.commands.reseed.world import GPU, MODEL, World, planned


def test_the_medians_move_exactly_as_planned_and_the_bytes_are_those_prepared(world: World) -> None:
    plan = planned(world)
    done = world.all_of_it(plan["id"])
    assert {m: v for m, v in world.medians().items() if v} == {m: v for m, v in plan["candidate"].items() if v}
    assert done["as_planned"] is True
    assert done["uploaded"] == plan["destination"]
    staging = world.folder / "staging" / plan["id"]
    for path in plan["destination"]:
        assert world.repo.files()[path] == (staging / path).read_bytes()
    assert len(world.repo.commits) == 3, "the empty one, the history, and one commit for all seeds"
    shown = world.run("baseline", "show", f"{MODEL}@{GPU}", "--json", code=0).out
    assert "33.2" in shown, "this ledger's own baseline moved too"


def test_a_seed_is_a_new_record_with_provenance_and_a_fresh_time(world: World) -> None:
    plan = planned(world)
    world.all_of_it(plan["id"])
    seeds = world.seeds()
    assert [s["baseline_reseed_batch_index"] for s in seeds] == [1, 2, 3]
    times = [s["timestamp"] for s in seeds]
    assert times == sorted(set(times))
    assert min(times) > "2026-06-22"
    for seed in seeds:
        assert seed["success"] is True
        assert seed["baseline_reseed"] is True
        assert seed["baseline_reseed_reason"] == "torch 2.9 needs more"
        assert seed["baseline_reseed_source_success"] is False
        assert seed["baseline_reseed_batch_size"] == 3
        assert seed["baseline_reseed_operator"] == "tester@example.org"
        assert seed["baseline_reseed_source_timestamp"].startswith("2026-06-2")
        assert "comparison_status" not in seed, "no record of the target has that field"


def test_every_gate_wants_its_exact_phrase(world: World) -> None:
    plan = planned(world)
    for phrase in ("", "yes", "Confirm performance reseed", "confirm performance reseed "):
        assert world.run("reseed", "approve", plan["id"], "--confirm", phrase).code == 2
    assert "no terminal" in world.run("reseed", "approve", plan["id"], code=2).err
    world.approve_and_prepare(plan["id"])
    for phrase in ("Upload", "yes", "upload!"):
        assert world.run("reseed", "upload", plan["id"], "--confirm", phrase).code == 2
    assert not world.seeds()
    world.upload(plan["id"], code=0)
    assert world.run("reseed", "cleanup", plan["id"], "--confirm", "cleanup").code == 2
    assert Path(plan["backup"]).exists()


def test_steps_come_in_order_and_each_refusal_names_the_next(world: World) -> None:
    plan = planned(world)
    assert "reseed approve" in world.run("reseed", "prepare", plan["id"], code=1).err
    assert "reseed approve" in world.upload(plan["id"], code=1).json["error"]["hint"]
    assert world.run("reseed", "cleanup", plan["id"], "--confirm", "cleanup reseed temp").code == 1
    assert world.run("reseed", "approve", "20200101-000000-0000", code=2).err.startswith("perfledger: no reseed")
    world.all_of_it(plan["id"])
    assert world.upload(plan["id"]).code == 1
    assert world.run("reseed", "abort", plan["id"]).code == 1


def test_a_dry_run_writes_nothing(world: World) -> None:
    plan = planned(world)
    world.approve_and_prepare(plan["id"])
    shown = world.run("reseed", "upload", plan["id"], "--dry-run", "--json", code=0).json
    assert sorted(shown["files"]) == sorted(plan["destination"])
    assert not world.seeds()


def test_without_a_token_nothing_is_sent(world: World) -> None:
    plan = planned(world)
    world.approve_and_prepare(plan["id"])
    done = world.run("reseed", "upload", plan["id"], "--confirm", "upload", env={"HF_TOKEN": ""})
    assert done.code == 4
    assert "HF_TOKEN" in done.err
    assert not world.seeds()


def test_cleanup_removes_only_what_this_reseed_created(world: World) -> None:
    plan = planned(world)
    neighbour = world.folder / "backups" / "somebody-elses"
    neighbour.mkdir()
    world.all_of_it(plan["id"])
    mark = Path(plan["backup"]) / ".perfledger-reseed"
    kept = mark.read_bytes()
    mark.write_text("another", encoding="utf-8")
    done = world.run("reseed", "cleanup", plan["id"], "--confirm", "cleanup reseed temp", code=1)
    assert "nothing was removed" in done.err
    assert Path(plan["backup"]).exists()
    mark.write_bytes(kept)
    world.run("reseed", "cleanup", plan["id"], "--confirm", "cleanup reseed temp", code=0)
    assert not Path(plan["backup"]).exists()
    assert neighbour.exists()
    assert list((world.folder / "staging").iterdir()) == []


def test_a_folder_replaced_by_a_link_is_refused(world: World) -> None:
    plan = planned(world)
    world.run("reseed", "abort", plan["id"], "--reason", "wrong sources", code=0)
    backup = Path(plan["backup"])
    precious = world.folder / "precious"
    backup.rename(precious)
    backup.symlink_to(precious)
    assert world.run("reseed", "cleanup", plan["id"], "--confirm", "cleanup reseed temp").code == 1
    assert (precious / "PROVENANCE.txt").exists()


def test_an_aborted_reseed_leaves_everything_and_says_where(world: World) -> None:
    plan = planned(world)
    world.approve_and_prepare(plan["id"])
    said = world.run("reseed", "abort", plan["id"], "--json", code=0).json
    assert plan["backup"] in said["left"]
    assert all(Path(p).exists() for p in said["left"])
    assert world.upload(plan["id"]).code == 1
    assert not world.seeds()


def test_superseding_a_bad_seed_brings_the_medians_back_and_keeps_history(world: World) -> None:
    before = world.medians()
    plan = planned(world)
    world.all_of_it(plan["id"])
    assert world.medians()["latency"] != before["latency"]
    fix = world.run("reseed", "supersede", plan["id"], "--reason", "seeded from a throttled GPU", "--json", code=0).json
    assert fix["kind"] == "corrective"
    world.all_of_it(fix["id"])
    assert world.medians()["latency"] == before["latency"]
    assert len(world.seeds()) == 3 + 5, "nothing was removed"
    assert world.run("reseed", "show", plan["id"], "--json", code=0).json["step"] == "superseded"
    rows = world.run(
        "sql", "SELECT id, step, superseded_by FROM reseeds ORDER BY planned_at", "--format", "json", code=0
    ).json
    assert [r["step"] for r in rows] == ["superseded", "uploaded"]
    assert rows[0]["superseded_by"] == fix["id"]
    counted = world.run(
        "sql",
        "SELECT count(*) AS n FROM results WHERE counted AND path LIKE '%_reseed_%' AND latency > 33",
        "--format",
        "json",
        code=0,
    ).json
    assert counted[0]["n"] == 0, "this ledger no longer counts the bad seeds"


def test_run_walks_through_all_of_it_and_resumes(world: World) -> None:
    named = [a for s in world.sources for a in ("--source", s)]
    first = world.run(
        "reseed",
        "run",
        "--model",
        MODEL,
        "--gpu",
        GPU,
        *named,
        "--reason",
        "r",
        "--confirm",
        "confirm performance reseed",
        "--confirm",
        "no",
    )
    assert first.code == 2
    reseed = world.run("reseed", "list", "--json", code=0).json[0]["id"]
    assert not world.seeds()
    last = world.run(
        "reseed", "run", "--resume", reseed, "--confirm", "upload", "--confirm", "cleanup reseed temp", "--json", code=0
    ).json
    assert last["step"] == "cleaned up"
    assert last["as_planned"] is True
    assert len(world.seeds()) == 3
