"""Incremental equals rebuilt equals as-of prefix, under any interleaving of what may happen to a ledger.

A hypothesis state machine appends, seals, catches up, pulls from another machine, deletes state files and kills a
projector half-way; after each step the projections must be those of a rebuild from the log alone.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger import adoption
from ledger.ledger import Ledger
from projections.state import store
from projections.state.state import State
from tests.ledger.samples import result

TARGETS = ("model-a@GPU", "model-b@GPU")


class Killed(BaseException):
    """The projector died."""


class Machine(RuleBasedStateMachine):
    """One ledger, another machine to pull from, and what may happen to them."""

    @initialize()
    def create(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="perfledger-"))
        self.ledger = Ledger.create(self.folder / "here", origin="here", actor="a")
        self.other = Ledger.create(self.folder / "there", origin="there", actor="b")
        self.count = 0
        self.pulled = 0

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    @rule(n=st.integers(1, 4), model=st.sampled_from(TARGETS))
    def append(self, n: int, model: str) -> None:
        self.ledger.append([result(self.count + i, target=model) for i in range(n)])
        self.count += n

    @rule(n=st.integers(1, 3), model=st.sampled_from(TARGETS))
    def append_elsewhere(self, n: int, model: str) -> None:
        self.other.append([result(self.count + i, target=model, commit_sha="there") for i in range(n)])
        self.count += n
        self.other.seal()

    @rule()
    def seal(self) -> None:
        self.ledger.seal()

    @rule()
    def pull(self) -> None:
        if adoption.adopt(self.ledger, "there", self.other.log.segment_paths(), remote="test"):
            self.pulled += 1

    @rule(crash=st.booleans())
    def pull_without_announcing_it(self, crash: bool) -> None:
        """A pull dies between taking segments in and saying so: they do not count yet."""
        folder = self.ledger.path / "log" / "there"
        folder.mkdir(exist_ok=True)
        for path in self.other.log.segment_paths():
            if not (folder / path.name).exists():
                shutil.copy(path, folder / path.name)

    @rule()
    def catch_up(self) -> None:
        with State.open(self.ledger):
            pass

    @rule()
    def rebuild(self) -> None:
        store.rebuild(self.ledger)

    @rule(name=st.sampled_from([store.BASE_NAME, store.RECENT_NAME]))
    def delete(self, name: str) -> None:
        (self.ledger.path / name).unlink(missing_ok=True)

    @rule(name=st.sampled_from([store.BASE_NAME, store.RECENT_NAME]))
    def spoil(self, name: str) -> None:
        if (self.ledger.path / name).exists():
            (self.ledger.path / name).write_bytes(b"not a database")

    @rule()
    def kill_a_projector(self) -> None:
        """It dies after the new state file is made and before it is put in place."""
        self.ledger.seal()
        real = os.replace

        def die(source: Any, target: Any) -> None:
            if str(target).endswith((store.BASE_NAME, store.RECENT_NAME)):
                raise Killed
            real(source, target)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "replace", die)
            try:
                store.rebuild(self.ledger)
            except Killed:
                return
        raise AssertionError("the projector should have died")

    @invariant()
    def incremental_equals_rebuilt(self) -> None:
        if not hasattr(self, "ledger"):
            return
        with State.open(self.ledger) as live, State.from_log(self.ledger) as rebuilt:
            assert live.export() == rebuilt.export()

    @precondition(lambda self: self.count > 2)
    @rule(data=st.data())
    def as_of_a_prefix_equals_a_ledger_that_holds_only_that(self, data: st.DataObject) -> None:
        events = list(self.ledger.read(origin="here"))
        moment = data.draw(st.sampled_from(events))
        shorter = self.folder / "shorter"
        shutil.rmtree(shorter, ignore_errors=True)
        prefix_of(self.ledger, moment.position, shorter)
        question = "SELECT origin, position, target, latency FROM results ORDER BY origin, position"
        with (
            State.open(self.ledger, as_of=f"{moment.position}@here") as then,
            State.from_log(Ledger.open(shorter)) as only,
        ):
            assert then.rows(question) == only.rows(question)


def prefix_of(ledger: Ledger, position: int, target: Path) -> None:
    """Write a ledger that holds only the first `position` events, and what those had pulled by then."""
    from ledger.log import chain, segment

    folder = target / ".perfledger" / "log" / "here"
    folder.mkdir(parents=True)
    shutil.copy(ledger.path / "ledger.toml", target / ".perfledger" / "ledger.toml")
    (target / ".perfledger" / "evidence").mkdir()
    own = [e for e in ledger.read(origin="here") if e.position <= position]
    (folder / "journal.jsonl").write_bytes(b"".join(chain.to_json(e) + b"\n" for e in own))
    pulled = max((int(e.body()["last"]) for e in own if e.type == "EventsPulled"), default=0)
    theirs = [e for e in ledger.read(origin="there") if e.position <= pulled] if pulled else []
    if theirs:
        (folder.parent / "there").mkdir()
        (folder.parent / "there" / segment.file_name(1)).write_bytes(segment.encode(theirs))


TestReplay = Machine.TestCase
TestReplay.settings = settings(
    max_examples=5, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
)
