"""`perfledger import github-action-benchmark` and `asv`: the histories of other benchmark tools."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.cli.app import App, command
from commands.imports.hf_tracking import BATCH_EVENTS, Report, append_batch, report_text
from commands.intake.formats import asv as asv_format
from commands.intake.formats import github_action_benchmark as action_format
from commands.intake.formats.measured import Measured, Unreadable
from commands.intake.recording import recorded_event
from ledger.errors import BadInput
from ledger.event import NewEvent
from ledger.outside.files import read_bytes

if TYPE_CHECKING:
    from ledger.ledger import Ledger


@command("github-action-benchmark")
@click.argument("file", type=click.Path(exists=True, dir_okay=False), metavar="data.js")
def github_action_benchmark(app: App, file: str) -> int:
    """Import the data.js of github-action-benchmark.

    Each bench becomes a target SUITE/NAME@unknown; time units become latency in seconds, rates
    throughput, sizes memory in MB. Importing again adds only new runs.
    """
    data = read_bytes(file)
    try:
        value = action_format.parse(data)
    except Unreadable as error:
        raise BadInput(
            f"{file}: {error}", code="unreadable_history", hint="give the data.js of a gh-pages branch", file=file
        ) from None
    ledger = app.ledger()
    report = Report(source=action_format.source_of(value, os.path.realpath(file)), files=1)
    points = list(action_format.points(value))
    if not any(isinstance(found, Measured) for _, found in points):
        why = f"the first of {len(points)} benches: {points[0][1]}" if points else "no suite has a run with benches"
        raise BadInput(
            f"{file} holds no result to import under `entries`: {why}; nothing was recorded",
            code="nothing_to_import",
            hint="give the data.js of a gh-pages branch",
            file=file,
        )
    _bring_in(app, ledger, points, report)
    app.emit(report.as_dict(), lambda: report_text(report))
    return 0


@command("asv")
@click.argument("folder", type=click.Path(exists=True, file_okay=False), metavar="RESULTS_DIR")
def asv(app: App, folder: str) -> int:
    """Import the results folder of airspeed velocity (the one with benchmarks.json and a folder per machine).

    Each benchmark and parameter combination becomes a target NAME(PARAMS)@MACHINE/ENVIRONMENT.
    """
    root = Path(folder)
    files = asv_format.files(root)
    if not files:
        raise _no_asv(folder, "there is no MACHINE/COMMIT-ENVIRONMENT.json in it")
    known = asv_format.benchmarks(root)
    ledger = app.ledger()
    report = Report(source=f"asv:{os.path.realpath(folder)}", files=len(files))
    found = (one for path in files for one in asv_format.points(path, path.relative_to(root).as_posix(), known))
    _bring_in(app, ledger, found, report)
    unread = {row["path"]: row["reason"] for row in report.skipped}
    first, *_ = (path.relative_to(root).as_posix() for path in files)
    if all(path.relative_to(root).as_posix() in unread for path in files):
        raise _no_asv(folder, f"{len(files)} JSON files looked at, the first, {first}, is {unread[first]}")
    app.emit(report.as_dict(), lambda: report_text(report))
    return 0


def _no_asv(folder: str, why: str) -> BadInput:
    return BadInput(
        f"{folder} holds no asv result files: {why}; nothing was recorded",
        code="nothing_to_import",
        hint="give the `results` folder of the asv project",
        file=folder,
    )


def _bring_in(app: App, ledger: Ledger, points: Iterable[tuple[str, Measured | str]], report: Report) -> None:
    """Append every point as a result, in batches; what is no result is reported with its reason."""
    events: list[NewEvent] = []
    pieces: list[bytes] = []
    with app.progress(points, label=f"importing {report.source}") as progress:
        for path, found in progress:
            if isinstance(found, str):
                report.skipped.append({"path": path, "reason": found})
                continue
            events.append(recorded_event(found, source=report.source))
            pieces.append(found.data)
            if len(events) >= BATCH_EVENTS:
                append_batch(ledger, events, pieces, report)
                events, pieces = [], []
        append_batch(ledger, events, pieces, report)
