"""Attacks on the policy of approvals, by who can write the remote, or who was an approver once.

The attacker has prepared everything and, where her policy held, her own approval would do: what stops the upload is
that the policy does not hold here, or that it asks for more.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from commands.reseed.work.policy_change import terms, to_endorse
from ledger import pins
from ledger.identity.signing import Signed
from ledger.ledger import Ledger
from projections.authority import in_force
from projections.authority.policy import Document, Policy, bytes_of, new_lineage
from tests.commands.in_process import run_here
from tests.commands.reseed.attacks.scene import PEOPLE, Scene, full

# How an attack prepares; it returns the digest of the policy that must still be in force, or "" for that of the scene.
Attack = Callable[[Scene], str]
CASES: dict[str, Attack] = {}


def attack(prepare: Attack) -> Attack:
    """Register an attack under its name."""
    CASES[prepare.__name__] = prepare
    return prepare


def raised(scene: Scene, *names: str, approvals: int = 2, people: tuple[str, ...] = PEOPLE) -> str:
    """Let the team change its policy, signed by these people; return its digest."""
    adopt = ("--approvals", approvals, "--allowed-signers", scene.signers_file(scene.keys.lines(people)))
    digest = scene.change(*names, adopt=adopt)
    assert scene.in_force() == [digest]
    return digest


@attack
def a_policy_that_nobody_signed(scene: Scene) -> str:
    scene.pulled(scene.adopted(scene.laxer()))
    return ""


@attack
def a_first_policy_of_her_own(scene: Scene) -> str:
    scene.pulled(scene.adopted(scene.laxer(replaces=None, lineage=new_lineage())))
    return ""


@attack
def a_first_policy_without_signers(scene: Scene) -> str:
    scene.pulled(scene.adopted(scene.laxer(replaces=None, allowed_signers="", approvals=0)))
    return ""


@attack
def a_policy_of_the_year_2105(scene: Scene) -> str:
    """Recorded last by any clock: time decides nothing."""
    scene.pulled(scene.adopted(scene.laxer(replaces=None)), years=79, origin="later")
    return ""


@attack
def a_policy_that_she_signed(scene: Scene) -> str:
    change = scene.laxer()
    scene.pulled(scene.adopted(change), *scene.endorsed(change, "mallory"))
    return ""


@attack
def a_policy_that_one_of_two_signed(scene: Scene) -> str:
    change = scene.laxer()
    scene.pulled(scene.adopted(change), *scene.endorsed(change, "mallory", "carl", "carl"))
    return ""


@attack
def a_policy_signed_by_one_key_under_two_names(scene: Scene) -> str:
    change = scene.laxer()
    (stream, word), *_ = scene.endorsed(change, "carl")
    renamed = msgspec.structs.replace(word, approver=full("bob"))
    scene.pulled(scene.adopted(change), (stream, word), (stream, renamed))
    return ""


@attack
def a_policy_with_signatures_of_the_namespace_of_approvals(scene: Scene) -> str:
    """Two people signed this digest, as the plan of a reseed."""
    change = scene.laxer()
    digest = Policy(change).digest
    words = scene.endorsed(change, "ann", "bob", what=Signed("reseed", "of approvals", digest))
    scene.pulled(scene.adopted(change), *words)
    return ""


@attack
def a_policy_with_the_signatures_of_another_one(scene: Scene) -> str:
    """What two people signed is in force; hers carries their signatures under its own digest."""
    digest = raised(scene, "ann", "bob", approvals=3)
    change = scene.laxer()
    words = [e.typed() for e in scene.ledger.read(types=["ReseedPolicyEndorsed"]) if e.body()["digest"] == digest]
    copied = [msgspec.structs.replace(word, digest=Policy(change).digest) for word in words]
    scene.pulled(scene.adopted(change), *(("policy/reseed", word) for word in copied))
    return digest


@attack
def a_policy_of_another_ledger(scene: Scene) -> str:
    """The same people made the same change there, with their real signatures."""
    base = in_force.load(scene.ledger).policies[0].document
    theirs = msgspec.structs.replace(base, lineage=new_lineage())
    change = scene.laxer(lineage=theirs.lineage, replaces=Policy(theirs).digest)
    scene.pulled(scene.adopted(theirs), scene.adopted(change), *scene.endorsed(change, "ann", "bob"))
    return ""


@attack
def a_policy_of_another_ledger_that_names_ours(scene: Scene) -> str:
    change = scene.laxer(lineage=new_lineage())
    scene.pulled(scene.adopted(change), *scene.endorsed(change, "ann", "bob"))
    return ""


@attack
def an_older_policy_again(scene: Scene) -> str:
    before = in_force.load(scene.ledger).policies[0].document
    digest = raised(scene, "ann", "bob", approvals=3)
    scene.pulled(scene.adopted(before), *scene.endorsed(before, "mallory"))
    return digest


@attack
def a_policy_signed_by_whom_the_last_one_removed(scene: Scene) -> str:
    digest = raised(scene, "ann", "bob", people=("ann", "bob"))
    change = scene.laxer()
    scene.pulled(scene.adopted(change), *scene.endorsed(change, "carl", "ann"))
    return digest


@attack
def a_threshold_lowered_by_fewer_than_it_was_raised_to(scene: Scene) -> str:
    digest = raised(scene, "ann", "bob", approvals=3)
    change = scene.laxer()
    scene.pulled(scene.adopted(change), *scene.endorsed(change, "ann", "bob"))
    return digest


@attack
def a_policy_signed_with_keys_of_a_weak_type_that_it_lists_itself(scene: Scene) -> str:
    weak = scene.keys.line("ann-weak", called="ann") + scene.keys.line("bob-weak", called="bob")
    change = scene.laxer(allowed_signers=weak)
    scene.pulled(scene.adopted(change), *scene.endorsed(change, "ann-weak", "bob-weak"))
    return ""


@attack
def a_policy_whose_event_claims_to_replace_a_made_up_one(scene: Scene) -> str:
    between = scene.laxer()
    change = scene.laxer(replaces=Policy(between).digest)
    scene.pulled(scene.adopted(between), scene.adopted(change), *scene.endorsed(change, "mallory"))
    return ""


def she_approves(scene: Scene) -> None:
    """Her own approval, one real one, and the preparation: enough wherever her policy held."""
    scene.approve("ann")
    scene.pulled(scene.approval("mallory", key="mallory"), scene.preparation(), origin="mallory")


@pytest.mark.parametrize("name", CASES)
def test_the_policy_stays_and_nothing_is_uploaded(scene: Scene, name: str) -> None:
    before = scene.in_force()
    digest = CASES[name](scene)
    assert scene.in_force() == ([digest] if digest else before)
    she_approves(scene)
    done = scene.upload()
    assert done.json["error"]["code"] == "not_approved", done.out
    assert not scene.seeds()
    told = scene.run("reseed", "policy", "--json").json
    assert told["pinned"] and (told["not_in_force"] or name == "an_older_policy_again")
    warned = [c["message"] for c in scene.run("doctor", "--fast", "--json").json["checks"] if c["name"] == "approvals"]
    assert name == "an_older_policy_again" or any("is not in force: " in message for message in warned)


def test_a_removed_approver_with_an_accomplice_only_makes_it_stricter(scene: Scene) -> None:
    """Carl, removed, and Bob, who is not, sign a rival of the change that removed him: both must be satisfied."""
    digest = raised(scene, "ann", "bob", people=("ann", "bob"))
    base = in_force.load(scene.ledger).chain.anchor
    assert base is not None
    rival = scene.laxer(replaces=base.digest, lineage=base.document.lineage)
    scene.pulled(scene.adopted(rival), *scene.endorsed(rival, "bob", "carl"))
    assert set(scene.in_force()) == {digest, Policy(rival).digest}
    she_approves(scene)
    assert scene.upload().json["error"]["code"] == "not_approved"
    warned = [c["message"] for c in scene.run("doctor", "--fast", "--json").json["checks"] if c["name"] == "approvals"]
    assert any("policies that nothing replaced" in message for message in warned)
    scene.run("reseed", "policy", "--pin", digest)
    assert scene.in_force() == [digest], "whoever owns the folder settles it by a pin"


def test_of_two_changes_of_the_same_policy_the_stricter_holds(scene: Scene) -> None:
    base = in_force.load(scene.ledger).policies[0]
    digest = raised(scene, "ann", "bob", approvals=3)
    rival = msgspec.structs.replace(
        base.document, approvals=1, allowed_signers=scene.keys.lines((*PEOPLE, "mallory")), replaces=base.digest
    )
    scene.pulled(scene.adopted(rival), *scene.endorsed(rival, "bob", "carl"))
    assert scene.in_force() == [digest]
    scene.approve("ann", "bob")
    scene.written(scene.preparation())
    refused = scene.upload().json["error"]
    assert (refused["code"], refused["details"]["approvals_needed"]) == ("not_approved", 3)


def test_an_approval_by_a_key_that_was_removed_since_counts_no_more(scene: Scene) -> None:
    scene.approve("ann", "carl")
    assert scene.run("reseed", "prepare", scene.reseed).code == 0
    raised(scene, "ann", "bob", people=("ann", "bob"))
    refused = scene.upload().json["error"]
    assert refused["code"] == "not_approved"
    assert [one["approver"] for one in refused["details"]["counted"]] == [full("ann")]
    scene.approve("bob")
    assert scene.run("reseed", "upload", scene.reseed, "--dry-run").code == 0, "and can be given after the preparation"


def test_a_removed_approver_approves_no_more(scene: Scene) -> None:
    raised(scene, "ann", "bob", people=("ann", "bob"))
    done = scene.run(
        *("reseed", "approve", scene.reseed, "--confirm", "confirm performance reseed", "--json"),
        *("--sign-key", scene.keys.path("carl")),
        actor=full("carl"),
    )
    assert done.json["error"]["code"] == "signature_wrong"
    scene.approve("ann")
    scene.pulled(scene.approval("carl", key="carl"), scene.preparation())
    assert scene.upload().json["error"]["code"] == "not_approved"


def test_the_signature_of_a_key_that_has_expired_does_not_count(scene: Scene) -> None:
    """By this machine's clock: the time in an event is whatever its writer says."""
    lines = scene.keys.lines(("ann", "bob")) + scene.keys.line("carl", options='valid-before="20200101Z"')
    scene.change("ann", "bob", adopt=("--allowed-signers", scene.signers_file(lines)))
    scene.approve("ann")
    scene.pulled(scene.approval("carl", key="carl"), scene.preparation(), years=-10)
    scene.pulled(scene.approval("carl", key="carl"), scene.preparation())
    refused = scene.upload().json["error"]
    assert refused["code"] == "not_approved"
    assert "its key is not valid now" in refused["message"]


