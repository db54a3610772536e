"""What waits to leave this machine. It is the log itself, so it is known without contacting a server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ledger.errors import BadInput
from ledger.event import Event
from ledger.ledger import Ledger
from ledger.log import segment
from ledger.remotes.hub_access import HubAddress, access_to
from ledger.remotes.open import check_url, open_remote
from ledger.remotes.remote import Remote
from ledger.remotes.retry import RetryPolicy
from ledger.sync import announced

REMOTE_VARIABLE = "PERFLEDGER_REMOTE"
FOREVER = "~"  # behind every recorded time; functions with `until` answer as of that time, the time itself included

# Notes about syncing travel with the next event of substance. Alone they do not make a push: else two ledgers that
# push and pull on a timer would send each other notes about notes for ever.
NOTES = frozenset({"EventsPulled", "PushStarted", "PushFinished"})

PUSH = announced.Kind("PushStarted", frozenset({"PushFinished"}))
UPLOAD = announced.Kind("UploadStarted", frozenset({"RecordsUploaded", "UploadRefused"}))


@dataclass(frozen=True)
class Waiting:
    """Own events that a remote does not have yet: how many of substance, how many notes, and where they begin."""

    events: int
    notes: int
    after: int


def stream_of(remote: str) -> str:
    """Return the stream in which pushes to a remote are noted."""
    return f"remote/{remote}"


def waiting(ledger: Ledger, *, after: int, until: str = FOREVER) -> Waiting:
    """Count own events after a position."""
    events = notes = 0
    for event in ledger.read(origin=ledger.origin, after=after):
        if event.recorded_at > until:
            break
        if event.type in NOTES:
            notes += 1
        else:
            events += 1
    return Waiting(events, notes, after)


def newest(
    ledger: Ledger, types: set[str], *, stream: str | None = None, remote: str | None = None, until: str = FOREVER
) -> Event | None:
    """Return the newest own event of some types. Looks from the end: what is asked for here is rarely far back."""

    def fits(event: Event) -> bool:
        if event.recorded_at > until or event.why_unreadable() is not None:
            return False
        return remote in (None, event.body().get("remote"))

    for event in reversed(ledger.log.tail()):
        if event.type in types and stream in (None, event.stream) and fits(event):
            return event
    for path in reversed(ledger.log.segment_paths()):
        found = [event for event in segment.read(path, stream=stream, types=types) if fits(event)]
        if found:
            return found[-1]
    return None


def last_push(ledger: Ledger, remote: str, *, until: str = FOREVER) -> Event | None:
    """Return the newest `PushFinished` of this ledger to a remote."""
    return newest(ledger, {"PushFinished"}, stream=stream_of(remote), until=until)


def unfinished_push(ledger: Ledger, remote: str, *, until: str = FOREVER) -> Event | None:
    """Return the plan of the last push to a remote if it is not known to have ended."""
    last = newest(ledger, {PUSH.planned, *PUSH.settled}, stream=stream_of(remote), until=until)
    return announced.unsettled([last] if last else [], PUSH)


def pulled(ledger: Ledger, *, until: str) -> dict[str, int]:
    """Return how far pulls had brought each other origin by a time."""
    found: dict[str, int] = {}
    for event in ledger.read_counted(origin=ledger.origin, types=["EventsPulled"]):
        if event.recorded_at <= until:
            body = event.body()
            found[str(body["from_origin"])] = int(body["last"])
    return dict(sorted(found.items()))


def default_remote(ledger: Ledger, *, until: str = FOREVER) -> str | None:
    """Return the remote to use when none is named: PERFLEDGER_REMOTE, else the one last pushed to or pulled from."""
    named = os.environ.get(REMOTE_VARIABLE, "").strip()
    if named:
        return named
    last = newest(ledger, {"PushFinished", "EventsPulled"}, until=until)
    return str(last.body()["remote"]) if last is not None else None


def last_address(ledger: Ledger, remote: str, *, until: str = FOREVER) -> HubAddress | None:
    """Return the Hub a remote was last reached at; None when it was not, or by a version that kept no note of it.

    The tag is of the token that was last accepted there: a push that only began may have had a wrong one.
    """
    stream = stream_of(remote)
    pulled = newest(ledger, {"EventsPulled"}, remote=remote, until=until)
    pushed = newest(ledger, {"PushFinished"}, stream=stream, until=until)
    begun = newest(ledger, {"PushStarted"}, stream=stream, until=until)
    accepted = _later(pushed, pulled)
    found = _later(accepted, begun)
    if found is None:
        return None
    last = _address(found.body())
    known = _address(accepted.body()) if accepted else None
    return known if known and last and known.endpoint == last.endpoint else last


def _later(one: Event | None, other: Event | None) -> Event | None:
    return max((event for event in (one, other) if event), key=lambda event: event.position, default=None)


def _address(body: dict[str, Any]) -> HubAddress | None:
    endpoint = body.get("endpoint")
    return HubAddress(endpoint, body.get("token_tag")) if endpoint else None


def open_known(
    ledger: Ledger, remote: str, *, endpoint: str | None = None, create: bool = False, policy: RetryPolicy | None = None
) -> Remote:
    """Open a remote where this ledger last reached it, or at the Hub `endpoint`. Raises what `access_to` raises."""
    url, access = check_url(remote), None
    if url.startswith("hf://"):
        access = access_to(url, last_address(ledger, url), chosen=endpoint)
    elif endpoint:
        raise BadInput(
            f"{url} is not on a Hub, so --endpoint does not apply to it",
            code="no_hub_remote",
            hint="leave --endpoint out, or name hf://datasets/OWNER/NAME with --remote",
        )
    return open_remote(url, create=create, policy=policy, access=access)


def require_remote(ledger: Ledger, named: str | None) -> str:
    """Return the remote to use. Raises `BadInput` when none was ever named."""
    remote = named or default_remote(ledger)
    if not remote:
        raise BadInput(
            "no remote is known yet",
            code="no_remote",
            hint="perfledger sync push --remote hf://datasets/OWNER/NAME (or s3://..., file:///...); "
            f"later ones are remembered. {REMOTE_VARIABLE} works too",
        )
    return remote


@dataclass(frozen=True)
class QueuedUpload:
    """An upload of record files and how far it got: `queued`, `started`, `uploaded` or `refused`."""

    upload_id: str
    state: str
    dataset: str
    message: str
    records: list[dict[str, Any]]
    queued_at: str
    position: int
    address: HubAddress | None = None
    ended: dict[str, Any] | None = None


_STATES = {
    "UploadQueued": "queued",
    "UploadStarted": "started",
    "RecordsUploaded": "uploaded",
    "UploadRefused": "refused",
}


def uploads(ledger: Ledger, *, until: str = FOREVER) -> Iterator[QueuedUpload]:
    """Yield every upload of this ledger, in the order they were queued, folded from its events."""
    found: dict[str, QueuedUpload] = {}
    for event in ledger.read_counted(origin=ledger.origin, types=list(_STATES)):
        if event.recorded_at > until:
            break
        body = event.body()
        if event.type == "UploadQueued":
            found[event.stream] = QueuedUpload(
                event.stream.partition("/")[2],
                "queued",
                body["dataset"],
                body["message"],
                body["records"],
                event.recorded_at,
                event.position,
                _address(body),
            )
        elif event.stream in found:
            known = found[event.stream]
            found[event.stream] = QueuedUpload(
                known.upload_id,
                _STATES[event.type],
                known.dataset,
                known.message,
                known.records,
                known.queued_at,
                event.position,
                known.address,
                body if event.type in ("RecordsUploaded", "UploadRefused") else None,
            )
    yield from found.values()


def waiting_uploads(ledger: Ledger, *, until: str = FOREVER) -> list[QueuedUpload]:
    """Return the uploads that are still to be sent."""
    return [upload for upload in uploads(ledger, until=until) if upload.state in ("queued", "started")]
