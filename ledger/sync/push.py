"""Push: everything of our own that a remote lacks, in one commit where the store has commits."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path

from ledger.errors import Conflict
from ledger.event import EventPayload, NewEvent
from ledger.events.uploads import PushFinished, PushStarted
from ledger.ledger import Ledger
from ledger.log import lock
from ledger.log.segment import SegmentInfo, first_of, info
from ledger.remotes.landing import Words, land
from ledger.remotes.remote import Remote, Snapshot, Taken, Upload
from ledger.remotes.retry import asking
from ledger.sync import checkpoint, outbox


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
class _Plan:
    snapshot: Snapshot
    upload: Upload

    @property
    def paths(self) -> Collection[str]:
        return self.upload.additions or [self.upload.checkpoint_path]


def push(ledger: Ledger, remote: Remote, *, say: Callable[[str], None] = lambda _: None) -> PushReport:
    """Add to a remote what it lacks of this ledger's own events and evidence.

    Repeating it is always safe: it looks first. Raises `Conflict` (code `forked_origin`) when the remote holds other
    events under our origin's name, and what `land` raises.
    """
    with lock.exclusive(ledger.path / "sync.lock"):
        snapshot = asking(remote.snapshot, remote.policy, name=remote.url)
        covered = asking(lambda: _covered(ledger, remote, snapshot), remote.policy, name=remote.url)
        waits = outbox.waiting(ledger, after=covered)
        unfinished = outbox.unfinished_push(ledger, remote.url)
        if not waits.events and not _plan(ledger, remote, snapshot, covered):
            if unfinished:  # it landed, and its process died before it could say so
                _finished(ledger, remote, snapshot.revision, _last_sealed(ledger))
            return PushReport(remote.url, snapshot.revision, covered, 0, 0, 0, waits.notes, 1)
        remote.require_write_access()
        say(f"{waits.events:,} events wait to be pushed to {remote.url}")
        if not unfinished:
            endpoint = remote.address.endpoint if remote.address else None
            started = PushStarted(remote=remote.url, after=covered, events=waits.events, endpoint=endpoint)
            _note(ledger, remote, started)
        ledger.seal()
        return _publish(ledger, remote, snapshot, waits.events)


def _publish(ledger: Ledger, remote: Remote, first_look: Snapshot, events: int) -> PushReport:
    head = _last_sealed(ledger)
    looked = [first_look]
    seen = first_look
    sent: set[str] = set()  # over all commits of this push

    def look() -> _Plan | None:
        nonlocal seen
        seen = looked.pop() if looked else remote.snapshot()
        return _plan(ledger, remote, seen, _covered(ledger, remote, seen), through=head)

    def write(plan: _Plan) -> None:
        sent.update(plan.upload.additions)
        try:
            remote.publish(plan.snapshot, plan.upload)
        except Taken as taken:
            position = first_of(taken.path.rpartition("/")[2]) or 0
            raise checkpoint.forked(ledger.origin, remote.url, own=True, position=position) from None

    done = land(look, write, words=Words(remote.url, remote.url), policy=remote.policy)
    segments = sum(path.startswith("log/") for path in sent)
    evidence = len(sent) - segments
    _finished(ledger, remote, seen.revision, head, segments=segments, evidence=evidence)
    return PushReport(remote.url, seen.revision, head.last, events, segments, evidence, 1, done.tries)


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


def _plan(
    ledger: Ledger, remote: Remote, snapshot: Snapshot, covered: int, through: SegmentInfo | None = None
) -> _Plan | None:
    """Return what the remote lacks of the sealed log up to `through` (default: all of it), or None.

    Evidence comes first: no event may stand there without what it cites. A segment that is there and that the
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
    limit = remote.files_per_write
    part = dict(list(additions.items())[:limit])
    reached = _reached(part, covered, head, whole=len(part) == len(additions))
    upload = Upload(
        part,
        checkpoint.path_of(ledger.origin),
        checkpoint.encode(reached) if reached else None,
        f"{ledger.origin}: to position {reached.last:,}" if reached else f"{ledger.origin}: evidence",
    )
    return _Plan(snapshot, upload)


def _reached(part: dict[str, Path], covered: int, head: SegmentInfo, *, whole: bool) -> SegmentInfo | None:
    """Return where the log ends once `part` is there; None when that is where the checkpoint stands already."""
    if whole:
        return head
    ends = [info(local) for path, local in part.items() if path.startswith("log/")]
    return ends[-1] if ends and ends[-1].last > covered else None


def _finished(
    ledger: Ledger, remote: Remote, revision: str | None, head: SegmentInfo, *, segments: int = 0, evidence: int = 0
) -> None:
    _note(
        ledger,
        remote,
        PushFinished(
            remote=remote.url,
            through=head.last,
            head_hash=head.head_hash,
            revision=revision,
            segments=segments,
            evidence=evidence,
            **(asdict(remote.address) if remote.address else {}),
        ),
    )


def _note(ledger: Ledger, remote: Remote, payload: EventPayload) -> None:
    ledger.append([NewEvent(stream=outbox.stream_of(remote.url), payload=payload)])
