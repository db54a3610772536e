"""A write to the outside, announced: one order of steps and one rule of resuming for every kind of it.

    plan      an event says what will be written; durable before anything is sent
    send      the write itself, tried once
    look      whether it is there: before anything is sent, and after every send
    settle    an event says what was written, or that nothing was

A plan that no event settles was cut off, or its answer was lost: the write may or may not have landed. It is looked
for first and never repeated blindly, so a crash at any moment neither loses nor doubles a write. A write that was
not found is sent again under the plan that announces it. Where what happened cannot be known, the plan stays
unsettled, and the command ends with `OutcomeUnknown` (exit 6) and names the command that finds out.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ledger.errors import BadInput, Conflict, OutcomeUnknown, PerfledgerError, Unavailable
from ledger.event import Event, EventPayload, NewEvent
from ledger.log import lock
from ledger.remotes.retry import Busy, Moved, Patience, RetryPolicy, Unsure, given_up

if TYPE_CHECKING:
    from ledger.ledger import Ledger


class HasPaths(Protocol):
    """What a look found to be written still."""

    @property
    def paths(self) -> Collection[str]:
        """The names of it at the place it is written to."""
        ...


Missing = TypeVar("Missing", bound=HasPaths)


@dataclass(frozen=True)
class Kind:
    """The event types of one kind of write.

    named_by: the payload field that pairs a plan with its settling event; None: the newest plan of the stream.
    """

    planned: str
    settled: frozenset[str]
    named_by: str | None = None


def unsettled(newest_first: Iterable[Event], kind: Kind) -> Event | None:
    """Return the newest plan of a kind that no event settles, or None. Reads no further than it must."""
    settled: set[object] = set()
    for event in newest_first:
        name = event.body()[kind.named_by] if kind.named_by and event.type in {kind.planned, *kind.settled} else None
        if event.type in kind.settled:
            settled.add(name)
        elif event.type == kind.planned and name not in settled:
            return event
    return None


@dataclass(frozen=True)
class Words:
    """The names that errors use: of the remote, of what is written there, and of the command that finds out."""

    remote: str
    target: str
    find_out: str


@dataclass(frozen=True)
class Landed(Generic[Missing]):
    """A write that is there: `sent` is the last part this run sent, None when a look found all of it there."""

    sent: Missing | None
    tries: int


class Announced(ABC, Generic[Missing]):
    """One write. A subclass says what is particular to it; the order of the steps is `Writer.carry_out`'s.

    plan, plan_id: the plan that announces it and its event's id; None until there is one.
    seen: the positions of streams that the plan rests on; `Conflict` when one of them moved.
    complete: whether the last send was of all that is missing, so that its answer alone says that the write is there.
    """

    words: Words
    policy: RetryPolicy
    seen: Mapping[str, int] | None = None
    plan: EventPayload | None = None
    plan_id: str | None = None
    complete: bool = True

    @abstractmethod
    def unsettled(self) -> Event | None:
        """Return the plan that an earlier run left without an end. Called once, with the lock held."""

    @abstractmethod
    def look(self) -> Missing | None:
        """Return what is to be written still, or None when all of it is there.

        Raises `Busy` for what may pass, a `PerfledgerError` for what will not: `Conflict` when the world changed so
        that the write must not be done. Without a plan there may be nothing to look for.
        """

    @abstractmethod
    def planned(self, missing: Missing) -> NewEvent:
        """Return the event that announces it. With the payload `self.plan` nothing is announced a second time.

        Raises a `PerfledgerError` to stop before anything is announced or sent.
        """

    @abstractmethod
    def send(self, missing: Missing) -> Collection[str]:
        """Write, once; return the names that a look must find there from now on.

        Raises `Unsure` when the answer was lost, `Moved` when another writer was first and nothing was written, `Busy`
        (not `sent`) when it was not taken, a `PerfledgerError` when it was refused.
        """

    @abstractmethod
    def settle(self, landed: Landed[Missing]) -> Sequence[NewEvent]:
        """Return the events that say what was written; none when nothing was announced."""

    def refused(self, error: PerfledgerError) -> Sequence[NewEvent]:
        """Return the events that say that nothing was written, and why. Without any, the plan stays open to a rerun."""
        del error
        return ()


@contextlib.contextmanager
def alone(ledger: Ledger, name: str) -> Iterator[Writer]:
    """Hold a ledger's writes of one kind to one at a time on this machine, and give what carries them out.

    Another process's plan that is on its way looks just like one that was cut off; whoever holds the lock `name` and
    finds such a plan knows that its writer is gone, because the kernel frees the lock when its holder dies.
    """
    with lock.exclusive(ledger.path / name):
        yield Writer(ledger)


class Writer:
    """Carries announced writes out. Only `alone` gives one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def carry_out(self, write: Announced[Missing]) -> Landed[Missing]:
        """Do everything that is left of a write, and return once a look or its answer has shown it there.

        Raises `Conflict` when others were first every time, `Unavailable` when the place stayed busy, what the write's
        own steps raise, and `OutcomeUnknown` when it may have landed and no look has succeeded since.
        """
        self._resume(write)
        try:
            landed = self._land(write)
        except OutcomeUnknown:
            raise  # the plan stays unsettled: the next run looks first
        except PerfledgerError as error:
            self._append(write.refused(error))
            raise
        self._settle(write, landed)
        return landed

    def find_out(self, write: Announced[Missing], *, reason: str) -> bool:
        """End the plan that an earlier run left: look, and settle it either way; nothing is sent.

        Return whether it had landed. reason: what is said of one that had not. Raises `OutcomeUnknown`.
        """
        self._resume(write)
        patience = Patience(write.policy)
        while True:
            try:
                missing = write.look()
                break
            except Busy as failure:
                if not patience.wait(failure):
                    raise _unknown(write.words, None, because=f"{write.words.remote} {failure.reason}") from None
            except (BadInput, Unavailable) as error:
                raise _unknown(write.words, None, because=error.message) from None
        if missing is None:
            self._settle(write, Landed(None, patience.tries + 1))
            return True
        self._append(write.refused(Unavailable(reason, code="not_found_there")))
        return False

    def _append(self, events: Sequence[NewEvent]) -> None:
        if events:
            self._ledger.append(events)

    def _resume(self, write: Announced[Missing]) -> None:
        left = write.unsettled()
        if left is not None:
            write.plan, write.plan_id = left.typed(), left.event_id

    def _announce(self, write: Announced[Missing], missing: Missing) -> None:
        event = write.planned(missing)
        if write.plan is None or event.payload != write.plan:
            receipt = self._ledger.append([event], seen=write.seen)[0]
            write.plan, write.plan_id = event.payload, receipt.event_id

    def _settle(self, write: Announced[Missing], landed: Landed[Missing]) -> None:
        try:
            self._append(write.settle(landed))
        except (OSError, Unavailable) as error:
            raise OutcomeUnknown(
                f"{write.words.target} is written, and that could not be recorded: {error}",
                code="write_not_recorded",
                hint=f"{write.words.find_out} finds it there and records it; nothing is ever sent twice",
            ) from None

    def _land(self, write: Announced[Missing]) -> Landed[Missing]:
        """Announce, send and look until nothing is missing."""
        patience = Patience(write.policy)
        last: _Try[Missing] | None = None  # our last send, unless it is certain that it did not land
        if write.plan is not None:
            last = _Try(None, doubted=True)
        while True:
            try:
                missing = write.look()
                if missing is None:
                    return Landed(last.missing if last else None, patience.tries + 1)
                if last and last.answered and not set(missing.paths).isdisjoint(last.names):
                    raise _swallowed(write.words)
                last = None  # the look was answered: whatever was sent before is not there
                self._announce(write, missing)
                last = _Try(missing)
                last.names = write.send(missing)
                last.answered = True
                continue
            except Unsure as failure:
                assert last is not None, "only a send can be unsure"
                cause: Busy | Moved = failure
                last.doubted, last.doubt = True, failure
            except Moved as failure:
                cause, last = failure, None
            except Busy as failure:
                cause = failure
                if last and not last.answered and not last.doubted:
                    last = None  # refused before anything was done
            except (BadInput, Unavailable) as error:
                if last and last.doubted:
                    raise _unknown(write.words, last.doubt, because=error.message) from None
                raise
            if not patience.wait(cause):
                return _end(write, last, cause, patience.tries)


