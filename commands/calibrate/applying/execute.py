"""An apply as an announced write: the plan names every file's bytes before and after, which are evidence.

Each file is replaced as a whole, then its `ThresholdApplied` events are appended; `ThresholdApplyFinished` settles the
plan. Whoever finds a plan that is not settled knows from the digests which files have their new bytes, and either
writes the rest or puts the old bytes back. A file that has neither was changed by someone else and stops both.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from commands.calibrate.applying.decisions import Decision
from commands.calibrate.applying.plan import ApplyPlan
from commands.calibrate.applying.targets import Rewrite
from commands.calibrate.applying.write_value import percent_change
from commands.literals.files import remove_leftovers, replace_file
from ledger import canonical
from ledger.errors import Conflict, Refused
from ledger.event import Event, NewEvent
from ledger.events.thresholds import (
    FileRewrite,
    ThresholdApplied,
    ThresholdApplyFinished,
    ThresholdApplyPlanned,
    ThresholdChange,
)
from ledger.identity.signing import Signed
from ledger.ledger import Ledger
from ledger.remotes.retry import RetryPolicy
from ledger.sync import announced
from projections.authority.policy import APPLY as APPLY_ACT
from projections.calibration.session import STREAM_PREFIX
from projections.calibration.worst_of_n import direction

LOCK = "apply.lock"
APPLY = announced.Kind("ThresholdApplyPlanned", frozenset({"ThresholdApplyFinished"}), named_by="apply")


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


def decision(planned: ThresholdApplyPlanned) -> Signed:
    """Return what an approver of an apply signs: the calibration, and the bytes of every file before and after.

    Neither the checkout nor the apply's own id is part of it: others approve it on machines of their own.
    """
    body = msgspec.to_builtins(planned)
    for name in ("apply", "repo_root"):
        del body[name]
    return Signed(APPLY_ACT, planned.calibration, hashlib.sha256(canonical.encode(body)).hexdigest())


def write(ledger: Ledger, planned: ThresholdApplyPlanned, root: Path, *, position: int) -> None:
    """Write what was planned. Raises `Conflict` when the session moved since `position`, or a file did."""
    with announced.alone(ledger, LOCK) as writer:
        writer.carry_out(_Apply(ledger, planned, root, seen={STREAM_PREFIX + planned.calibration: position}))


def carry_on(ledger: Ledger, stream: str, root: Path, *, back: bool) -> tuple[str, list[ThresholdChange]] | None:
    """End an apply that a crash interrupted; return (`applied` | `rolled_back`, its changes), None without one.

    It is finished, or with `back` undone. Once putting back has begun there is no other way.
    """
    with announced.alone(ledger, LOCK) as writer:
        # its writer may have been alive until now: look only with the lock held
        left = unfinished(ledger, stream)
        if left is None:
            return None
        planned = left.typed()
        assert isinstance(planned, ThresholdApplyPlanned)
        _refuse_elsewhere(planned, root)
        for file in planned.files:
            remove_leftovers(root / file.file)
        written = _Apply(ledger, planned, root)
        if back or written.recorded(undone=True):
            put_back = _Apply(ledger, planned, root, back=True)
            writer.carry_out(put_back)
            return "rolled_back", put_back.changes_of(written.recorded(undone=False))
        writer.carry_out(written)
        return "applied", planned.changes


def _refuse_elsewhere(planned: ThresholdApplyPlanned, root: Path) -> None:
    """Refuse to end an apply in another checkout than its own, as long as that one is there."""
    begun = Path(planned.repo_root)
    if begun.is_dir() and not begun.samefile(root):
        raise Refused(
            f"the apply {planned.apply} was interrupted in {begun}, not in {root}; nothing was written",
            code="apply_elsewhere",
            hint=f"end it there first: --repo-root {begun}",
            apply=planned.apply,
        )


def unfinished(ledger: Ledger, stream: str) -> Event | None:
    """Return the announced apply of a stream that no event says is finished, if any.

    One of this machine: what another one announced is its own to end, and would be written here unseen.
    """
    own = [event for event in ledger.read_stream(stream) if event.origin == ledger.origin]
    return announced.unsettled(reversed(own), APPLY)


@dataclass(frozen=True)
class _Files:
    """The files of an apply that do not have the bytes they are to have."""

    files: list[FileRewrite]

    @property
    def paths(self) -> list[str]:
        return [file.file for file in self.files]


class _Apply(announced.Announced[_Files]):
    """One apply, or with `back` the way back from it, to the bytes before."""

    def __init__(
        self,
        ledger: Ledger,
        planned: ThresholdApplyPlanned,
        root: Path,
        *,
        back: bool = False,
        seen: Mapping[str, int] | None = None,
    ) -> None:
        target = f"the files of the apply {planned.apply} in {root}"
        self.words = announced.Words("the file system", target, "perfledger calibrate apply")
        self.policy = RetryPolicy(tries_max=1)
        self.seen = seen
        self._ledger = ledger
        self._planned = planned
        self._root = root
        self._back = back
        self._stream = STREAM_PREFIX + planned.calibration
        self._written: set[str] = set()

    def unsettled(self) -> Event | None:
        """Return the plan of an apply of this session that is not finished."""
        return unfinished(self._ledger, self._stream)

    def look(self) -> _Files | None:
        """Compare every file's digest. Raises `Conflict` for a file with neither its old nor its new bytes."""
        missing: list[FileRewrite] = []
        foreign: list[FileRewrite] = []
        for file in self._planned.files:
            found = _digest(self._root / file.file)
            if found == self._target(file):
                continue
            known = found in (file.before_sha256, file.after_sha256) and file.file not in self._written
            (missing if known else foreign).append(file)
        if foreign:
            raise self._moved([file.file for file in foreign])
        if self.plan is None:
            # not by this apply, whatever the bytes are: another one ended while this one waited for its turn, and then
            # announcing it is a conflict
            return _Files(self._planned.files)
        return _Files(missing) if missing else None

    def planned(self, missing: _Files) -> NewEvent:
        """Announce the bytes of every file."""
        del missing
        return NewEvent(
            stream=self._stream,
            payload=self._planned,
            key=f"apply-planned/{self._planned.apply}",
            git_sha=self._planned.commit or None,
        )

    def send(self, missing: _Files) -> list[str]:
        """Replace each file as a whole, and record it before the next."""
        recorded = self.recorded(undone=False)
        for file in missing.files:
            replace_file(self._root / file.file, self._ledger.evidence.get(self._target(file)))
            self._written.add(file.file)
            if not self._back or file.file in recorded:
                self._ledger.append(self._records(file.file))
        return missing.paths

    def settle(self, landed: announced.Landed[_Files]) -> list[NewEvent]:
        """Record every file that a crash left unrecorded, and say that nothing is left to do."""
        del landed
        recorded = self.recorded(undone=False)
        files = [file.file for file in self._planned.files if not self._back or file.file in recorded]
        finished = ThresholdApplyFinished(
            apply=self._planned.apply,
            calibration=self._planned.calibration,
            outcome="rolled_back" if self._back else "applied",
        )
        end = NewEvent(
            stream=self._stream,
            payload=finished,
            key=f"apply-finished/{self._planned.apply}",
            causation_id=self.plan_id,
        )
        return [*(event for file in files for event in self._records(file)), end]

    def recorded(self, *, undone: bool) -> set[str]:
        """Return the files that an event says are written, or put back."""
        return {
            event.body()["file"]
            for event in self._ledger.read_stream(self._stream)
            if event.type == "ThresholdApplied"
            and event.body()["apply"] == self._planned.apply
            and event.body()["undone"] == undone
        }

    def changes_of(self, files: Collection[str]) -> list[ThresholdChange]:
        """Return the planned changes of some files."""
        return [change for change in self._planned.changes if change.file in files]

    def _target(self, file: FileRewrite) -> str:
        return file.before_sha256 if self._back else file.after_sha256

    def _records(self, file: str) -> list[NewEvent]:
        """Return what was written to one file, one event per literal; appending them twice is appending them once."""
        word = "undone" if self._back else "applied"
        return [
            NewEvent(
                stream=self._stream,
                payload=_applied(self._planned, change, undo=self._back),
                key=f"{word}/{self._planned.apply}/{change.stage}/{change.metric}",
                causation_id=self.plan_id,
                git_sha=self._planned.commit or None,
            )
            for change in self.changes_of([file])
        ]

    def _moved(self, foreign: list[str]) -> Conflict:
        return Conflict(
            f"{', '.join(foreign)} changed since the apply {self._planned.apply} was planned; nothing more was written",
            code="file_moved",
            hint=f"restore it (git -C {self._root} checkout -- {' '.join(foreign)}) and run apply again",
            files=foreign,
            apply=self._planned.apply,
        )


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
