"""Who approved a reseed: how many people, with whose signature, and that it can be asked later."""

from __future__ import annotations

import subprocess
from typing import Any

from tests.commands.reseed.world import GPU, MODEL, World, planned


def test_two_distinct_approvers_when_the_policy_says_so(world: World) -> None:
    world.run("reseed", "policy", "--approvals", "2", "--reason", "four eyes", code=0)
    assert world.run("reseed", "policy", "--json", code=0).json["approvals"] == 2
    assert world.run("reseed", "policy", "--as-of", "1@ops", "--json", code=0).json["approvals"] == 1
    world.run("reseed", "policy", "--approvals", "1", "--as-of", "1@ops", code=2)
    plan = planned(world)
    assert world.approve(plan["id"], actor="ann@x.org", code=0).json["step"] == "planned"
    assert world.approve(plan["id"], actor="ann@x.org", code=1).json["error"]["code"] == "approved_already"
    assert world.run("reseed", "prepare", plan["id"]).code == 1
    assert world.approve(plan["id"], actor="bob@x.org", code=0).json["approvers"] == ["ann@x.org", "bob@x.org"]
    world.run("reseed", "prepare", plan["id"], code=0)
    world.upload(plan["id"], code=0)


def test_approvals_must_carry_a_listed_persons_signature_over_this_very_plan(world: World) -> None:
    keys = {}
    for name in ("ann", "eve"):
        keys[name] = world.folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", keys[name]], check=True)
    public = keys["ann"].with_suffix(".pub").read_text(encoding="utf-8").split()[:2]
    signers = world.folder / "allowed_signers"
    signers.write_text(f"ann@x.org {' '.join(public)}\n", encoding="utf-8")
    world.run("reseed", "policy", "--allowed-signers", signers, code=0)
    plan = planned(world)

    def attempt(actor: str, *more: Any) -> dict[str, Any]:
        done = world.run(
            "reseed", "approve", plan["id"], "--confirm", "confirm performance reseed", "--json", *more, actor=actor
        )
        found: dict[str, Any] = done.json
        return found

    assert attempt("ann@x.org")["error"]["code"] == "signature_missing"
    assert attempt("ann@x.org", "--sign-key", keys["eve"])["error"]["code"] == "signature_wrong"
    assert attempt("eve@x.org", "--sign-key", keys["eve"])["error"]["code"] == "signature_wrong"
    assert attempt("ann@x.org", "--sign-key", keys["ann"])["step"] == "approved"
    world.run("reseed", "prepare", plan["id"], code=0)
    world.upload(plan["id"], code=0)


def test_a_forged_approval_event_does_not_pass_the_upload(world: World) -> None:
    """Whoever can write the folder can append an event; without the key it opens nothing."""
    from ledger.event import NewEvent
    from ledger.events.reseeds import RecordsPrepared, ReseedApproved
    from ledger.ledger import Ledger

    signers = world.folder / "allowed_signers"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", world.folder / "k"], check=True)
    public = (world.folder / "k.pub").read_text(encoding="utf-8").split()[:2]
    signers.write_text(f"ann@x.org {' '.join(public)}\n", encoding="utf-8")
    world.run("reseed", "policy", "--allowed-signers", signers, code=0)
    plan = planned(world)
    ledger = Ledger.open(world.folder, actor="ann@x.org")
    folder = world.folder / "forged"
    for seed in plan["prepared"]:
        (folder / seed["path"]).parent.mkdir(parents=True, exist_ok=True)
        (folder / seed["path"]).write_bytes(ledger.evidence.get(seed["sha256"]))
    ledger.append(
        [
            NewEvent(
                stream=f"reseed/{plan['id']}",
                payload=ReseedApproved(
                    reseed=plan["id"], digest=plan["digest"], approver="ann@x.org", signature="forged"
                ),
            ),
            NewEvent(
                stream=f"reseed/{plan['id']}",
                payload=RecordsPrepared(
                    reseed=plan["id"], digest=plan["digest"], folder=str(folder), paths=plan["destination"]
                ),
            ),
        ]
    )
    assert world.upload(plan["id"], code=1).json["error"]["code"] == "not_approved"
    assert not world.seeds()


def test_who_approved_what_is_one_query(world: World) -> None:
    plan = planned(world)
    world.approve(plan["id"], actor="ann@x.org", code=0)
    rows = world.run("sql", "SELECT approver, of_this_plan, target FROM approvals", "--format", "json", code=0).json
    assert rows == [{"approver": "ann@x.org", "of_this_plan": True, "target": f"{MODEL}@{GPU}"}]
    listed = world.run("reseed", "list", "--json", code=0).json
    assert listed[0]["step"] == "approved"
    then = world.run("reseed", "list", "--json", "--as-of", "1@ops", code=0).json
    assert then == []
