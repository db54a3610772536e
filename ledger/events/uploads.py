"""What leaves this machine: pushes of the ledger itself, and record files put into a dataset others read."""

from __future__ import annotations

from ledger.event import EventPayload, Evidence, event_type


@event_type()
class PushStarted(EventPayload):
    """This ledger's own events are about to be added to a remote.

    after: the last position the remote held; events: how many events wait, notes about syncing not counted.
    endpoint: see `PushFinished`.
    """

    remote: str
    after: int
    events: int
    endpoint: str | None = None


@event_type()
class PushFinished(EventPayload):
    """A look at the remote showed every own event up to `through` there.

    head_hash: the hash of event `through`. revision: the commit that was looked at; null for a store without commits.
    segments, evidence: how many files this push added. endpoint: the address of the Hub it was reached at; null for
    other remotes. token_tag: a keyed digest by which the token used there is known again; null at the public Hub.
    """

    remote: str
    through: int
    head_hash: str
    revision: str | None
    segments: int
    evidence: int
    endpoint: str | None = None
    token_tag: str | None = None


class QueuedRecord(EventPayload):
    """One file of an upload: where it goes, its bytes by digest in the evidence store, and the result it tells of."""

    path: str
    sha256: Evidence
    size: int
    target: str
    result_event_id: str | None = None


@event_type()
class UploadQueued(EventPayload):
    """Record files wait to be put into a dataset, all in one commit.

    dataset: `hf://datasets/OWNER/NAME[/PREFIX]`; the paths of the records are below it. message: of the commit.
    endpoint, token_tag: the Hub it is for; see `PushFinished`.
    """

    dataset: str
    message: str
    records: list[QueuedRecord]
    endpoint: str | None = None
    token_tag: str | None = None


@event_type()
class UploadStarted(EventPayload):
    """A commit of these paths is about to be sent, on top of the commit `parent`."""

    parent: str
    paths: list[str]


@event_type()
class RecordsUploaded(EventPayload):
    """A look at the dataset showed every record of the upload there, with exactly the queued bytes.

    revision: a commit that holds them. parent: the commit ours was made on; null when nothing was left to send.
    written: the paths our commit added; already: those found there.
    """

    revision: str
    parent: str | None
    written: list[str]
    already: list[str]


@event_type()
class UploadRefused(EventPayload):
    """An upload cannot go on by itself and is no longer waiting. code, message: the error that ended it."""

    code: str
    message: str
