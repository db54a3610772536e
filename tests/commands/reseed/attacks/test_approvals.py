"""Attacks on the plan and its approvals, by who can write the remote: the victim pulls it and uploads nothing.

Each attack names the code of the refusal that stops it; docs/reseed.md has the table.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from commands.reseed.work.approval import require_approved
from ledger.errors import Refused
from ledger.events.reseeds import ReseedAborted, ReseedApproved, ReseedUploaded, ReseedUploadStarted
from ledger.identity import signing
from ledger.identity.signing import Signed
from projections.reseed import fold
from tests.commands.reseed.attacks.scene import Attack, Scene, full

CASES: dict[str, tuple[str, Attack]] = {}


def stopped_by(code: str) -> Callable[[Attack], Attack]:
    """Register an attack under its name, with the code of the refusal that stops it."""

    def register(attack: Attack) -> Attack:
        CASES[attack.__name__] = (code, attack)
        return attack

    return register


# ---------------------------------------------------------------- plans


@stopped_by("not_approved")
def a_plan_that_asks_for_no_approval(scene: Scene) -> None:
    plan = scene.planned(reseed="20260101-000000-dead", approvals_needed=0, allowed_signers="")
    stream = f"reseed/{plan.reseed}"
    approval = ReseedApproved(reseed=plan.reseed, digest=plan.digest, approver="mallory@x.org")
    scene.pulled((stream, plan), (stream, approval), scene.preparation(plan))
    scene.reseed = plan.reseed


@stopped_by("reseed_step")
def a_plan_that_asks_for_no_approval_and_has_none(scene: Scene) -> None:
    plan = scene.planned(reseed="20260101-000000-dead", approvals_needed=0, allowed_signers="")
    scene.pulled((f"reseed/{plan.reseed}", plan), scene.preparation(plan))
    scene.reseed = plan.reseed


@stopped_by("plan_of_another_policy")
def a_plan_that_names_no_policy(scene: Scene) -> None:
    plan = scene.planned(reseed="20260101-000000-dead", approvals_needed=1, allowed_signers="", policies=[])
    stream = f"reseed/{plan.reseed}"
    approval = ReseedApproved(reseed=plan.reseed, digest=plan.digest, approver="mallory@x.org")
    scene.pulled((stream, plan), (stream, approval), scene.preparation(plan))
    scene.reseed = plan.reseed


@stopped_by("plan_of_another_policy")
def a_plan_and_its_approvals_from_another_ledger(scene: Scene) -> None:
    """The same people, with their real keys, approved it there under that ledger's policy."""
    plan = scene.planned(reseed="20260101-000000-dead", policies=["f" * 64])
    approvals = [scene.approval(name, key=name, plan=plan) for name in ("ann", "bob")]
    scene.pulled((f"reseed/{plan.reseed}", plan), *approvals, scene.preparation(plan))
    scene.reseed = plan.reseed


@stopped_by("reseed_step")
def a_plan_rewritten_after_its_approval(scene: Scene) -> None:
    """Recorded before the team's by the attacker's clock, so that it is the reseed's plan and theirs is not."""
    scene.approve("ann", "bob")
    scene.pulled((f"reseed/{scene.reseed}", scene.planned(reason="mine")), years=-10)
    assert len(fold.load(scene.ledger, scene.reseed).passed_over) >= 3, "the team's plan, and approvals of it"


@stopped_by("plan_changed")
def a_plan_rewritten_under_the_digest_that_was_approved(scene: Scene) -> None:
    scene.approve("ann", "bob")
    forged = scene.planned(dataset="hf://datasets/mallory/own", digest=scene.plan.digest)
    scene.pulled((f"reseed/{scene.reseed}", forged), years=-10)
    scene.written(scene.preparation(forged))


@stopped_by("not_approved")
def a_second_plan_of_the_same_reseed(scene: Scene) -> None:
    """It is passed over: the team's plan is the reseed's, and has one approval."""
    scene.approve("ann")
    other = scene.planned(reason="mine", approvals_needed=1)
    scene.pulled((f"reseed/{scene.reseed}", other), scene.approval("bob", plan=other), scene.approval("mallory"))
    scene.written(scene.preparation())


