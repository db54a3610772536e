"""The commit of a pull request as an announced write: exactly the applied files, found again by its message."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from commands.calibrate.applying.execute import LOCK
from commands.calibrate.config.repository import Repository
from ledger.errors import BadInput, Unavailable
from ledger.event import Event, NewEvent
from ledger.events.calibrations import PullRequestCommitIntended, PullRequestCommitted
from ledger.remotes.retry import RetryPolicy, Unsure
from ledger.sync import announced
from projections.calibration.session import Session

if TYPE_CHECKING:
    from ledger.ledger import Ledger

COMMIT = announced.Kind("PullRequestCommitIntended", frozenset({"PullRequestCommitted"}))


@dataclass(frozen=True)
class Change:
    """What is committed: files below the measured repository, and the first line of the message."""

    root: Path
    files: list[str]
    title: str


def commit(ledger: Ledger, session: Session, change: Change, run_dir: Path) -> str:
    """Commit exactly these files and return the commit; one that an interrupted run made is found, not made again.

    run_dir: how the command line named the session, for the command that finds out.

    Raises `BadInput` when they hold nothing to commit or git refuses it, `OutcomeUnknown` when it cannot be known
    whether it was made, or when it was and could not be recorded.
    """
    intended = PullRequestCommitIntended(
        session=session.id, repo_root=str(change.root), files=change.files, message=_message(session, change.title)
    )
    with announced.alone(ledger, LOCK) as writer:  # nothing is applied to the files meanwhile
        write = _Commit(ledger, session, intended, run_dir)
        left = write.unsettled()
        if left is not None and left.typed() != intended:
            # more was applied since: what was cut off is looked for by itself
            if writer.find_out(write, reason="it is not in the repository"):
                session = msgspec.structs.replace(session, position=ledger.head().position)
            write = _Commit(ledger, session, intended, run_dir)
        writer.carry_out(write)
    return write.sha


def _message(session: Session, title: str) -> str:
    """Return the commit's message. It names the applies whose files it holds, so that no other commit is taken for it.

    As trailers, which hooks of a repository leave where they are.
    """
    applies = dict.fromkeys(str(event.body()["apply"]) for event in session.applied)
    lines = [f"Perfledger-Calibration: {session.id}", *(f"Perfledger-Apply: {apply}" for apply in applies)]
    return "\n".join([title, "", *lines])


@dataclass(frozen=True)
class _Missing:
    """The files that are to be committed."""

    paths: list[str]


class _Commit(announced.Announced[_Missing]):
    """One commit of the applied files. sha: where it is, once that is known."""

    def __init__(self, ledger: Ledger, session: Session, intended: PullRequestCommitIntended, run_dir: Path) -> None:
        root = intended.repo_root
        find_out = f"perfledger calibrate pr-body {run_dir} --commit"
        self.words = announced.Words(f"git in {root}", f"the commit of {', '.join(intended.files)}", find_out)
        self.policy = RetryPolicy(tries_max=1)
        self.seen = {session.stream: session.position}
        self.sha = ""
        self._intended = intended
        self._repository = Repository(Path(root))
        self._stream = session.stream
        self._events = ledger.read_stream(session.stream)

    def unsettled(self) -> Event | None:
        """Return the announcement of a commit that is not known to exist."""
        return announced.unsettled(reversed(self._events), COMMIT)

    def look(self) -> _Missing | None:
        """Look in the repository for the commit that was announced."""
        if not self.sha and isinstance(self.plan, PullRequestCommitIntended):
            known = {event.body()["git_sha"] for event in self._events if event.type in COMMIT.settled}
            # an announced commit is looked for where it was to be made, unless that checkout is gone
            announced_in = Path(self.plan.repo_root)
            repository = Repository(announced_in) if announced_in.is_dir() else self._repository
            self.sha = repository.commit_of(self.plan.files, self.plan.message, but_not=known) or ""
        return None if self.sha else _Missing(self._intended.files)

    def planned(self, missing: _Missing) -> NewEvent:
        """Announce the commit. Raises `BadInput` when there is nothing to commit."""
        if not self._repository.modified(missing.paths):
            raise BadInput(
                f"{', '.join(missing.paths)} have no uncommitted change",
                code="nothing_to_commit",
                hint=f"git -C {self._repository.root} log -1 -- {missing.paths[0]}",
            )
        return NewEvent(stream=self._stream, payload=self._intended)

    def send(self, missing: _Missing) -> list[str]:
        """Commit, whatever else is staged."""
        try:
            self.sha = self._repository.commit(missing.paths, self._intended.message)
        except Unavailable as error:
            raise Unsure(f"did not end: {error.message}") from None
        return missing.paths

    def settle(self, landed: announced.Landed[_Missing]) -> list[NewEvent]:
        """Say which commit it is."""
        del landed
        done = PullRequestCommitted(
            session=self._intended.session, repo_root=self._intended.repo_root, git_sha=self.sha
        )
        return [NewEvent(stream=self._stream, payload=done, git_sha=self.sha)]
