"""A team whose policy asks for two of three keys, a plan of theirs, and an attacker with a ledger of her own."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from commands.ledger_commands.policy_pin import adopted
from ledger import identifiers
from ledger.event import EventPayload, NewEvent
from ledger.events.reseeds import RecordsPrepared, ReseedApproved, ReseedPlanned, ReseedPolicyEndorsed
from ledger.identity import signing
from ledger.identity.signing import Signed
from ledger.ledger import Ledger
from projections.authority import in_force
from projections.authority.policy import Document, Policy, new_lineage
from projections.reseed.fold import plan_digest
from tests.commands.in_process import run_here
from tests.commands.reseed.world import World, record
from tests.conftest import Result
from tests.ledger.sync.samples import do_pull, do_push

PEOPLE = ("ann", "bob", "carl")
PHRASE, ENDORSE = "confirm performance reseed", "endorse this policy"
Attack = Callable[["Scene"], None]


def full(name: str) -> str:
    """The name under which somebody approves."""
    return name if "@" in name else f"{name}@x.org"


@dataclass(frozen=True)
class Keys:
    """SSH keys by the short name of who holds them; made once for all tests of a module."""

    folder: Path

    def path(self, name: str) -> Path:
        """The private key of somebody, made when it is asked for first."""
        path = self.folder / name
        if not path.exists():
            kind = ["-t", "rsa", "-b", "1024"] if name.endswith("-weak") else ["-t", "ed25519"]
            subprocess.run(["ssh-keygen", "-q", *kind, "-N", "", "-C", name, "-f", path], check=True)
        return path

    def line(self, name: str, *, called: str | None = None, options: str = "") -> str:
        """The line that lists somebody's key."""
        kind, blob = self.path(name).with_suffix(".pub").read_text(encoding="utf-8").split()[:2]
        return " ".join(part for part in (full(called or name), options, kind, blob) if part) + "\n"

    def lines(self, names: Sequence[str]) -> str:
        """The text of an allowed-signers file."""
        return "".join(self.line(name) for name in names)


