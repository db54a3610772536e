"""Push: all events and evidence of this origin that a remote lacks, in one commit where the store has commits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ledger.errors import Conflict
from ledger.event import Event, EventPayload, NewEvent
from ledger.events.uploads import PushFinished, PushStarted
from ledger.ledger import Ledger
from ledger.log.segment import SegmentInfo, first_of, info
from ledger.proofs.keys import SigningKey
from ledger.remotes.remote import Remote, Snapshot, Taken, Upload
from ledger.sync import announced, checkpoint, outbox, signed


@dataclass(frozen=True)
class PushReport:
    """What a push did. `through` is the last own position the remote holds; `notes` stay for the next push."""

    remote: str
    revision: str | None
    through: int
    events: int
    segments: int
    evidence: int
    notes: int
    tries: int


@dataclass(frozen=True)
class _Missing:
    """What a look at the remote found. upload: what it lacks of the sealed log; None before this push has sealed."""

    snapshot: Snapshot
    covered: int
    upload: Upload | None = None

    @property
    def paths(self) -> Collection[str]:
        return _names(self.upload) if self.upload else ()


def push(ledger: Ledger, remote: Remote, *, say: Callable[[str], None] = lambda _: None) -> PushReport:
    """Add to a remote what it lacks of this ledger's own events and evidence.

    Repeating it is always safe: it looks first. Raises `Conflict` (code `forked_origin`) when the remote holds other
    events under our origin's name, and what `Writer.carry_out` raises.
    """
    with announced.alone(ledger, "sync.lock") as writer:
        pushed = _Push(ledger, remote, say)
        landed = writer.carry_out(pushed)
        return pushed.report(landed.tries)


class _Push(announced.Announced[_Missing]):
    """One push: of what waited when it began, in as many commits as the remote's size of a write asks for."""

    def __init__(self, ledger: Ledger, remote: Remote, say: Callable[[str], None]) -> None:
        self.words = announced.Words(remote.url, remote.url, "perfledger sync push")
        self.policy = remote.policy
        self._ledger = ledger
        self._remote = remote
        self._say = say
        self._head: SegmentInfo | None = None  # the end of what is pushed, once it is sealed
        self._seen: Snapshot | None = None
        self._waiting = outbox.Waiting(0, 0, 0)
        self._sent: set[str] = set()  # over all commits of this push
        self._key: SigningKey | None = None

    def unsettled(self) -> Event | None:
        """Return the last push to this remote if it is not known to have ended."""
        return outbox.unfinished_push(self._ledger, self._remote.url)

    def look(self) -> _Missing | None:
        """List the remote, and compare it with what waits, or with what this push has sealed."""
        snapshot = self._seen = self._remote.snapshot()
        covered = _covered(self._ledger, self._remote, snapshot)
        if self._head is None:
            self._waiting = outbox.waiting(self._ledger, after=covered)
            if self._waiting.events:
                return _Missing(snapshot, covered)
        upload = _lacking(self._ledger, self._remote, snapshot, covered, through=self._head)
        return _Missing(snapshot, covered, upload) if upload else None

    def planned(self, missing: _Missing) -> NewEvent:
        """Announce the push; refused without a token."""
        self._remote.require_write_access()
        if self._head is None:
            self._say(f"{self._waiting.events:,} events wait to be pushed to {self._remote.url}")
            self._key = signed.key_of(self._ledger, say=self._say)  # before the seal: the log names it
        endpoint = self._remote.address.endpoint if self._remote.address else None
        if isinstance(self.plan, PushStarted) and self.plan.endpoint == endpoint:
            # one announcement for all commits of a push, and for the push that carries on with one that was cut off
            return self._note(self.plan)
        events = self._waiting.events
        return self._note(PushStarted(remote=self._remote.url, after=missing.covered, events=events, endpoint=endpoint))

    def send(self, missing: _Missing) -> Collection[str]:
        """Add what is missing, up to one write's number of files, and set the checkpoint. Seals first."""
        upload = missing.upload
        if self._head is None:
            self._ledger.seal()  # after the announcement, which travels with what it announces
            self._head = _last_sealed(self._ledger)
            upload = _lacking(self._ledger, self._remote, missing.snapshot, missing.covered, through=self._head)
        assert upload is not None, "what waits is in the segment that was just sealed"
        self.complete = upload.checkpoint == checkpoint.encode(self._head)  # else it is one part of several
        if self.complete:
            upload = replace(upload, signed=signed.files(self._ledger, self._key, self._head.last))
        self._sent.update(upload.additions)
        try:
            self._remote.publish(missing.snapshot, upload)
        except Taken as taken:
            position = first_of(taken.path.rpartition("/")[2]) or 0
            raise checkpoint.forked(self._ledger.origin, self._remote.url, own=True, position=position) from None
        return _names(upload)

    def settle(self, landed: announced.Landed[_Missing]) -> Sequence[NewEvent]:
        """Say how far the remote is now."""
        del landed  # what it sent is counted over all its commits
        if self.plan is None:
            return ()
        assert self._seen is not None
        head = self._head or _last_sealed(self._ledger)
        segments = sum(path.startswith("log/") for path in self._sent)
        return [
            self._note(
                PushFinished(
                    remote=self._remote.url,
                    through=head.last,
                    head_hash=head.head_hash,
                    revision=self._seen.revision,
                    segments=segments,
                    evidence=len(self._sent) - segments,
                    **(asdict(self._remote.address) if self._remote.address else {}),
                )
            )
        ]

    def report(self, tries: int) -> PushReport:
        """Say what was done, after it was."""
        assert self._seen is not None
        url, revision, waiting = self._remote.url, self._seen.revision, self._waiting
        if self._head is None:
            return PushReport(url, revision, waiting.after, 0, 0, 0, waiting.notes, 1)
        segments = sum(path.startswith("log/") for path in self._sent)
        evidence = len(self._sent) - segments
        return PushReport(url, revision, self._head.last, waiting.events, segments, evidence, 1, tries)

    def _note(self, payload: EventPayload) -> NewEvent:
        return NewEvent(stream=outbox.stream_of(self._remote.url), payload=payload)