# ---------------------------------------------------------------- approvals


def two_with(*forged: str) -> Attack:
    """One real approval, and one that the attacker makes."""

    def attack(scene: Scene) -> None:
        scene.approve("ann")
        made = [FORGED[name](scene) for name in forged]
        scene.pulled(*made, scene.preparation())

    return attack


FORGED: dict[str, Callable[[Scene], tuple[str, ReseedApproved]]] = {
    "another_persons_name_without_a_signature": lambda scene: scene.approval("bob"),
    "another_persons_name_with_her_own_key": lambda scene: scene.approval("bob", key="mallory"),
    "her_own_name_and_key": lambda scene: scene.approval("mallory", key="mallory"),
    "one_key_under_a_second_listed_name": lambda scene: scene.approval("bob", key="ann"),
    "one_key_under_a_second_unlisted_name": lambda scene: scene.approval("ann2", key="ann"),
    "text_that_is_no_signature": lambda scene: scene.approval("bob", signature="forged"),
    "a_signature_cut_short": lambda scene: scene.approval("bob", signature=_bobs(scene, "r", "d")[:200]),
    "the_same_approval_again": lambda scene: (f"reseed/{scene.reseed}", scene.given("ann")),
    "an_approval_of_another_reseed": lambda scene: scene.approval(
        "bob", signature=_bobs(scene, "20260101-000000-dead", scene.plan.digest)
    ),
    "an_approval_of_another_plan": lambda scene: scene.approval("bob", signature=_bobs(scene, scene.reseed, "e" * 64)),
    "a_signature_of_the_namespace_of_policies": lambda scene: scene.approval(
        "bob", key="bob", what=Signed("policy", scene.reseed, scene.plan.digest)
    ),
    "a_signature_that_bob_made_for_git": lambda scene: scene.approval("bob", key="bob", what=_Git("git", "", "")),
    "a_name_with_an_unseen_character": lambda scene: scene.approval("ann\u200b@x.org", key="ann"),
    "a_name_with_a_cyrillic_letter": lambda scene: scene.approval("\u0430nn@x.org", key="ann"),
    "a_name_in_capitals": lambda scene: scene.approval("ANN@X.ORG", key="ann"),
    "a_name_with_a_space_behind": lambda scene: scene.approval("ann@x.org ", key="ann"),
}


class _Git(Signed):
    """What `git commit -S` signs: another namespace, another text."""

    @property
    def namespace(self) -> str:
        return "git"

    def message(self) -> bytes:
        return b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"


def _bobs(scene: Scene, reseed: str, digest: str) -> str:
    return signing.sign(str(scene.keys.path("bob")), Signed("reseed", reseed, digest))


# Not even by what the events say of themselves are these a second approver: the step stays `planned`.
ONE_APPROVER = {
    "one_key_under_a_second_listed_name",
    "one_key_under_a_second_unlisted_name",
    "the_same_approval_again",
    "a_name_with_an_unseen_character",
    "a_name_with_a_cyrillic_letter",
    "a_name_in_capitals",
    "a_name_with_a_space_behind",
}
for _name in FORGED:
    CASES[_name] = ("reseed_step" if _name in ONE_APPROVER else "not_approved", two_with(_name))


@stopped_by("not_approved")
def an_approval_whose_digest_is_rewritten(scene: Scene) -> None:
    """Bob approved another plan; the event now names this one."""
    other = scene.planned(reason="another")
    _, real = scene.approval("bob", key="bob", plan=other)
    moved = msgspec.structs.replace(real, digest=scene.plan.digest)
    scene.approve("ann")
    scene.pulled((f"reseed/{scene.reseed}", moved), scene.preparation())


@stopped_by("not_approved")
def approvals_by_the_hundred(scene: Scene) -> None:
    scene.approve("ann")
    scene.pulled(*(scene.approval(f"mallory{n}@x.org") for n in range(100)), scene.preparation())


