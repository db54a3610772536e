"""The outbox of record files: queued once, sent in one commit per upload, kept while the Hub is away."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from ledger.errors import Conflict, PerfledgerError
from ledger.event import Event, EventPayload, NewEvent
from ledger.events.uploads import QueuedRecord, RecordsUploaded, UploadQueued, UploadRefused, UploadStarted
from ledger.ledger import Ledger
from ledger.remotes.hub import DatasetUrl, HubRepo
from ledger.remotes.hub_access import access_to, address_now
from ledger.remotes.hub_files import Absent, NewFiles
from ledger.remotes.hub_session import DEFAULT_ENDPOINT
from ledger.remotes.retry import RetryPolicy, default_policy
from ledger.sync import announced, outbox


@dataclass(frozen=True)
class RecordFile:
    """A file to upload: where it goes in the dataset, its bytes, and the result it tells of."""

    path: str
    data: bytes
    target: str
    result_event_id: str | None = None


@dataclass
class Sent:
    """How one upload ended: `uploaded`, or `waiting` or `refused` with the error."""

    upload_id: str
    dataset: str
    records: int
    state: str
    revision: str | None = None
    written: list[str] = field(default_factory=list)
    error: PerfledgerError | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        row = {name: value for name, value in self.__dict__.items() if name != "error"}
        row["error"] = {"code": self.error.code, "message": self.error.message} if self.error else None
        return row


def queue(ledger: Ledger, dataset: str, files: Sequence[RecordFile], *, message: str) -> str:
    """Put files into the outbox, to be one commit, and return the upload's id. Durable when this returns.

    dataset: `hf://datasets/OWNER/NAME[/PREFIX]`; the paths are below it. The same files for the same place are
    queued once, whatever is said about them.
    """
    assert files and len({file.path for file in files}) == len(files), "an upload has files, each path once"
    url = str(DatasetUrl.parse(dataset))
    digests = ledger.evidence.put_many([file.data for file in files])
    records = [
        QueuedRecord(
            path=file.path, sha256=digest, size=len(file.data), target=file.target, result_event_id=file.result_event_id
        )
        for file, digest in zip(files, digests, strict=True)
    ]
    address = address_now()
    place = url if address is None or address.endpoint == DEFAULT_ENDPOINT else f"{url} at {address.endpoint}"
    key = sha256("\n".join([place, *(f"{record.path} {record.sha256}" for record in records)]).encode()).hexdigest()
    upload_id = secrets.token_hex(8)
    where = asdict(address) if address else {}
    payload = UploadQueued(dataset=url, message=message, records=records, **where)
    receipt = ledger.append([NewEvent(stream=f"upload/{upload_id}", payload=payload, key=f"upload/{key}")])[0]
    return ledger.event(receipt.event_id).stream.partition("/")[2] if receipt.duplicate else upload_id


def send_waiting(
    ledger: Ledger,
    *,
    policy: RetryPolicy | None = None,
    only: str | None = None,
    endpoint: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Sent]:
    """Send what waits, oldest first, one commit per upload. One that fails does not stop the others.

    Each goes to the Hub it was queued for, or to `endpoint` where that is given.

    Safe to repeat after any crash: an upload that was begun is looked for before it is sent.
    """
    with announced.alone(ledger, "outbox.lock") as writer:
        done = []
        for upload in outbox.waiting_uploads(ledger):
            if only in (None, upload.upload_id):
                say(f"{len(upload.records)} record(s) wait for {upload.dataset}")
                done.append(_send(writer, ledger, upload, policy or default_policy(), endpoint))
        return done


def _send(
    writer: announced.Writer,
    ledger: Ledger,
    queued: outbox.QueuedUpload,
    policy: RetryPolicy,
    endpoint: str | None,
) -> Sent:
    sent = Sent(queued.upload_id, queued.dataset, len(queued.records), "waiting")
    try:
        upload = _Upload(ledger, queued, policy, endpoint)
        landed = writer.carry_out(upload)
    except PerfledgerError as error:
        sent.error = error
        if _cannot_succeed(error):
            sent.state = "refused"
        return sent
    committed = upload.files.committed(landed.sent)
    sent.state, sent.revision, sent.written = "uploaded", committed.revision, committed.written
    return sent


class _Upload(announced.Announced[Absent]):
    """One queued upload: its record files, in one commit."""

    def __init__(self, ledger: Ledger, queued: outbox.QueuedUpload, policy: RetryPolicy, endpoint: str | None) -> None:
        url = DatasetUrl.parse(queued.dataset)
        prefix = f"{url.prefix}/" if url.prefix else ""
        repo = HubRepo(url.repo_id, access=access_to(queued.dataset, queued.address, chosen=endpoint))
        files = {prefix + record["path"]: ledger.evidence.get(record["sha256"]) for record in queued.records}
        self.files = NewFiles(repo, files)
        self.words = announced.Words(repo.name, repo.repo_id, "perfledger sync push")
        self.policy = policy
        self._ledger = ledger
        self._queued = queued
        self._stream = f"upload/{queued.upload_id}"

    def unsettled(self) -> Event | None:
        """Return the announcement of a commit that is not known to have landed."""
        if self._queued.state != "started":
            return None
        events = list(self._ledger.read_counted(origin=self._ledger.origin, stream=self._stream))
        return announced.unsettled(reversed(events), outbox.UPLOAD)

    def look(self) -> Absent | None:
        """Return the records that are not in the dataset."""
        return self.files.look()

    def planned(self, missing: Absent) -> NewEvent:
        """Announce the commit, on the commit it is made on."""
        return self._note(UploadStarted(parent=missing.parent, paths=missing.paths))

    def send(self, missing: Absent) -> Collection[str]:
        """Commit the records."""
        return self.files.send(missing, message=self._queued.message)

    def settle(self, landed: announced.Landed[Absent]) -> Sequence[NewEvent]:
        """Say where the records are."""
        done = self.files.committed(landed.sent)
        return [
            self._note(
                RecordsUploaded(revision=done.revision, parent=done.parent, written=done.written, already=done.already)
            )
        ]

    def refused(self, error: PerfledgerError) -> Sequence[NewEvent]:
        """End an upload that no waiting can help."""
        if not _cannot_succeed(error):
            return ()
        return [self._note(UploadRefused(code=error.code, message=error.message))]

    def _note(self, payload: EventPayload) -> NewEvent:
        return NewEvent(stream=self._stream, payload=payload)


def _cannot_succeed(error: PerfledgerError) -> bool:
    """Whether asking again cannot change the answer."""
    return isinstance(error, Conflict) and error.code == "upload_path_taken"
