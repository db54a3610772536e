"""The outbox of record files: queued once, sent in one commit per upload, kept while the Hub is away."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from ledger.errors import Conflict, PerfledgerError
from ledger.event import EventPayload, NewEvent
from ledger.events.uploads import QueuedRecord, RecordsUploaded, UploadQueued, UploadRefused, UploadStarted
from ledger.ledger import Ledger
from ledger.log import lock
from ledger.remotes.hub import DatasetUrl, HubRepo
from ledger.remotes.hub_access import access_to, address_now
from ledger.remotes.hub_files import Committed, commit_files
from ledger.remotes.hub_session import DEFAULT_ENDPOINT
from ledger.remotes.retry import RetryPolicy
from ledger.sync import outbox


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
    with lock.exclusive(ledger.path / "outbox.lock"):
        done = []
        for upload in outbox.waiting_uploads(ledger):
            if only in (None, upload.upload_id):
                say(f"{len(upload.records)} record(s) wait for {upload.dataset}")
                done.append(_send(ledger, upload, policy, endpoint))
        return done


def _send(ledger: Ledger, upload: outbox.QueuedUpload, policy: RetryPolicy | None, endpoint: str | None) -> Sent:
    sent = Sent(upload.upload_id, upload.dataset, len(upload.records), "waiting")
    try:
        committed = _commit(ledger, upload, policy, endpoint)
    except PerfledgerError as error:
        sent.error = error
        if isinstance(error, Conflict) and error.code == "upload_path_taken":  # asking again cannot change it
            sent.state = "refused"
            _note(ledger, upload, UploadRefused(code=error.code, message=error.message))
        return sent
    _note(
        ledger,
        upload,
        RecordsUploaded(
            revision=committed.revision, parent=committed.parent, written=committed.written, already=committed.already
        ),
    )
    sent.state, sent.revision, sent.written = "uploaded", committed.revision, committed.written
    return sent


def _commit(ledger: Ledger, upload: outbox.QueuedUpload, policy: RetryPolicy | None, endpoint: str | None) -> Committed:
    url = DatasetUrl.parse(upload.dataset)
    prefix = f"{url.prefix}/" if url.prefix else ""
    files: Mapping[str, bytes] = {
        prefix + record["path"]: ledger.evidence.get(record["sha256"]) for record in upload.records
    }
    return commit_files(
        HubRepo(url.repo_id, access=access_to(upload.dataset, upload.address, chosen=endpoint)),
        files,
        message=upload.message,
        policy=policy,
        before_commit=lambda parent: _note(ledger, upload, UploadStarted(parent=parent, paths=list(files))),
    )


def _note(ledger: Ledger, upload: outbox.QueuedUpload, payload: EventPayload) -> None:
    ledger.append([NewEvent(stream=f"upload/{upload.upload_id}", payload=payload)])
