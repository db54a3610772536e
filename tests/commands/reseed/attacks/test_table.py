"""The table of docs/reseed.md: every row names tests that exist, every attack is in a row; and what is genuine goes."""

from __future__ import annotations

import re
from pathlib import Path

from tests.commands.reseed.attacks import test_approvals, test_folder, test_names, test_policies
from tests.commands.reseed.attacks.conftest import world_of
from tests.commands.reseed.attacks.scene import PEOPLE, PHRASE, Keys, Stage, full
from tests.hub_server import HubServer

PAGE = Path(__file__).parents[4] / "docs" / "reseed.md"
MODULES = (test_approvals, test_folder, test_names, test_policies)


def named_on_the_page() -> set[str]:
    """The tests and attacks that the rows of the table name."""
    table = PAGE.read_text(encoding="utf-8").split("## Who could do what harm")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert all(re.search(r"`[a-z0-9_]+` *\|$", row) for row in rows), "every row ends with its tests"
    return {name for row in rows for name in re.findall(r"`([a-z0-9_]+)`", row.split(" | ")[-1])}


def test_the_table_names_every_attack_and_nothing_else() -> None:
    tests = {name for module in MODULES for name in vars(module) if name.startswith("test_")}
    generic = {"test_nothing_is_uploaded", "test_the_policy_stays_and_nothing_is_uploaded"}
    attacks = {*test_approvals.CASES, *test_policies.CASES}
    assert len(attacks | tests) >= 30
    assert named_on_the_page() == attacks | (tests - generic)


def test_genuine_approvals_upload_and_the_event_names_the_policy_and_the_keys(tmp_path: Path, keys: Keys) -> None:
    signers = tmp_path / "signers"
    signers.write_text(keys.lines(PEOPLE), encoding="utf-8")
    with HubServer() as server:
        world = world_of(tmp_path, server)
        stage = Stage.make(world, keys, "--approvals", 2, "--allowed-signers", signers, "--pin")
        for name in ("ann", "carl"):
            more = ("--confirm", PHRASE, "--sign-key", keys.path(name))
            world.run("reseed", "approve", stage.reseed, *more, code=0, actor=full(name))
        world.run("reseed", "prepare", stage.reseed, code=0)
        done = world.upload(stage.reseed, code=0)
        assert "policy not pinned" not in done.err
        assert len(world.seeds()) == 3
        people = done.json["approved_by"]
        assert [one["approver"] for one in people] == [full("ann"), full("carl")]
        shown = done.json["pull_request_text"].replace("\\", "").replace("&#64;", "@")  # as Markdown shows it
        assert f"(signed by {people[0]['key']})" in shown
        started = world.run("events", "list", "--type", "ReseedUploadStarted", "--json", code=0).out
        plan = world.run("reseed", "show", stage.reseed, "--json", code=0).json["plan"]
        assert '"pinned": true' in started.replace('":true', '": true') and plan["policies"][0] in started