@dataclass
class Scene:
    """A victim's ledger in `folder`, one plan in it, and what the attacker does about it."""

    folder: Path
    keys: Keys
    env: dict[str, str]
    reseed: str
    policy: Policy | None = None
    seeds: Callable[[], Sequence[Any]] = field(default=list)

    # ---------------------------------------------------------------- the victim

    @property
    def ledger(self) -> Ledger:
        """The victim's ledger."""
        return Ledger.open(self.folder, actor="ops@x.org")

    @property
    def plan(self) -> ReseedPlanned:
        """The plan that the team made."""
        event = next(e for e in self.ledger.read(origin="ops", types=["ReseedPlanned"]))
        plan = event.typed()
        assert isinstance(plan, ReseedPlanned)
        return plan

    def run(self, *args: Any, actor: str = "ops@x.org") -> Result:
        """Run a command in the victim's folder."""
        return run_here(*args, "--actor", actor, cwd=self.folder, env=self.env)

    def approve(self, *names: str, code: int = 0) -> None:
        """Let people approve the plan as they do, with their keys."""
        for name in names:
            done = self.run(
                *("reseed", "approve", self.reseed, "--confirm", PHRASE, "--json"),
                *("--sign-key", self.keys.path(name)),
                actor=full(name),
            )
            assert done.code == code, done.out + done.err

    def change(self, *names: str, adopt: Sequence[Any], code: int = 0) -> str:
        """Let people change the policy as they do: the first adopts it, the others endorse it. Return its digest."""
        first, *others = names
        done = self.run("reseed", "policy", *adopt, "--sign-key", self.keys.path(first), "--json", actor=full(first))
        assert done.code == code, done.out + done.err
        digest = str(done.json["changed"])
        for name in others:
            more = ("--endorse", digest, "--sign-key", self.keys.path(name), "--confirm", ENDORSE, "--json")
            assert self.run("reseed", "policy", *more, actor=full(name)).code == 0
        return digest

    def signers_file(self, text: str) -> Path:
        """Write an allowed-signers file."""
        path = self.folder / f"signers-{len(list(self.folder.iterdir()))}"
        path.write_text(text, encoding="utf-8")
        return path

    def upload(self, reseed: str | None = None) -> Result:
        """Try to upload."""
        return self.run("reseed", "upload", reseed or self.reseed, "--confirm", "upload", "--json")

    def in_force(self) -> list[str]:
        """The digests of the policies in force."""
        return [policy.digest for policy in in_force.load(self.ledger).policies]

    # ---------------------------------------------------------------- the attacker

    def pulled(self, *payloads: tuple[str, EventPayload], years: int = 0, origin: str = "mallory") -> None:
        """Let the attacker write these events, each with its stream, into a ledger of her own, whose chain is whole,
        and put it on the remote; the victim pulls it. The pieces they cite are there. Her clock is off by `years`."""
        remote = self.folder / "remote"
        remote.mkdir(exist_ok=True)
        with _clock(years):
            place = self.folder / origin
            fresh = not place.exists()
            hers = Ledger.create(place, origin=origin) if fresh else Ledger.open(place)
            hers = Ledger.open(place, actor="mallory@x.org")
            for piece in (self.keys.folder / "pieces").glob("*"):
                hers.evidence.put(piece.read_bytes())
            hers.append([NewEvent(stream=stream, payload=payload) for stream, payload in payloads])
        do_push(hers, f"file://{remote}")
        before = self.ledger.head(origin).position if not fresh else 0
        do_pull(self.ledger, f"file://{remote}")
        assert self.ledger.head(origin).position > before, "the victim took it in"

    def written(self, *payloads: tuple[str, EventPayload]) -> None:
        """Let the attacker write events into the victim's own log."""
        self.ledger.append([NewEvent(stream=stream, payload=payload) for stream, payload in payloads])

    def approval(self, name: str, *, key: str | None = None, **wrong: Any) -> tuple[str, ReseedApproved]:
        """An approval event in somebody's name, signed with a key; `wrong` says what is signed instead."""
        plan = wrong.pop("plan", self.plan)
        what = wrong.pop("what", Signed("reseed", plan.reseed, plan.digest))
        signature = wrong.pop("signature", None)
        if signature is None:
            signature = signing.sign(str(self.keys.path(key)), what) if key else ""
        event = ReseedApproved(reseed=plan.reseed, digest=plan.digest, approver=full(name), signature=signature)
        return f"reseed/{plan.reseed}", event

    def given(self, name: str) -> ReseedApproved:
        """The approval that somebody gave."""
        found = [e.typed() for e in self.ledger.read(types=["ReseedApproved"])]
        return next(e for e in found if isinstance(e, ReseedApproved) and e.approver == full(name))

    def preparation(self, plan: ReseedPlanned | None = None) -> tuple[str, RecordsPrepared]:
        """A preparation event, and the files of a plan in a folder of the attacker's."""
        plan = plan or self.plan
        folder = self.folder / "hers"
        for seed in plan.prepared:
            (folder / seed.path).parent.mkdir(parents=True, exist_ok=True)
            (folder / seed.path).write_bytes(self.ledger.evidence.get(seed.sha256))
        event = RecordsPrepared(
            reseed=plan.reseed, digest=plan.digest, folder=str(folder), paths=[seed.path for seed in plan.prepared]
        )
        return f"reseed/{plan.reseed}", event

    def planned(self, **changes: Any) -> ReseedPlanned:
        """The team's plan with something else in it, under its right digest unless one is given."""
        plan = msgspec.structs.replace(self.plan, **{"backup": "", **changes})
        return plan if "digest" in changes else msgspec.structs.replace(plan, digest=plan_digest(plan))

    def laxer(self, **fields: Any) -> Document:
        """A policy under which the attacker alone approves; by default a change of the one in force."""
        policy = in_force.load(self.ledger).policies[0]
        made = Document(
            approvals=1,
            allowed_signers=self.keys.line("mallory"),
            lineage=policy.document.lineage or new_lineage(),
            replaces=policy.digest if policy.document.lineage else None,
        )
        return msgspec.structs.replace(made, **fields)

    def adopted(self, document: Document) -> tuple[str, EventPayload]:
        """The event that says a policy was adopted; what it cites is kept for whoever writes it."""
        pieces = self.keys.folder / "pieces"
        pieces.mkdir(exist_ok=True)
        event = adopted(self.ledger, document)
        if document.allowed_signers:
            (pieces / event.allowed_signers).write_bytes(document.allowed_signers.encode())
        return "policy/reseed", event

    def endorsed(self, document: Document, *names: str, what: Signed | None = None) -> list[tuple[str, EventPayload]]:
        """Endorsements of a policy, signed with the keys of these people."""
        digest = Policy(document).digest
        found: list[tuple[str, EventPayload]] = []
        for name in names:
            signature = signing.sign(str(self.keys.path(name)), what or in_force.change(digest))
            event = ReseedPolicyEndorsed(digest=digest, approver=full(name), signature=signature)
            found.append(("policy/reseed", event))
        return found


@contextlib.contextmanager
def _clock(years: int) -> Iterator[None]:
    """Set the clock of whoever writes."""
    with pytest.MonkeyPatch.context() as patch:
        if years:
            first = identifiers.clock() + years * 365 * 86_400 * identifiers.MICROSECONDS
            patch.setattr(identifiers, "clock", count(first).__next__)
        yield


@dataclass(frozen=True)
class Stage:
    """What the scenes of a module are copies of: a world with a plan, once for each kind of policy."""

    world: World
    keys: Keys
    reseed: str

    @classmethod
    def make(cls, world: World, keys: Keys, *policy: Any) -> Stage:
        """Adopt a policy with the installed command, and plan a reseed."""
        for day in (20, 21, 22):
            world.source(record(day, 33.0 + day / 100, success=False, comparison_status="REGRESSION"))
        if policy:
            world.run("reseed", "policy", *policy, code=0, actor="ops@x.org")
        return cls(world, keys, world.plan().json["id"])

    def scene(self, folder: Path) -> Scene:
        """Return a copy of it that a test may spoil."""
        shutil.copytree(self.world.folder / ".perfledger", folder / ".perfledger")
        env = self.world.env(PERFORMANCE_RESEED_STAGING_ROOT=str(folder / "staging"))
        return Scene(folder, self.keys, env, self.reseed, seeds=self.world.seeds)