def _names(upload: Upload) -> Collection[str]:
    return upload.additions or [upload.checkpoint_path]


def _last_sealed(ledger: Ledger) -> SegmentInfo:
    return info(ledger.log.segment_paths()[-1])


def _covered(ledger: Ledger, remote: Remote, snapshot: Snapshot) -> int:
    """Return the last own position the remote's checkpoint vouches for, after checking that it is our chain."""
    there = [path for path in ledger.log.segment_paths() if f"log/{ledger.origin}/{path.name}" in snapshot.files]
    found = checkpoint.read(remote, snapshot, ledger.origin, expected=info(there[-1]) if there else None)
    if found is None:
        return 0
    here = checkpoint.hash_here(ledger, ledger.origin, found.position)
    if here is None:
        head = ledger.head().position
        raise Conflict(
            f"{remote.url} holds {found.position:,} events of {ledger.origin}, this ledger only {head:,}: it was "
            "restored from an older copy, or another copy of it pushed; nothing was pushed",
            code="forked_origin",
            origin=ledger.origin,
            remote=remote.url,
            position=head + 1,
            hint="`perfledger init NEWDIR --origin NEWNAME`, then `sync pull` there: it gets all that was pushed",
        )
    if here != found.hash:
        raise checkpoint.forked(ledger.origin, remote.url, own=True, position=found.position)
    return found.position


def _lacking(
    ledger: Ledger, remote: Remote, snapshot: Snapshot, covered: int, *, through: SegmentInfo | None
) -> Upload | None:
    """Return what the remote lacks of the sealed log up to `through` (None: all of it), or None.

    Evidence comes first: no event may be stored there without what it cites. A segment that is there and that the
    checkpoint covers is not opened, so a push costs the same however long the history is.
    """
    additions: dict[str, Path] = {}
    for relative in ledger.evidence.files():
        path = f"evidence/{relative.as_posix()}"
        if relative.parts[0] in (ledger.origin, "sha256") and path not in snapshot.files:
            additions[path] = ledger.evidence.root / relative
    sealed = ledger.log.segment_paths()
    head = through or (info(sealed[-1]) if sealed else None)
    for local, following in zip(sealed, [*sealed[1:], None], strict=True):
        first, path = first_of(local.name) or 0, f"log/{ledger.origin}/{local.name}"
        if head is None or first > head.last:
            break
        there = snapshot.files.get(path)
        end = (first_of(following.name) or 0) - 1 if following else info(local).last
        if there is None:
            additions[path] = local
        elif end > covered and not there.has_digest:
            additions[path] = local  # left by a push that died before its checkpoint: put-if-absent compares it
        elif end > covered and not there.is_content(local.read_bytes()):
            raise checkpoint.forked(ledger.origin, remote.url, own=True, position=first)
    if head is None or (not additions and covered >= head.last):
        return None
    part = dict(list(additions.items())[: remote.files_per_write])
    reached = _reached(part, covered, head, whole=len(part) == len(additions))
    return Upload(
        part,
        checkpoint.path_of(ledger.origin),
        checkpoint.encode(reached) if reached else None,
        f"{ledger.origin}: to position {reached.last:,}" if reached else f"{ledger.origin}: evidence",
    )


def _reached(part: dict[str, Path], covered: int, head: SegmentInfo, *, whole: bool) -> SegmentInfo | None:
    """Return where the log ends once `part` is there; None when the checkpoint is already at that position."""
    if whole:
        return head
    ends = [info(local) for path, local in part.items() if path.startswith("log/")]
    return ends[-1] if ends and ends[-1].last > covered else None
