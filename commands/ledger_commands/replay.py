"""perfledger replay: rebuild every projection from the log, or prove that it would give the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from commands.cli.app import App, command
from ledger.errors import Damaged
from ledger.layout import outside_ledger
from ledger.outside.redaction import without_credentials

if TYPE_CHECKING:
    from ledger.ledger import Ledger


@command("replay")
@click.option("--check", is_flag=True, help="Compare a rebuild with the live projections; exit 7 when they differ.")
@click.option("--into", metavar="URL", help="Fill the same fact tables in sqlite:///FILE or postgresql+psycopg://...")
def replay(app: App, check: bool, into: str | None) -> int:
    """Rebuild all projections from the log. Readers see the old ones until the new ones are whole."""
    ledger = app.ledger()
    if into is not None:
        from projections.state.read_model import file_of, fill

        file = file_of(into)
        if file is not None:
            outside_ledger(file, ledger.path)
        counts = fill(ledger, into)
        app.emit(
            {"into": without_credentials(into), "rows": counts},
            f"{sum(counts.values())} rows in {len(counts)} tables written to {without_credentials(into)}",
        )
        return 0
    if check:
        return _check(app, ledger)
    from projections.state import store

    meta = store.rebuild(ledger)
    app.emit({"events": meta.events, "checkpoint": meta.checkpoint}, f"rebuilt from {meta.events} sealed events")
    return 0


def _check(app: App, ledger: Ledger) -> int:
    from projections.state.state import State

    with State.open(ledger) as state:
        live, reached = state.export(), state.reached()
    with State.from_log(ledger, until=reached) as state:  # others may have written meanwhile: both of one moment
        rebuilt = state.export()
    different = sorted(name for name in live if live[name] != rebuilt.get(name))
    document: dict[str, Any] = {"equal": not different, "different": different, "tables": rebuilt}
    if different:
        raise Damaged(
            f"the live projections differ from a rebuild in {', '.join(different)}",
            code="replay_differs",
            hint="perfledger replay",
            **document,
        )
    rows = sum(int(text.split()[0]) for text in rebuilt.values())
    app.emit(document, f"replay equals live: {len(rebuilt)} fact tables, {rows} rows, byte for byte")
    return 0
