"""Attacks by who can write the folder: the log, the pin, the pinned file, the evidence, the prepared files.

Whoever owns the folder and the token can upload without this program. What is promised is that a lie in one of these
files does not pass for an approval, and that a changed pin is shown.
"""

from __future__ import annotations

from typing import Any

from ledger.pins import APPROVAL_POLICY, Pin, write_pin
from projections.authority.policy import Policy, bytes_of
from tests.commands.reseed.attacks.scene import Scene


def approvals_in_doctor(scene: Scene) -> list[dict[str, Any]]:
    """What `doctor` says about the policy of approvals."""
    return [c for c in scene.run("doctor", "--fast", "--json").json["checks"] if c["name"] == "approvals"]


def test_forged_events_in_the_own_log_approve_nothing(scene: Scene) -> None:
    scene.written(scene.adopted(scene.laxer()), scene.approval("ann"), scene.approval("bob", key="mallory"))
    scene.written(scene.preparation())
    assert scene.upload().json["error"]["code"] == "not_approved"
    assert not scene.seeds()


def test_a_pinned_file_that_was_changed_stops_the_upload_and_doctor_says_so(scene: Scene) -> None:
    scene.approve("ann", "bob")
    scene.written(scene.preparation())
    (file,) = (scene.folder / ".perfledger").glob("approval-policy-*.json")
    file.write_bytes(bytes_of(scene.laxer()))
    assert scene.upload().json["error"]["code"] == "pinned_file_changed"
    assert [c["state"] for c in approvals_in_doctor(scene)] == ["fail"]
    shown = scene.run("reseed", "show", scene.reseed).out
    assert "approvals not checked: " in shown and "signature not checked" in shown
    file.unlink()
    assert scene.upload().json["error"]["code"] == "pinned_file_missing"
    assert scene.run("reseed", "approve", scene.reseed, "--confirm", "x", "--json").code == 1


def test_a_pin_taken_out_of_ledger_toml_is_shown_and_the_log_still_asks_for_two(scene: Scene) -> None:
    before = scene.in_force()
    description = scene.folder / ".perfledger" / "ledger.toml"
    description.write_text(description.read_text(encoding="utf-8").split("\n[")[0], encoding="utf-8")
    assert scene.in_force() == before
    messages = [c["message"] for c in approvals_in_doctor(scene)]
    assert messages[0].startswith("policy not pinned")
    assert "ledger.toml was edited: it pins nothing" in messages[1]
    scene.approve("ann")
    scene.written(scene.approval("mallory", key="mallory"), scene.preparation())
    assert scene.upload().json["error"]["code"] == "not_approved"


def test_a_pin_of_her_own_in_ledger_toml_is_what_a_folder_owner_can_do_and_is_shown(scene: Scene) -> None:
    """It makes her policy the one in force here: `doctor` names the edit, and a plan made before is refused."""
    mine = bytes_of(scene.laxer(replaces=None))
    policy = Policy(scene.laxer(replaces=None))
    (scene.folder / ".perfledger" / "mine.json").write_bytes(mine)
    write_pin(scene.folder / ".perfledger", APPROVAL_POLICY, Pin("mine.json", policy.digest))
    assert scene.in_force() == [policy.digest]
    assert any("ledger.toml was edited" in c["message"] for c in approvals_in_doctor(scene))
    scene.written(scene.approval("mallory", key="mallory"), scene.preparation())
    assert scene.upload().json["error"]["code"] == "reseed_step"
    scene.approve("mallory", code=1)


def test_a_pin_by_command_is_an_event_that_names_what_was_pinned_before(scene: Scene) -> None:
    before = scene.in_force()[0]
    policy = Policy(scene.laxer(replaces=None))
    (scene.folder / "mine.json").write_bytes(bytes_of(policy.document))
    told = scene.run("reseed", "policy", "--pin", "mine.json", "--json").json
    assert told["pin"]["sha256"] == told["changed"] == policy.digest
    last = [e.body() for e in scene.ledger.read(types=["ReseedPolicyPinned"])][-1]
    assert (last["before"], last["digest"]) == (before, policy.digest)
    assert all("edited" not in c["message"] for c in approvals_in_doctor(scene))


def test_allowed_signers_taken_out_of_the_evidence_approve_nothing(scene: Scene) -> None:
    """Without the pin, whose file holds its signers: a policy whose signers cannot be read lists nobody."""
    description = scene.folder / ".perfledger" / "ledger.toml"
    description.write_text(description.read_text(encoding="utf-8").split("\n[")[0], encoding="utf-8")
    scene.approve("ann", "bob")
    scene.written(scene.preparation())
    signers = scene.plan.allowed_signers
    hidden = scene.keys.lines(("mallory",)).encode()
    for file in (scene.folder / ".perfledger" / "evidence").rglob("*"):
        if file.is_file() and signers in file.name:
            file.write_bytes(hidden)
        elif file.is_file():
            file.unlink()
    assert scene.upload().code != 0
    assert not scene.seeds()


def test_a_prepared_file_that_was_changed_stops_the_upload(scene: Scene) -> None:
    scene.approve("ann", "bob")
    assert scene.run("reseed", "prepare", scene.reseed).code == 0
    first = sorted((scene.folder / "staging").rglob("*.json"))[0]
    first.write_text(first.read_text(encoding="utf-8").replace("33.", "99."), encoding="utf-8")
    assert scene.upload().json["error"]["code"] == "prepared_changed"


def test_the_log_without_its_last_events_is_found_cut(scene: Scene) -> None:
    """A raised threshold taken out of the own log: the pin's own policy holds, and `verify` finds the cut."""
    files = (scene.keys.lines(("ann", "bob", "carl")),)
    scene.change("ann", "bob", adopt=("--approvals", 3, "--allowed-signers", scene.signers_file(files[0])))
    journal = scene.folder / ".perfledger" / "log" / "ops" / "journal.jsonl"
    kept = [line for line in journal.read_bytes().split(b"\n") if b"ReseedPolicyEndorsed" not in line]
    journal.write_bytes(b"\n".join(kept))
    assert scene.run("verify").code == 7