@dataclass
class _Try(Generic[Missing]):
    """A send that may have landed. missing: what it was about; None for that of an earlier run."""

    missing: Missing | None
    answered: bool = False
    doubted: bool = False
    doubt: Busy | None = None
    names: Collection[str] = ()


def _end(write: Announced[Missing], last: _Try[Missing] | None, cause: Busy | Moved, tries: int) -> Landed[Missing]:
    """Patience ended: say what is known, after one last look when a write is in doubt."""
    if last and last.answered and write.complete:
        return Landed(last.missing, tries)  # the remote said so; only the second look failed
    if last and last.doubted:
        try:
            missing = write.look()
        except (Busy, Moved, BadInput, Unavailable):
            raise _unknown(write.words, last.doubt, because="it could not be asked since") from None
        if missing is None:
            return Landed(last.missing, tries)
    if isinstance(cause, Moved):
        raise Conflict(
            f"other writes to {write.words.target} came first {tries} times in a row; nothing was written",
            code="remote_contended",
            tries=tries,
            hint="run it again when fewer machines write",
        ) from None
    raise given_up(cause, write.words.remote, tries=tries) from None


def _swallowed(words: Words) -> PerfledgerError:
    return Unavailable(
        f"{words.remote} said it took the files, but some are not in {words.target}",
        code="remote_dropped_files",
        hint="look for a .gitignore rule or a clean-up job there that covers them, then run it again",
    )


def _unknown(words: Words, doubt: Busy | None, *, because: str) -> OutcomeUnknown:
    """doubt: how the answer was lost; None when an earlier run ended before there was one."""
    how = (
        f"{words.remote} {doubt.reason} while a write to {words.target} was on its way"
        if doubt
        else f"a write to {words.target} was announced and cut off"
    )
    return OutcomeUnknown(
        f"{how}: it may or may not have landed ({because})",
        code="upload_unknown",
        hint=f"{words.find_out} looks before it sends; nothing is ever sent twice",
    )