@stopped_by("reseed_step")
def an_abort_to_make_them_plan_again(scene: Scene) -> None:
    """That much an attacker can do: the reseed is given up, and shown as hers."""
    scene.approve("ann", "bob")
    scene.pulled((f"reseed/{scene.reseed}", ReseedAborted(reseed=scene.reseed, reason="mine", left=[])))
    assert "mallory@x.org" in scene.run("reseed", "show", scene.reseed).out


@stopped_by("reseed_step")
def an_upload_that_never_was(scene: Scene) -> None:
    """The step says so, and nothing left: `show` names whose event that is, the dataset is what it was."""
    plan, stream = scene.plan, f"reseed/{scene.reseed}"
    scene.approve("ann", "bob")
    end = ReseedUploaded(
        reseed=plan.reseed, dataset=plan.dataset, revision="f" * 40, parent=None, written=[], already=[], medians={}
    )
    scene.pulled(scene.preparation(), (stream, end))
    assert "mallory@x.org" in scene.run("reseed", "show", scene.reseed).out


@stopped_by("not_approved")
def an_upload_that_was_announced_and_only_has_to_be_resumed(scene: Scene) -> None:
    plan = scene.plan
    start = ReseedUploadStarted(
        reseed=plan.reseed, dataset=plan.dataset, parent=plan.revision, paths=plan.destination, pinned=True
    )
    scene.approve("ann")
    scene.pulled(scene.approval("bob"), scene.preparation(), (f"reseed/{scene.reseed}", start))


@pytest.mark.parametrize("name", CASES.keys())
def test_nothing_is_uploaded(scene: Scene, name: str) -> None:
    code, attack = CASES[name]
    attack(scene)
    done = scene.upload()
    assert (done.code, done.json["error"]["code"]) == (3 if code.endswith("changed") else 1, code), done.out
    assert not scene.seeds()


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_approval_counts_nowhere(scene: Scene, name: str) -> None:
    """Whatever the step of the reseed, the check before the upload finds one approver."""
    scene.approve("ann")
    scene.pulled(FORGED[name](scene))
    with pytest.raises(Refused) as caught:
        require_approved(scene.ledger, fold.load(scene.ledger, scene.reseed))
    assert caught.value.code == "not_approved"
    assert [one["approver"] for one in caught.value.details["counted"]] == [full("ann")]


def test_real_approvals_are_not_kept_out_by_forged_ones_before_them(scene: Scene) -> None:
    """An approval that names Bob's key and does not hold takes no place from Bob's own."""
    forged = scene.approval("bob", signature=_bobs(scene, scene.reseed, "e" * 64))
    scene.pulled(forged, scene.approval("ann"), scene.preparation())
    scene.approve("ann", "bob")
    shown = scene.run("reseed", "show", scene.reseed, "--json").json
    assert [row["counts"] for row in shown["approvals"]] == [False, False, True, True]
    assert scene.run("reseed", "upload", scene.reseed, "--dry-run").code == 0


def test_show_says_of_every_approval_what_it_is_worth(scene: Scene) -> None:
    scene.approve("ann")
    scene.pulled(scene.approval("bob"), scene.approval("carl", key="mallory"), scene.approval("dave", signature="x"))
    shown = scene.run("reseed", "show", scene.reseed, "--json").json["approvals"]
    rows = {row["approver"]: (row["counts"], row["signed"], row["signature"].split(":")[0]) for row in shown}
    assert rows == {
        full("ann"): (True, True, "signed by SHA256"),
        full("bob"): (False, False, "not signed"),
        full("carl"): (False, True, "the signature does not hold"),
        full("dave"): (False, False, "not signed"),
    }
    text = scene.run("reseed", "show", scene.reseed).out
    assert f"approved by {full('bob')}: not signed; does not count" in text
    assert "counted now: 1 of 2" in text
    query = "SELECT approver, signed, signature FROM approvals ORDER BY approver"
    told = scene.run("sql", query, "--format", "json").json
    assert [(row["signed"], row["signature"]) for row in told] == [
        (True, "signature not checked"),
        (False, "not signed"),
        (True, "signature not checked"),
        (False, "not signed"),
    ]
    listed = scene.run("reseed", "list").out
    assert f"{full('bob')} (not signed)" in listed
