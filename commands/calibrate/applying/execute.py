"""Carries an apply out, in an order that a crash between any two steps cannot hurt.

    1. evidence: every file's bytes before and after          2. event: ThresholdApplyPlanned
    3. each file: replaced as a whole, then its ThresholdApplied events
    4. event: ThresholdApplyFinished

Whoever comes later and finds a planned apply that is not finished knows from the digests which files
have their new bytes, and either writes the rest or puts the old bytes back. A file that has neither
is somebody else's work and stops both.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from commands.calibrate.applying.decisions import Decision
from commands.calibrate.applying.plan import ApplyPlan
from commands.calibrate.applying.targets import Rewrite
from commands.calibrate.applying.write_value import percent_change
from commands.literals.files import remove_leftovers, replace_file
from ledger.errors import Conflict
from ledger.event import Event, NewEvent
from ledger.events.thresholds import (
    FileRewrite,
    ThresholdApplied,
    ThresholdApplyFinished,
    ThresholdApplyPlanned,
    ThresholdChange,
)
from ledger.ledger import Ledger
from ledger.log.lock import exclusive
from projections.calibration.session import STREAM_PREFIX
from projections.calibration.worst_of_n import direction

LOCK = "apply.lock"


def planned_event(
    ledger: Ledger, plan: ApplyPlan, rewrites: Sequence[Rewrite], decisions: Sequence[Decision], mode: str
) -> ThresholdApplyPlanned:
    """Keep the bytes of every file as evidence and return what says that they will be written."""
    session = plan.session
    files = []
    for rewrite in rewrites:
        before = ledger.evidence.put(rewrite.before, "text/x-python")
        after = ledger.evidence.put(rewrite.after, "text/x-python")
        files.append(FileRewrite(file=rewrite.relative, before_sha256=before, after_sha256=after))
    return ThresholdApplyPlanned(
        apply=secrets.token_hex(8),
        calibration=session.id,
        commit=session.plan.calibration_git_sha,
        repo_root=str(plan.root),
        mode=mode,
        files=files,
        changes=[_change(plan, rewrite, decision) for rewrite in rewrites for decision in rewrite.decisions],
        kept=[each.metric.name for each in decisions if each.action == "keep"],
    )


def _change(plan: ApplyPlan, rewrite: Rewrite, decision: Decision) -> ThresholdChange:
    metric = decision.metric
    assert metric.site is not None and decision.text is not None
    observations = plan.session.observations
    return ThresholdChange(
        file=rewrite.relative,
        symbol=metric.symbol,
        subkey=metric.subkey,
        literal=metric.literal,
        old=metric.current,
        new=decision.value,
        old_text=metric.site.text,
        new_text=decision.text,
        worst_op=metric.worst_op,
        direction=direction(metric.worst_op, metric.current, decision.value),
        percent=percent_change(metric.current, decision.value),
        group=metric.stage.group,
        stage=metric.stage.key,
        metric=metric.metric.key,
        worst_raw=metric.worst,
        evidence_event_ids=list(dict.fromkeys(observations[metric.stage.key, k].event_id for k in metric.repeats)),
    )


def alone(ledger: Ledger) -> contextlib.AbstractContextManager[None]:
    """Hold this ledger's applies to one at a time; the kernel frees it when its holder dies.

    Whoever holds it and finds an announced, unfinished apply knows that its writer is gone.
    """
    return exclusive(ledger.path / LOCK)


def announce(ledger: Ledger, planned: ThresholdApplyPlanned, position: int) -> Event:
    """Append the plan of the write. Raises `Conflict` when the session moved since it was read."""
    stream = STREAM_PREFIX + planned.calibration
    event = NewEvent(
        stream=stream,
        payload=planned,
        key=f"apply-planned/{planned.apply}",
        git_sha=planned.commit or None,
    )
    receipt = ledger.append([event], seen={stream: position})[0]
    return ledger.event(receipt.event_id)


def carry_on(ledger: Ledger, announced: Event, root: Path, *, back: bool) -> tuple[str, list[ThresholdChange]]:
    """End an apply that a crash interrupted; return (`applied` | `rolled_back`, its changes).

    It is finished, or with `back` undone. Once putting back has begun there is no other way.
    """
    planned = _planned(announced)
    for file in planned.files:
        remove_leftovers(root / file.file)
    begun = any(
        event.type == "ThresholdApplied" and event.body()["apply"] == planned.apply and event.body()["undone"]
        for event in ledger.read_stream(announced.stream)
    )
    if back or begun:
        return "rolled_back", roll_back(ledger, announced, root)
    return "applied", finish(ledger, announced, root)


def finish(ledger: Ledger, announced: Event, root: Path) -> list[ThresholdChange]:
    """Write every file of an announced apply that is not written yet; return its changes.

    Raises `Conflict`, writing nothing more, when a file has neither its old nor its new bytes.
    """
    planned = _planned(announced)
    _check_states(planned, root)
    for file in planned.files:
        if _digest(root / file.file) != file.after_sha256:
            replace_file(root / file.file, ledger.evidence.get(file.after_sha256))
        _record(ledger, announced, file.file, undo=False)
    _close(ledger, announced, "applied")
    return planned.changes


def roll_back(ledger: Ledger, announced: Event, root: Path) -> list[ThresholdChange]:
    """Put the old bytes of an unfinished apply back; return the changes that were undone."""
    planned = _planned(announced)
    _check_states(planned, root)
    recorded = {
        event.body()["file"]
        for event in ledger.read_stream(announced.stream)
        if event.type == "ThresholdApplied" and event.body()["apply"] == planned.apply
    }
    undone = []
    for file in planned.files:
        if _digest(root / file.file) != file.before_sha256:
            replace_file(root / file.file, ledger.evidence.get(file.before_sha256))
        if file.file in recorded:
            _record(ledger, announced, file.file, undo=True)
            undone += [change for change in planned.changes if change.file == file.file]
    _close(ledger, announced, "rolled_back")
    return undone


def unfinished(events: Sequence[Event]) -> Event | None:
    """Return the announced apply of a stream that no event says is finished, if any."""
    done = {e.body()["apply"] for e in events if e.type == "ThresholdApplyFinished"}
    for event in events:
        if event.type == "ThresholdApplyPlanned" and event.body()["apply"] not in done:
            return event
    return None


def _planned(announced: Event) -> ThresholdApplyPlanned:
    planned = announced.typed()
    assert isinstance(planned, ThresholdApplyPlanned)
    return planned


def _check_states(planned: ThresholdApplyPlanned, root: Path) -> None:
    foreign = [
        file.file for file in planned.files if _digest(root / file.file) not in (file.before_sha256, file.after_sha256)
    ]
    if foreign:
        raise Conflict(
            f"{', '.join(foreign)} changed since the apply {planned.apply} was planned; nothing more was written",
            code="file_moved",
            hint=f"restore it (git -C {root} checkout -- {' '.join(foreign)}) and run apply again",
            files=foreign,
            apply=planned.apply,
        )


def _record(ledger: Ledger, announced: Event, file: str, *, undo: bool) -> None:
    """Append what was written to one file, one event per literal; doing it twice is doing it once."""
    planned = _planned(announced)
    word = "undone" if undo else "applied"
    events = [
        NewEvent(
            stream=announced.stream,
            payload=_applied(planned, change, undo=undo),
            key=f"{word}/{planned.apply}/{change.stage}/{change.metric}",
            causation_id=announced.event_id,
            git_sha=planned.commit or None,
        )
        for change in planned.changes
        if change.file == file
    ]
    ledger.append(events)


def _applied(planned: ThresholdApplyPlanned, change: ThresholdChange, *, undo: bool) -> ThresholdApplied:
    fields: dict[str, Any] = {name: getattr(change, name) for name in ThresholdChange.__struct_fields__}
    if undo:
        fields |= {
            "old": change.new,
            "new": change.old,
            "old_text": change.new_text,
            "new_text": change.old_text,
            "direction": direction(change.worst_op or "min", change.new, change.old),
            "percent": percent_change(change.new, change.old),
        }
    return ThresholdApplied(
        apply=planned.apply,
        calibration=planned.calibration,
        commit=planned.commit,
        undone=undo,
        **fields,
    )


def _close(ledger: Ledger, announced: Event, outcome: str) -> None:
    planned = _planned(announced)
    finished = ThresholdApplyFinished(apply=planned.apply, calibration=planned.calibration, outcome=outcome)
    ledger.append(
        [
            NewEvent(
                stream=announced.stream,
                payload=finished,
                key=f"apply-finished/{planned.apply}",
                causation_id=announced.event_id,
            )
        ]
    )


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def as_json(changes: Sequence[ThresholdChange]) -> list[dict[str, Any]]:
    """The changes as plain values, without the observation ids."""
    rows: list[dict[str, Any]] = [msgspec.to_builtins(change) for change in changes]
    for row in rows:
        row.pop("evidence_event_ids")
    return rows
