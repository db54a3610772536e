"""Slash commands of received comments are decided from the log, and the decision is an event.

The desk reads what is new in the log, so a comment whose decision a crash cut off is decided at the
next start; the decision's key makes it one, whoever decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from commands.ci.chosen import Chosen, choose, default
from ledger.event import Event, NewEvent
from ledger.events.checks import CommandDecided, CommentReceived, PullRequestObserved
from projections.ci import slash

if TYPE_CHECKING:
    from ledger.ledger import Ledger

TYPES = ("PullRequestObserved", "CommentReceived", "CommandDecided", "CiPolicyAdopted")


class _Head(msgspec.Struct, frozen=True, order=True):
    at: str
    recorded_at: str
    sha: str
    ref: str


class CommandDesk:
    """Folds the log into what deciding needs: heads of pull requests, the policy, open comments.

    `decided` is called when new decisions are in the log.
    """

    def __init__(self, decided: Callable[[], None] | None = None) -> None:
        self._notify = decided
        self._read_to: dict[str, int] = {}
        self._heads: dict[tuple[str, int], _Head] = {}
        self._open: dict[tuple[str, int], CommentReceived] = {}
        self._decided: set[tuple[str, int]] = set()
        self._policy: Chosen | None = None

    def after(self, ledger: Ledger, events: Sequence[NewEvent]) -> None:
        """Decide what is open, when there may be something: at the start, and when a comment came."""
        if not events or any(isinstance(event.payload, CommentReceived) for event in events):
            self.decide(ledger)

    def decide(self, ledger: Ledger) -> int:
        """Read what is new and decide every open comment. Return how many decisions were recorded."""
        self._catch_up(ledger)
        chosen = self._policy or default()
        new = [event for comment in self._open.values() for event in self.decisions(chosen, comment)]
        self._open.clear()
        count = sum(not receipt.duplicate for receipt in ledger.append(new)) if new else 0
        if count and self._notify is not None:
            self._notify()
        return count

    def decisions(self, chosen: Chosen, comment: CommentReceived) -> list[NewEvent]:
        """Return the decision events of one comment; none when it holds no command."""
        head = self._heads.get((comment.repository, comment.number))
        asker = slash.Asker(author=comment.author, association=comment.association)
        target = slash.Target(number=comment.number, ref=head.ref if head else None, sha=head.sha if head else None)
        found = []
        for item, decision in enumerate(slash.decide_all(chosen.policy, comment.body, asker, target), start=1):
            found.append(
                NewEvent(
                    stream=f"pull/{comment.repository}/{comment.number}",
                    key=f"command/{comment.repository}/{comment.comment_id}/{item}",
                    payload=CommandDecided(
                        repository=comment.repository,
                        number=comment.number,
                        comment_id=comment.comment_id,
                        item=item,
                        policy=chosen.digest,
                        **msgspec.structs.asdict(decision),
                    ),
                )
            )
        return found

    def _catch_up(self, ledger: Ledger) -> None:
        adopted = False
        for origin in ledger.origins():
            head = ledger.head(origin).position
            for event in ledger.read(origin=origin, after=self._read_to.get(origin, 0), types=TYPES):
                adopted = adopted or event.type == "CiPolicyAdopted"
                if ledger.counts(event):
                    self._take(event)
            self._read_to[origin] = head
        if adopted:
            self._policy = choose(ledger, None)

    def _take(self, event: Event) -> None:
        payload = event.typed()
        if isinstance(payload, PullRequestObserved):
            head = _Head(payload.updated_at or event.recorded_at, event.recorded_at, payload.head_sha, payload.head_ref)
            key = (payload.repository, payload.number)
            self._heads[key] = max(head, self._heads.get(key, head))
        elif isinstance(payload, CommentReceived) and (payload.repository, payload.comment_id) not in self._decided:
            self._open[payload.repository, payload.comment_id] = payload
        elif isinstance(payload, CommandDecided):
            self._decided.add((payload.repository, payload.comment_id))
            self._open.pop((payload.repository, payload.comment_id), None)