def test_a_key_for_other_namespaces_approves_nothing(scene: Scene) -> None:
    lines = scene.keys.lines(("ann", "bob")) + scene.keys.line("carl", options='namespaces="git"')
    scene.change("ann", "bob", adopt=("--allowed-signers", scene.signers_file(lines)))
    scene.approve("ann")
    scene.pulled(scene.approval("carl", key="carl"), scene.preparation())
    assert scene.upload().json["error"]["code"] == "not_approved"


def test_without_a_pin_what_is_pulled_makes_it_no_laxer(scene: Scene) -> None:
    (scene.folder / ".perfledger" / "ledger.toml").write_text(
        (scene.folder / ".perfledger" / "ledger.toml").read_text(encoding="utf-8").split("\n[")[0], encoding="utf-8"
    )
    before = scene.in_force()
    for lax in (scene.laxer(replaces=None, allowed_signers=""), scene.laxer(replaces=None, approvals=-1)):
        scene.pulled(scene.adopted(lax))
        assert set(before) <= set(scene.in_force())
    she_approves(scene)
    assert scene.upload().json["error"]["code"] == "not_approved"
    checks = scene.run("doctor", "--fast", "--json").json["checks"]
    assert any(c["name"] == "approvals" and c["message"].startswith("policy not pinned") for c in checks)


