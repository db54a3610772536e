"""`perfledger import hf-tracking`: a folder (or Hub dataset) of normalized records becomes events.

One record per JSON file. Importing again adds what is new; a file whose bytes changed or that is gone is
an event of its own, never a silent update. A broken file is skipped and said, and hides no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.cli.app import App, command
from commands.imports.folder_scan import Found, Stat, cache_path, list_records, read_cache, source_of, write_cache
from commands.intake.formats import normalized
from commands.intake.formats.measured import Measured, Unreadable, parse_object
from commands.intake.recording import recorded_event
from ledger.errors import BadInput
from ledger.event import NewEvent
from ledger.events.results import RecordRewritten, RecordVanished, ResultRecorded
from ledger.outside.files import read_bytes

if TYPE_CHECKING:
    from ledger.ledger import Ledger

FORMAT = "hf-tracking"
BATCH_EVENTS = 5_000
BATCH_BYTES = 24 * 2**20
SHOWN = 10


@dataclass
class Report:
    """What an import did; the same object is the JSON answer."""

    source: str
    files: int = 0
    recorded: int = 0
    unchanged: int = 0
    targets: set[str] = field(default_factory=set)
    rewritten: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    unusable: list[dict[str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {**self.__dict__, "targets": len(self.targets)}


@dataclass(frozen=True)
class Known:
    """What the ledger has of a path: the content it last saw there (None: it saw it gone), and which change said so.

    recorded: that content is a result here; a file that was rewritten into something broken was seen and is none.
    """

    sha256: str | None
    change_id: str = ""
    recorded: bool = True


@command("hf-tracking")
@click.argument("history", metavar="DIR|hf://...")
def hf_tracking(app: App, history: str) -> int:
    """Import a history of normalized records: DIR/<model>/<time>_<commit>.json, as performance dashboards
    keep them, or the dataset hf://datasets/OWNER/NAME[@REVISION].

    A folder without one is refused, unless records of it were imported before: then they are reported as gone.
    """
    ledger = app.ledger()
    report = import_history(app, ledger, history)
    if not report.files and not history.startswith("hf://") and not _known_files(ledger, report.source):
        raise BadInput(
            f"{history} holds no records: there is no *.json in it or in a folder below; nothing was recorded",
            code="nothing_to_import",
            hint="give the folder that holds MODEL/TIME_COMMIT.json",
        )
    app.emit(report.as_dict(), lambda: report_text(report))
    return 0


def import_history(app: App, ledger: Ledger, history: str) -> Report:
    """Bring a folder or a Hub dataset of records in. Raises `BadInput` when `history` is not a folder."""
    if history.startswith("hf://"):
        from commands.imports.hub_mirror import download_history

        folder = download_history(ledger, history, app.note)
        return import_folder(app, ledger, folder, source=history.partition("@")[0])
    if not Path(history).is_dir():
        raise BadInput(f"{history} is not a folder of records", code="not_a_folder", hint="check the path")
    return import_folder(app, ledger, history)


def import_folder(app: App, ledger: Ledger, root: str | Path, *, source: str | None = None) -> Report:
    """Bring a folder's records in and return what happened; `source` names the history, see `source_of`."""
    name = source or source_of(root)
    report = Report(source=name)
    files = list_records(root)
    report.files = len(files)
    place = cache_path(ledger.path, name)
    remembered = read_cache(place, head_position=ledger.head().position)
    stale = [f for f in files if (remembered.get(f.relative) or (None,))[0] != f.stat]
    gone = remembered.keys() - {f.relative for f in files}
    report.unchanged = len(files) - len(stale)
    if not stale and not gone and remembered:
        return report
    known = _known_files(ledger, name)
    digests = {path: digest for path, (_, digest) in remembered.items()}
    _bring_in(app, ledger, stale, known, report, digests)
    _tell_vanished(ledger, known, {f.relative for f in files}, report)
    settled: dict[str, tuple[Stat, str]] = {
        f.relative: (f.stat, digests[f.relative]) for f in files if f.settled and f.relative in digests
    }
    write_cache(place, settled, head_position=ledger.head().position)
    return report


def _known_files(ledger: Ledger, source: str) -> dict[str, Known]:
    """Return what the ledger knows of each path of a source, the last change of a path winning."""
    from projections.state.state import State

    with State.open(ledger) as state:
        rows = state.rows(
            """SELECT path, sha256, NULL AS change_id, recorded_at, origin, position
               FROM fact_result JOIN fact_result_shared USING (shared) WHERE source = $source
               UNION ALL
               SELECT path, new_sha256, event_id, recorded_at, origin, position FROM fact_record_change
               WHERE source = $source
               ORDER BY recorded_at, origin, position""",
            {"source": source},
        )
    known: dict[str, Known] = {}
    results = {(row["path"], row["sha256"]) for row in rows if row["change_id"] is None}
    for row in rows:
        before = known.get(row["path"])
        # a rewrite is told before its new content is recorded: the change is what later imports build on
        change = row["change_id"] or (before.change_id if before else "")
        known[row["path"]] = Known(row["sha256"], change, (row["path"], row["sha256"]) in results)
    return known


