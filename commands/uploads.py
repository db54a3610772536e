"""The outbox of record files: queued by `check --upload`, sent in one commit a run, kept while the Hub is away.

Records go where the existing dataset keeps them, in its own layout: `<model>/<timestamp>_<commit>.json`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from commands.common import App
from ledger.errors import BadInput, Conflict, PerfledgerError
from ledger.event import EventPayload, NewEvent
from ledger.events.uploads import QueuedRecord, RecordsUploaded, UploadQueued, UploadRefused, UploadStarted

if TYPE_CHECKING:
    from commands.judging import Judged
    from ledger.ledger import Ledger
    from ledger.remotes.hub_files import Committed
    from ledger.remotes.retry import RetryPolicy
    from ledger.sync.outbox import QueuedUpload

DATASET_VARIABLE = "HF_REPO_ID"
DEFAULT_DATASET = "FastVideo/performance-tracking"  # what the comparator in use today uploads to when none is named
# `check` does not keep a test run waiting: what is not sent soon is sent by the next `sync push`
CHECK_TRIES_MAX = 3
CHECK_WAIT_MAX_S = 10.0


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


def queue_records(app: App, ledger: Ledger, chosen: Sequence[Judged]) -> None:
    """Queue judged records for the dataset HF_REPO_ID names and try to send them now.

    A Hub that is away costs a warning, never the verdict: the records wait in the outbox.
    """
    dataset = os.environ.get(DATASET_VARIABLE, DEFAULT_DATASET).strip()
    if not dataset:
        app.note(f"warning: {DATASET_VARIABLE} is empty; no record was queued for upload")
        return
    upload_id = queue(ledger, chosen, f"hf://datasets/{dataset}")
    from ledger.remotes.retry import RetryPolicy

    policy = RetryPolicy(tries_max=CHECK_TRIES_MAX, wait_total_max_s=CHECK_WAIT_MAX_S)
    for sent in send_waiting(ledger, policy=policy, only=upload_id):
        if sent.error is None:
            app.note(f"{sent.records} record(s) are in {sent.dataset} at {(sent.revision or '')[:12]}")
        else:
            app.note(f"warning: {sent.error.message}\n  {sent.records} record(s) {sent.state}; next: {sent.error.hint}")


def queue(ledger: Ledger, chosen: Sequence[Judged], dataset: str) -> str:
    """Append one `UploadQueued` for the records of a run and return the upload's id. The same content queues once."""
    from commands.output import to_json
    from ledger.remotes.hub import DatasetUrl
    from projections.record_shape import tracking_path

    url = str(DatasetUrl.parse(dataset))
    contents: dict[str, bytes] = {}
    about: list[tuple[str, Judged]] = []
    for one in chosen:
        record = one.normalized()
        path = _free(tracking_path(record), contents)
        contents[path] = (to_json(record) + "\n").encode()
        about.append((path, one))
    digests = ledger.evidence.put_many(list(contents.values()))
    records = [
        QueuedRecord(path=path, sha256=digest, size=len(contents[path]), target=one.recorded.target,
                     result_event_id=one.recorded.event_id)
        for (path, one), digest in zip(about, digests, strict=True)
    ]
    key = sha256("\n".join([url, *(f"{r.path} {r.sha256}" for r in records)]).encode()).hexdigest()
    upload_id = secrets.token_hex(8)
    payload = UploadQueued(dataset=url, message=_message(chosen), records=records)
    receipt = ledger.append([NewEvent(stream=f"upload/{upload_id}", payload=payload, key=f"upload/{key}")])[0]
    return ledger.event(receipt.event_id).stream.partition("/")[2] if receipt.duplicate else upload_id


def send_waiting(ledger: Ledger, *, policy: RetryPolicy | None = None, only: str | None = None,
                 say: Callable[[str], None] = lambda _: None) -> list[Sent]:
    """Send what waits in the outbox, oldest first, one commit per upload. One that fails does not stop the others."""
    from ledger import lock
    from ledger.sync import outbox

    with lock.exclusive(ledger.path / "outbox.lock"):
        done = []
        for upload in outbox.waiting_uploads(ledger):
            if only in (None, upload.upload_id):
                say(f"{len(upload.records)} record(s) wait for {upload.dataset}")
                done.append(_send(ledger, upload, policy))
        return done


def _send(ledger: Ledger, upload: QueuedUpload, policy: RetryPolicy | None) -> Sent:
    sent = Sent(upload.upload_id, upload.dataset, len(upload.records), "waiting")
    try:
        committed = _commit(ledger, upload, policy)
    except Conflict as error:
        sent.error = error
        if error.code == "upload_path_taken":  # asking again cannot change it
            sent.state = "refused"
            _note(ledger, upload, UploadRefused(code=error.code, message=error.message))
        return sent
    except PerfledgerError as error:
        sent.error = error
        return sent
    _note(ledger, upload, RecordsUploaded(revision=committed.revision, parent=committed.parent,
                                          written=committed.written, already=committed.already))
    sent.state, sent.revision, sent.written = "uploaded", committed.revision, committed.written
    return sent


def _commit(ledger: Ledger, upload: QueuedUpload, policy: RetryPolicy | None) -> Committed:
    from ledger.remotes.hub import DatasetUrl, HubRepo
    from ledger.remotes.hub_files import commit_files

    url = DatasetUrl.parse(upload.dataset)
    prefix = f"{url.prefix}/" if url.prefix else ""
    files = {prefix + record["path"]: ledger.evidence.get(record["sha256"]) for record in upload.records}
    return commit_files(
        HubRepo(url.repo_id), files, message=upload.message, policy=policy,
        before_commit=lambda parent: _note(ledger, upload, UploadStarted(parent=parent, paths=list(files))),
    )


def _note(ledger: Ledger, upload: QueuedUpload, payload: EventPayload) -> None:
    ledger.append([NewEvent(stream=f"upload/{upload.upload_id}", payload=payload)])


def _free(path: str, taken: dict[str, bytes]) -> str:
    """Return the path, numbered when a record of the same model, time and commit took it in this run."""
    number, candidate = 1, path
    while candidate in taken:
        number += 1
        candidate = f"{path.removesuffix('.json')}_{number}.json"
    return candidate


def _message(chosen: Sequence[Judged]) -> str:
    """Return the commit message: the existing tool's for one record, the same form for several."""
    if not chosen:
        raise BadInput("no record to upload", code="nothing_to_upload", hint="perfledger check FILE --upload always")
    records = [one.recorded.measured.record for one in chosen]
    commits = {str(record.get("commit_sha") or "unknown")[:7] for record in records}
    models = {" ".join(str(record.get("model_id") or "unknown").split()) for record in records}
    what = models.pop() if len(models) == 1 else f"{len(records)} records"
    return f"Perf: {what} at {commits.pop() if len(commits) == 1 else f'{len(commits)} commits'}"