def test_a_new_machine_with_the_pin_believes_no_history_that_was_chained_again(scene: Scene, tmp_path: Path) -> None:
    """The attacker replaces all of the team's log on the remote by one of hers under the same name, its chain whole."""
    policy = in_force.load(scene.ledger).policies[0]
    file = tmp_path / "policy.json"
    file.write_bytes(bytes_of(policy.document))
    place = tmp_path / "new"
    place.mkdir()
    made = run_here("init", "--origin", "new", "--approval-policy", file, "--json", cwd=place)
    assert made.json["approval_policy"] == policy.digest
    fresh = Scene(place, scene.keys, scene.env, scene.reseed)
    lax = scene.laxer(replaces=None)
    fresh.pulled(
        scene.adopted(lax),
        (f"reseed/{scene.reseed}", scene.plan),
        scene.approval("ann"),
        scene.approval("bob", key="mallory"),
        scene.preparation(),
        origin="ops",
    )
    assert fresh.in_force() == [policy.digest]
    assert fresh.upload().json["error"]["code"] == "not_approved"


def test_a_new_machine_without_a_pin_is_told_so(scene: Scene, tmp_path: Path) -> None:
    """There the remote is believed: that is what the pin is for."""
    place = tmp_path / "new"
    place.mkdir()
    run_here("init", "--origin", "new", cwd=place)
    fresh = Scene(place, scene.keys, scene.env, scene.reseed)
    fresh.pulled(scene.adopted(scene.laxer(replaces=None)), origin="ops")
    checks = fresh.run("doctor", "--fast", "--json").json["checks"]
    assert [c["state"] for c in checks if c["name"] == "approvals"] == ["warn"]
    assert "policy not pinned" in fresh.run("reseed", "policy").out


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda keys: keys.line("ann-weak", called="ann"), "fewer than 2048 bits"),
        (lambda keys: keys.line("ann", called="eve"), "is listed twice"),
        (lambda keys: keys.line("mallory", called="\u0430nn@x.org"), "mixes letters of several scripts"),
        (lambda keys: keys.line("mallory", called="ann\u200b@x.org"), "cannot be seen"),
        (lambda keys: keys.line("mallory", options="cert-authority"), "certificate authority"),
        (lambda keys: "dave ssh-dss AAAAB3NzaC1kc3M=\n", "too weak"),
    ],
)
def test_a_policy_that_does_not_mean_what_it_says_is_not_adopted(
    scene: Scene, spoil: Callable[..., str], why: str
) -> None:
    file = scene.signers_file(scene.keys.lines(("ann", "bob")) + spoil(scene.keys))
    done = scene.run("reseed", "policy", "--allowed-signers", file, "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "bad_approval_policy")
    assert why in done.json["error"]["message"]
    pin = bytes_of(Document(approvals=1, allowed_signers=file.read_text(encoding="utf-8")))
    (scene.folder / "policy.json").write_bytes(pin)
    assert scene.run("reseed", "policy", "--pin", "policy.json").code == 2


def test_whoever_endorses_a_policy_is_shown_all_of_it_first(scene: Scene) -> None:
    """A digest says nothing: hers is endorsed by nobody who reads who is listed."""
    change = scene.laxer(reason="tidy up")
    scene.pulled(scene.adopted(change), *scene.endorsed(change, "mallory"))
    digest = Policy(change).digest
    refused = scene.run("reseed", "policy", "--endorse", digest, "--json", actor=full("ann"))
    assert refused.json["error"]["code"] == "confirmation_missing"
    shown = terms(to_endorse(scene.ledger, digest[:20]))
    for word in (digest, "mallory@x.org", "SHA256:", "tidy up", "signed by 1 of 1 keys", scene.plan.policies[0]):
        assert word in shown


def test_first_policies_of_several_ledgers_are_settled_by_a_pin_alone(unsigned: Scene) -> None:
    ours = unsigned.in_force()[0]
    unsigned.pulled(unsigned.adopted(unsigned.laxer(replaces=None, lineage=new_lineage())))
    assert len(unsigned.in_force()) == 2
    done = unsigned.run("reseed", "policy", "--approvals", 3, "--json")
    assert done.json["error"]["code"] == "policies_of_several_ledgers"
    assert unsigned.run("reseed", "policy", "--pin", ours, "--json").json["approvals"] == 2


def test_a_policy_that_nobody_can_satisfy_is_not_adopted(scene: Scene) -> None:
    assert scene.run("reseed", "policy", "--approvals", 4).code == 2


def test_a_quorum_changes_the_policy_on_every_machine_that_pinned_the_one_before(scene: Scene) -> None:
    digest = raised(scene, "ann", "bob", approvals=1)
    other = Ledger.create(scene.folder / "second", origin="second")
    pins.write_pin(other.path, pins.APPROVAL_POLICY, pins.Pin("p.json", scene.plan.policies[0]))
    base = in_force.load(scene.ledger).chain.anchor
    assert base is not None
    (other.path / "p.json").write_bytes(bytes_of(base.document))
    second = Scene(scene.folder / "second", scene.keys, scene.env, scene.reseed)
    assert second.in_force() == [base.digest]
    scene.run("sync", "push", "--remote", f"file://{scene.folder}/shared", "--create")
    second.run("sync", "pull", "--remote", f"file://{scene.folder}/shared")
    assert second.in_force() == [digest]
    assert json.loads(second.run("reseed", "policy", "--json").out)["approvals"] == 1