def _bring_in(
    app: App,
    ledger: Ledger,
    files: Sequence[Found],
    known: dict[str, Known],
    report: Report,
    digests: dict[str, str],
) -> None:
    events: list[NewEvent] = []
    pieces: list[bytes] = []
    size = 0
    with app.progress(files, label=f"importing {report.source}", length=len(files)) as progress:
        for found in progress:
            try:
                data = read_bytes(found.absolute)
            except OSError as error:
                report.skipped.append({"path": found.relative, "reason": error.strerror or str(error)})
                continue
            made = _events_of(found.relative, data, known, report)
            if not (report.skipped and report.skipped[-1]["path"] == found.relative):
                # a broken file stays unknown, so that every import reads and names it again
                digests[found.relative] = sha256(data).hexdigest()
            if made:
                events += made
                pieces.append(data)
                size += 2 * len(data)
            if len(events) >= BATCH_EVENTS or size >= BATCH_BYTES:
                append_batch(ledger, events, pieces, report)
                events, pieces, size = [], [], 0
        append_batch(ledger, events, pieces, report)


def _events_of(path: str, data: bytes, known: dict[str, Known], report: Report) -> list[NewEvent]:
    """Return the events a file makes: its new content, after a note when it replaces other content."""
    digest = sha256(data).hexdigest()
    before = known.get(path)
    same = before is not None and before.sha256 == digest
    if same and before and before.recorded:
        report.unchanged += 1
        return []
    events: list[NewEvent] = []
    if before and before.sha256 is not None and not same:
        report.rewritten.append(path)
        events.append(
            NewEvent(
                stream=f"import/{report.source}",
                key=f"rewritten/{report.source}/{path}/{digest}/{before.change_id}",
                payload=RecordRewritten(source=report.source, path=path, old_sha256=before.sha256, new_sha256=digest),
            )
        )
    measured = _read(path, data, report)
    if measured is not None:
        events.append(recorded_event(measured, source=report.source))
    return events


def _read(path: str, data: bytes, report: Report) -> Measured | None:
    try:
        value = parse_object(data)
    except Unreadable as error:
        report.skipped.append({"path": path, "reason": str(error)})
        return None
    measured = normalized.read(value, data=data, path=path, format_name=FORMAT)
    report.unusable += [{"path": path, "field": name, "reason": why} for name, why in measured.unusable.items()]
    return measured


def append_batch(ledger: Ledger, events: list[NewEvent], pieces: list[bytes], report: Report) -> None:
    """Store the original bytes, then append the events, and count them in the report."""
    if not events:
        return
    ledger.evidence.put_many(pieces)
    receipts = ledger.append(events)
    for event, receipt in zip(events, receipts, strict=True):
        if isinstance(event.payload, ResultRecorded):
            report.targets.add(event.payload.target)
            report.recorded += not receipt.duplicate
            report.unchanged += receipt.duplicate


def _tell_vanished(ledger: Ledger, known: dict[str, Known], present: set[str], report: Report) -> None:
    events: list[NewEvent] = []
    for path, before in known.items():
        if path not in present and before.sha256 is not None:
            report.vanished.append(path)
            events.append(
                NewEvent(
                    stream=f"import/{report.source}",
                    key=f"vanished/{report.source}/{path}/{before.sha256}/{before.change_id}",
                    payload=RecordVanished(source=report.source, path=path, sha256=before.sha256),
                )
            )
    for start in range(0, len(events), BATCH_EVENTS):
        ledger.append(events[start : start + BATCH_EVENTS])


def report_text(report: Report) -> str:
    """Return what an import did, for people."""
    lines = [
        f"{report.recorded} recorded, {report.unchanged} known already, of {report.files} files of {report.source}"
    ]
    if report.targets:
        lines.append(f"{len(report.targets)} targets: perfledger baseline list")
    lines += _some("rewritten since the last import", report.rewritten)
    lines += _some("gone since the last import (their results stay)", report.vanished)
    lines += _some("skipped", [f"{row['path']}: {row['reason']}" for row in report.skipped])
    lines += _some("not kept", [f"{row['path']}: field {row['field']}: {row['reason']}" for row in report.unusable])
    return "\n".join(lines)


def _some(title: str, rows: Sequence[str]) -> list[str]:
    if not rows:
        return []
    shown = [f"  {row}" for row in rows[:SHOWN]]
    more = [f"  and {len(rows) - SHOWN} more; --json lists all"] if len(rows) > SHOWN else []
    return [f"{title}: {len(rows)}", *shown, *more]
