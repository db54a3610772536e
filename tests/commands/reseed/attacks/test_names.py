"""Attacks with names, where the policy lists no signers and asks for two people: one person is one, however written."""

from __future__ import annotations

import pytest

from projections.reseed import fold
from tests.commands.reseed.attacks.scene import ENDORSE, PHRASE, Scene

AGAIN = ["ANN@X.ORG", "ann@x.org ", " Ann@x.org", "\uff41nn@x.org", "ann@x.org\u00a0"]
REFUSED = [
    "ann\u200b@x.org",
    "\u0430nn@x.org",
    "ann\u202e@x.org",
    "a\u00adnn@x.org",
    "\u2066ann@x.org",
    "\u0441\u043e\u0441\u043e",
]


def approve(scene: Scene, name: str, *more: object) -> dict[str, object]:
    """Approve without a signature, as somebody says they are called."""
    done = scene.run("reseed", "approve", scene.reseed, "--confirm", PHRASE, "--json", *more, actor=name)
    found: dict[str, object] = done.json
    return found


@pytest.mark.parametrize("name", AGAIN, ids=ascii)
def test_a_second_spelling_of_a_name_is_no_second_approver(unsigned: Scene, name: str) -> None:
    assert approve(unsigned, "ann@x.org")["enough"] is False
    refused = approve(unsigned, name)["error"]
    assert isinstance(refused, dict) and refused["code"] in ("approved_already", "name_refused")
    unsigned.pulled(unsigned.approval(name), unsigned.preparation())
    assert unsigned.upload().json["error"]["code"] == "reseed_step"
    assert fold.load(unsigned.ledger, unsigned.reseed).step == "planned"
    assert not unsigned.seeds()


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_a_name_made_to_look_like_another_is_refused_with_one_sentence(unsigned: Scene, name: str) -> None:
    approve(unsigned, "ann@x.org")
    refused = approve(unsigned, name)["error"]
    assert isinstance(refused, dict) and refused["code"] == "name_refused"
    assert str(refused["message"]).isascii() and str(refused["message"]).count(". ") == 0
    unsigned.pulled(unsigned.approval(name), unsigned.preparation())
    state = fold.load(unsigned.ledger, unsigned.reseed)
    assert state.step == "planned"
    assert state.passed_over[0].why.startswith("the name ")
    assert unsigned.upload().json["error"]["code"] == "reseed_step"


def test_one_key_under_two_names_is_one_approver_without_a_list_of_signers_too(unsigned: Scene) -> None:
    key = ("--sign-key", unsigned.keys.path("ann"))
    assert approve(unsigned, "ann@x.org", *key)["enough"] is False
    refused = approve(unsigned, "bob@x.org", *key)["error"]
    assert isinstance(refused, dict) and refused["code"] == "signature_wrong"
    unsigned.pulled(unsigned.approval("bob", key="ann"), unsigned.preparation())
    assert unsigned.upload().json["error"]["code"] == "reseed_step"


def test_without_signers_anybody_approves_in_any_name_and_it_is_called_not_signed(unsigned: Scene) -> None:
    """What a policy without signers cannot stop is shown: in `show`, in `list`, in SQL and in the pull request."""
    unsigned.pulled(unsigned.approval("ann"), unsigned.approval("bob"))
    shown = unsigned.run("reseed", "show", unsigned.reseed).out
    assert shown.count("not signed") >= 2 and "2 approver(s), not signed" in shown
    listed = unsigned.run("reseed", "list", "--json").json
    assert listed[0]["approvers"] == "ann@x.org (not signed), bob@x.org (not signed)"
    audit = unsigned.run("sql", "--name", "who-approved", "--format", "json").json
    assert {row["signature"] for row in audit} == {"not signed"}


@pytest.mark.parametrize("approvals", [0, -7, 1])
def test_a_pulled_policy_does_not_lower_how_many_must_approve(unsigned: Scene, approvals: int) -> None:
    lax = unsigned.laxer(approvals=approvals, allowed_signers="")
    for document in (lax, unsigned.laxer(approvals=approvals, allowed_signers="", replaces=None)):
        unsigned.pulled(unsigned.adopted(document), *unsigned.endorsed(document, "mallory", "ann", "bob"))
    assert [unsigned.run("reseed", "policy", "--json").json[name] for name in ("approvals", "pinned")] == [2, False]


def test_one_person_does_not_lower_two_approvals_to_one(unsigned: Scene) -> None:
    """A second person endorses it first, on this machine."""
    done = unsigned.run("reseed", "policy", "--approvals", 1, "--json", actor="ann@x.org").json
    assert (done["approvals"], done["in_force"]) == (2, False)
    assert "1 of 2 people endorsed it" in unsigned.run("reseed", "policy").out
    again = unsigned.run(
        "reseed", "policy", "--endorse", done["changed"], "--confirm", ENDORSE, "--json", actor="ANN@x.org"
    ).json
    assert again["approvals"] == 2
    assert unsigned.run(
        "reseed", "policy", "--endorse", done["changed"], "--confirm", ENDORSE, "--json", actor="bob@x.org"
    ).json["in_force"]


def test_an_unsigned_pinned_policy_is_replaced_by_a_pin_alone(unsigned: Scene) -> None:
    assert unsigned.run("reseed", "policy", "--pin").code == 0
    refused = unsigned.run("reseed", "policy", "--approvals", 1, "--json")
    assert refused.json["error"]["code"] == "policy_pinned"
    assert unsigned.run("reseed", "policy", "--approvals", 1, "--pin", "--json").json["approvals"] == 1
