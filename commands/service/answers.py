"""Answers to slash commands go out within seconds: a thread beside the receiver posts what was decided.

It works from the log through the outbox, so an answer that a crash cut off is looked for and posted by the
next start, and never twice. Decisions older than a day are left alone: they are `ci publish --answers`'s.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from commands.ci.work.api import GitHubApi
from commands.ci.work.outbox import Outbox
from commands.ci.work.posts import Post, answer_posts
from ledger.errors import PerfledgerError
from ledger.events.checks import CommandDecided
from ledger.identifiers import parse_time

if TYPE_CHECKING:
    from ledger.ledger import Ledger

AGE_SECONDS_MAX = 86_400
RETRY_SECONDS = 30.0
WAIT_SECONDS_MAX = 60.0


class _Open(msgspec.Struct, frozen=True):
    """A post that is not known to stand there yet, and what its outbox needs to know."""

    post: Post
    repository: str
    policy: str


class Answerer:
    """Posts decisions of this ledger's own origin. `trouble` is the last reason something was not posted."""

    def __init__(self, path: Path, actor: str | None, *, api_url: str, token: str) -> None:
        self.path = path
        self.actor = actor
        self.api_url = api_url
        self.token = token
        self.trouble: str | None = None
        self._open: list[_Open] = []
        self._read_to = 0
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="answers", daemon=True)

    def start(self) -> None:
        """Begin; what was decided before is looked through first."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there may be something to post."""
        self._wake.set()

    def stop(self) -> None:
        """End after the post that is on its way."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        from ledger.ledger import Ledger

        ledger = Ledger.open(self.path, actor=self.actor)
        while not self._stopping:
            self._wake.clear()
            try:
                self._take_new(ledger)
                self._post(ledger)
            except PerfledgerError as error:
                self.trouble = error.message
            self._wake.wait(RETRY_SECONDS if self._open else None)

    def _take_new(self, ledger: Ledger) -> None:
        """Read the decisions since the last time."""
        head = ledger.head().position
        new = ledger.read(origin=ledger.origin, after=self._read_to, types=["CommandDecided"])
        for event in filter(ledger.counts, new):
            decided = event.typed()
            if isinstance(decided, CommandDecided) and _age_s(event.recorded_at) < AGE_SECONDS_MAX:
                self._open += [
                    _Open(post, decided.repository, decided.policy) for post in answer_posts(decided, event.event_id)
                ]
        self._read_to = head

    def _post(self, ledger: Ledger) -> None:
        """Try every open post once; keep those that are not known to stand there."""
        if not self._open:
            return
        api = GitHubApi(self.api_url, self.token, wait_s_max=WAIT_SECONDS_MAX)
        left: list[_Open] = []
        self.trouble = None
        try:
            for item in self._open:
                if self._stopping:
                    return
                outbox = Outbox(ledger, destination=api.base_url, repository=item.repository, policy=item.policy)
                for sent in outbox.send(api, [item.post]):
                    if sent.outcome in ("failed", "unknown"):
                        self.trouble = f"{sent.kind} {sent.subject}: {sent.reason}"
                        left.append(item)
        finally:
            api.close()
        self._open = left


def _age_s(recorded_at: str) -> float:
    return time.time() - parse_time(recorded_at) / 1_000_000
