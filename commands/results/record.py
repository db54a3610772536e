"""`perfledger record`: results become events, without a verdict."""

from __future__ import annotations

import os
from typing import Any

import click

from commands.cli.app import App, command
from commands.intake.formats.detect import FORMATS, find_files, read_file
from commands.intake.formats.measured import refuse_unusable
from commands.intake.recording import record_results
from ledger.errors import Inconclusive


@command("record")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="How the files are written.",
)
def record(app: App, files: tuple[str, ...], format_name: str) -> int:
    """Record results as events, without judging them.

    A FILE is a raw result (perf_*.json), a normalized record, or a folder of them. The same content
    recorded twice is one event. The original bytes are kept as evidence.
    """
    paths = find_files(files)
    if not paths:
        raise Inconclusive(
            "no result file was found; nothing was recorded", code="nothing_measured", hint="check the path"
        )
    ledger = app.ledger()
    results = [read_file(path, format_name=format_name, env=os.environ) for path in paths]
    for measured in results:
        refuse_unusable(measured)
    recorded = record_results(ledger, results)
    rows: list[dict[str, Any]] = [
        {
            "path": r.measured.path,
            "event_id": r.event_id,
            "target": r.target,
            "format": r.measured.format,
            "duplicate": r.duplicate,
            "unusable": r.measured.unusable,
        }
        for r in recorded
    ]
    for row in rows:
        for name, reason in row["unusable"].items():
            app.note(f"warning: {row['path']}: field {name} was not kept: {reason}")
    new = sum(not row["duplicate"] for row in rows)
    lines = [
        f"{'known   ' if row['duplicate'] else 'recorded'}  {row['target']}  {row['event_id']}  {row['path']}"
        for row in rows
    ]
    app.emit({"recorded": new, "known": len(rows) - new, "results": rows}, "\n".join(lines))
    return 0
