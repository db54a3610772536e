"""`perfledger calibrate purge`: repeats stop counting and may be measured again.

A purge is an event and takes a whole unit: all stages that one pytest run measured. The values stay
in the log; only the run files go.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from commands.calibrate.measuring.purging import Purge, purge_events
from commands.calibrate.session_options import open_session, run_dir_options
from commands.cli.app import App, command
from commands.cli.numbers import Whole
from ledger.errors import BadInput
from projections.calibration.session import Session, Unit, units_of
from projections.calibration.worst_of_n import STRICT, missing_reason, strict_cell


def chosen(
    session: Session, *, stages: tuple[str, ...], repeats: tuple[int, ...], stale: bool, incomplete: bool
) -> list[Purge]:
    """Return what to purge: named repeats, those of another commit, or those that are not strict.

    A condition met by one stage takes the repeat of its whole unit. Raises `BadInput` for a stage or
    repeat the session does not have, and when nothing was chosen by any option.
    """
    unknown = sorted(set(stages) - set(session.stages))
    if unknown:
        raise BadInput(
            f"no stage {', '.join(unknown)} in this session",
            code="unknown_stage",
            hint="one of: " + ", ".join(session.stages),
        )
    if not (repeats or stale or incomplete):
        raise BadInput(
            "say what to purge; nothing was done",
            code="nothing_chosen",
            hint="--repeat K, --stale (another commit) or --incomplete (not strict)",
        )
    found: list[Purge] = []
    for unit in units_of(session.plan):
        if stages and not set(stages) & set(unit.keys):
            continue
        observed = sorted({r for key in unit.keys for r in session.rounds(key)})
        for repeat in observed:
            reason = _reason(session, unit, repeat, repeats, stale=stale, incomplete=incomplete)
            if reason:
                found.append(Purge(unit, repeat, reason))
    known = {r for key in session.stages for r in session.rounds(key)}
    absent = sorted(set(repeats) - known)
    if absent:
        raise BadInput(
            f"no repeat {', '.join(map(str, absent))} was observed",
            code="unknown_repeat",
            hint=f"observed: {', '.join(map(str, sorted(known))) or 'none'}",
        )
    return found


def _reason(
    session: Session, unit: Unit, repeat: int, repeats: tuple[int, ...], *, stale: bool, incomplete: bool
) -> str:
    if repeat in repeats:
        return "asked for"
    for stage in unit.stages:
        seen = session.observations.get((stage.key, repeat))
        if stale and seen is not None and not seen.commits:
            return f"{stage.key} names no commit"
        if stale and seen is not None and not set(seen.commits) <= session.accepted_commits:
            return f"{stage.key} was measured on {seen.commits[0][:8]}"
        aside = session.set_aside(stage.key, repeat)
        if incomplete and not aside and strict_cell(stage, seen) != STRICT:
            return f"{stage.key}: {missing_reason(stage, seen)}"
    return ""


@dataclass(frozen=True)
class Asked:
    """What the options of `purge` say."""

    run_dir: Path
    stages_yaml: Path | None
    repo_root: Path | None
    stages: tuple[str, ...]
    repeats: tuple[int, ...]
    stale: bool
    incomplete: bool
    dry_run: bool


@command("purge", asks=Asked)
@run_dir_options
@click.option("--stage", "stages", multiple=True, help="Only the units of these stages.")
@click.option("--repeat", "repeats", type=Whole(1), multiple=True, help="This repeat.")
@click.option("--stale", is_flag=True, help="Every repeat that is not of the calibration commit.")
@click.option("--incomplete", is_flag=True, help="Every repeat that is not strict.")
@click.option("--dry-run", is_flag=True, help="Show what would be purged; change nothing.")
def purge(app: App, asked: Asked) -> None:
    """Set repeats aside for all stages of their unit, as events, and remove their run files."""
    opened = open_session(app, asked.run_dir, stages_yaml=asked.stages_yaml, repo_root=asked.repo_root)
    session, directory = opened.session, opened.directory
    purges = chosen(session, stages=asked.stages, repeats=asked.repeats, stale=asked.stale, incomplete=asked.incomplete)
    events = purge_events(session, purges)
    if purges and not asked.dry_run:
        opened.ledger.append(events, seen={session.stream: session.position})
        cells = [(key, item.repeat) for item in purges for key in item.unit.keys]
        if directory is not None:
            for key, repeat in cells:
                directory.remove_run_file(key, repeat)
    document = {
        "session": session.id,
        "dry_run": asked.dry_run,
        "purged": [
            {"unit": p.unit.name, "repeat": p.repeat, "stages": list(p.unit.keys), "reason": p.reason} for p in purges
        ],
    }
    verb = "would purge" if asked.dry_run else "purged"
    lines = [f"{verb} {p.unit.name} run{p.repeat}: {p.reason}" for p in purges]
    app.emit(document, "\n".join(lines) or "nothing to purge")
