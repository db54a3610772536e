"""`check --upload`: judged records go to the dataset that keeps the history, in its own layout and format."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from commands.cli.app import App
from ledger.errors import BadInput

if TYPE_CHECKING:
    from commands.results.judging import Judged
    from ledger.ledger import Ledger
    from ledger.sync.uploads import RecordFile

DATASET_VARIABLE = "HF_REPO_ID"
DEFAULT_DATASET = "FastVideo/performance-tracking"  # what the comparator in use today uploads to when none is named
# `check` does not keep a test run waiting: what is not sent soon is sent by the next `sync push`
TRIES_MAX = 3
WAIT_TOTAL_MAX_S = 10.0


def queue_records(app: App, ledger: Ledger, chosen: Sequence[Judged]) -> None:
    """Queue the judged records of a run for the dataset HF_REPO_ID names, and try to send them now, in one commit.

    A Hub that is away costs a warning, never the verdict: the records wait in the outbox.
    """
    dataset = os.environ.get(DATASET_VARIABLE, DEFAULT_DATASET).strip()
    if not dataset:
        app.note(f"warning: {DATASET_VARIABLE} is empty; no record was queued for upload")
        return
    from ledger.remotes.retry import RetryPolicy
    from ledger.sync.uploads import queue, send_waiting

    try:
        upload_id = queue(ledger, f"hf://datasets/{dataset}", record_files(chosen), message=commit_message(chosen))
    except BadInput as error:  # the name of the dataset is no name
        app.note(f"warning: {DATASET_VARIABLE}: {error.message}; no record was queued for upload")
        return
    policy = RetryPolicy(tries_max=TRIES_MAX, wait_total_max_s=WAIT_TOTAL_MAX_S)
    for sent in send_waiting(ledger, policy=policy, only=upload_id):
        if sent.error is None:
            app.note(f"{sent.records} record(s) are in {sent.dataset} at {(sent.revision or '')[:12]}")
        else:
            app.note(f"warning: {sent.error.message}\n  {sent.records} record(s) {sent.state}; next: {sent.error.hint}")


def record_files(chosen: Sequence[Judged]) -> list[RecordFile]:
    """Return judged records as files of the history: `<model>/<timestamp>_<commit>.json`.

    Two records of one model, time and commit get numbers: neither replaces the other.
    """
    from commands.cli.output import to_json
    from ledger.sync.uploads import RecordFile
    from projections.results.record_shape import tracking_path, unused

    files: dict[str, RecordFile] = {}
    for one in chosen:
        record = one.normalized()
        path = unused(tracking_path(record), files)
        data = (to_json(record) + "\n").encode()
        files[path] = RecordFile(path, data, one.recorded.target, one.recorded.event_id)
    return list(files.values())


def commit_message(chosen: Sequence[Judged]) -> str:
    """Return the commit message: the existing tool's for one record, the same form for several."""
    records = [one.recorded.measured.record for one in chosen]
    commits = {str(record.get("commit_sha") or "unknown")[:7] for record in records}
    models = {" ".join(str(record.get("model_id") or "unknown").split()) for record in records}
    what = models.pop() if len(models) == 1 else f"{len(records)} records"
    return f"Perf: {what} at {commits.pop() if len(commits) == 1 else f'{len(commits)} commits'}"
