"""Writing to a remote so that it happens once: look, write, look again, and only then say it is done.

The look is what makes a repeat safe. A write whose answer was lost is never repeated before a look has shown
that it did not land, and a write that was answered counts once a look has shown it there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from ledger.errors import BadInput, Conflict, OutcomeUnknown, PerfledgerError, Unavailable
from ledger.remotes.retry import Busy, Moved, Patience, RetryPolicy, Unsure, given_up


class Missing(Protocol):
    """What a look found to be written still."""

    @property
    def paths(self) -> Collection[str]:
        """The files it is about."""
        ...


Plan = TypeVar("Plan", bound=Missing)


@dataclass(frozen=True)
class Landed(Generic[Plan]):
    """How it ended: `plan` is the last that landed, None when a first look showed everything there already."""

    plan: Plan | None
    tries: int


@dataclass(frozen=True)
class Words:
    """The names its errors use: of the remote, of what is written there, and of the command that finds out."""

    remote: str
    target: str
    find_out: str = "perfledger sync push"


def land(
    look: Callable[[], Plan | None], write: Callable[[Plan], object], *, words: Words, policy: RetryPolicy
) -> Landed[Plan]:
    """Write until a look shows that nothing is missing.

    `look` returns what is to be written next, or None when all of it is there. `write` tries that once. Both raise
    `Busy`, `Moved` and `Unsure` as remotes do; a `PerfledgerError` of either ends it.

    Raises `Conflict` when others were first every time, `Unavailable` when the remote stayed busy, `OutcomeUnknown`
    when a write may have landed and no look succeeded since.
    """
    patience = Patience(policy)
    last: _Try[Plan] | None = None  # our last write, unless it is certain that it did not land
    while True:
        try:
            plan = look()
            if plan is None:
                return Landed(last.plan if last else None, patience.tries + 1)
            if last and last.answered and not set(plan.paths).isdisjoint(last.plan.paths):
                raise _swallowed(words)
            last = _Try(plan)
            write(plan)
            last.answered = True
            continue
        except Unsure as failure:
            assert last is not None, "only a write can be unsure"
            cause: Busy | Moved = failure
            last.doubt = failure
        except Moved as failure:
            cause = failure
            last = None
        except Busy as failure:
            cause = failure
            if last and not last.answered and not last.doubt:
                last = None  # refused before anything was done
        except (BadInput, Unavailable) as error:
            if last and last.doubt:
                raise _unknown(words, last.doubt, because=error.message) from None
            raise
        if not patience.wait(cause):
            return _end(look, last, cause, patience.tries, words)


@dataclass
class _Try(Generic[Plan]):
    plan: Plan
    answered: bool = False
    doubt: Busy | None = None


def _end(
    look: Callable[[], Plan | None], last: _Try[Plan] | None, cause: Busy | Moved, tries: int, words: Words
) -> Landed[Plan]:
    """Patience ended: say what is known, after one last look when a write is in doubt."""
    if last and last.answered:
        return Landed(last.plan, tries)  # the remote said so; only the second look failed
    if last and last.doubt:
        try:
            plan = look()
        except (Busy, Moved, BadInput, Unavailable):
            raise _unknown(words, last.doubt, because="it could not be asked since") from None
        if plan is None:
            return Landed(last.plan, tries)
    if isinstance(cause, Moved):
        raise Conflict(
            f"other writes to {words.target} came first {tries} times in a row; nothing was written",
            code="remote_contended",
            tries=tries,
            hint="run it again when fewer machines write",
        ) from None
    raise given_up(cause, words.remote, tries=tries) from None


def _swallowed(words: Words) -> PerfledgerError:
    return Unavailable(
        f"{words.remote} said it took the files, but some are not in {words.target}",
        code="remote_dropped_files",
        hint="look for a .gitignore rule or a clean-up job there that covers them, then run it again",
    )


def _unknown(words: Words, doubt: Busy, *, because: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{words.remote} {doubt.reason} while a write to {words.target} was on its way: it may or may not have landed "
        f"({because})",
        code="upload_unknown",
        hint=f"{words.find_out} looks before it sends; nothing is ever sent twice",
    )
