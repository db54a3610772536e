"""perfledger reseed upload: all seeds in one commit, on the very baseline that was approved."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from commands.cli.app import App, command
from commands.reseed.preview import of_upload
from commands.reseed.work.approval import NOT_PINNED, require_approved
from commands.reseed.work.history import History, sync
from commands.reseed.work.moved import standing
from commands.reseed.work.recording import overtaken
from commands.reseed.work.staging import staged
from commands.reseed.work.upload_text import Done, message, report, report_text
from commands.reseed.work.windows import record_of, windows
from ledger.errors import Conflict
from ledger.event import Event, NewEvent
from ledger.events.reseeds import ReseedSuperseded, ReseedUploaded, ReseedUploadStarted
from ledger.sync import announced
from projections.reseed import fold as decider

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from ledger.remotes.hub_files import Absent, Committed

PHRASE = "upload"
LOCK = "reseed.lock"
UPLOAD = announced.Kind("ReseedUploadStarted", frozenset({"ReseedUploaded"}))


@command("upload")
@click.argument("reseed_id", metavar="ID")
@click.option("--confirm", metavar="PHRASE", help=f'Exactly "{PHRASE}".')
@click.option("--dry-run", is_flag=True, help="Show what would be written; write nothing.")
def upload(app: App, reseed_id: str, confirm: str | None, dry_run: bool) -> None:
    """Upload the prepared records in one commit, then read them back and compare every byte.

    Refused (exit 3) when the target's baseline moved since the plan. Safe to run again after any crash.
    """
    ledger = app.ledger()
    state = decider.load(ledger, reseed_id)
    if dry_run:
        decider.require(state, "uploaded", "ReseedUploadStarted")
        app.emit(*of_upload(state, staged(state)))
        return
    done = send(app, ledger, state, confirm=confirm)
    app.emit(report(done), lambda: report_text(done))


def send(app: App, ledger: Ledger, state: decider.Reseed, *, confirm: str | None) -> Done:
    """Check everything again, upload, look, and record what is there."""
    decider.require(state, "uploaded", "ReseedUploadStarted")
    approved = require_approved(ledger, state)
    if approved.authority.pin is None:
        app.note(NOT_PINNED)
    upload = _Upload(app, ledger, state)
    app.confirm(PHRASE, given=confirm, question=_question(state, upload.seeds))
    with announced.alone(ledger, LOCK) as writer:
        # another process may have uploaded it while this one asked
        decider.require(decider.load(ledger, state.id), "uploaded", "ReseedUploadStarted")
        landed = writer.carry_out(upload)
    assert upload.history is not None, "it was settled"
    after = decider.load(ledger, state.id)
    if after.uploaded is None:
        raise overtaken(after, f"it is {after.step}; the seeds are in {after.needed().dataset} all the same")
    return Done(after, upload.files.committed(landed.sent), upload.history, approved.people)


class _Upload(announced.Announced["Absent"]):
    """The commit of one reseed's seeds, on the very baseline that was approved."""

    def __init__(self, app: App, ledger: Ledger, state: decider.Reseed) -> None:
        from ledger.remotes.hub import DatasetUrl, HubRepo
        from ledger.remotes.hub_files import NewFiles
        from ledger.remotes.retry import default_policy

        plan = state.needed()
        url = DatasetUrl.parse(plan.dataset)
        prefix = f"{url.prefix}/" if url.prefix else ""
        self.seeds = staged(state)
        self.files = NewFiles(HubRepo(url.repo_id), {prefix + path: data for path, data in self.seeds.items()})
        self.words = announced.Words(self.files.repo.name, url.repo_id, f"perfledger reseed upload {state.id}")
        self.policy = default_policy()
        self.history: History | None = None  # of the dataset as it was read back
        self._app = app
        self._ledger = ledger
        self._state = state

    def unsettled(self) -> Event | None:
        """Return the announcement of a commit that is not known to have landed."""
        return announced.unsettled(reversed(self._ledger.read_stream(self._state.stream)), UPLOAD)

    def look(self) -> Absent | None:
        """Return the seeds that are not in the dataset."""
        return self.files.look()

    def planned(self, missing: Absent) -> NewEvent:
        """Announce the commit. Raises `Conflict` when the target's baseline moved since the plan."""
        # a pull may have brought the end of it since the lock was taken
        decider.require(decider.load(self._ledger, self._state.id), "uploaded", "ReseedUploadStarted")
        # a policy that was learned since it asked holds, too
        approved = require_approved(self._ledger, self._state)
        _require_unmoved(self._ledger, self._state, missing.parent, set(self.seeds))
        return NewEvent(
            stream=self._state.stream,
            causation_id=self._state.plan_event_id,
            payload=ReseedUploadStarted(
                reseed=self._state.id,
                dataset=self._state.needed().dataset,
                parent=missing.parent,
                paths=sorted(self.seeds),
                policies=[policy.digest for policy in approved.authority.policies],
                pinned=approved.authority.pin is not None,
                approved_by=approved.people,
            ),
        )

    def send(self, missing: Absent) -> Collection[str]:
        """Commit the seeds."""
        return self.files.send(missing, message=message(self._state))

    def settle(self, landed: announced.Landed[Absent]) -> Sequence[NewEvent]:
        """Read the dataset back, bring the seeds into this ledger's own baselines, and say what is there."""
        self.history = _read_back(self._app, self._ledger, self._state)
        return _uploaded(self._ledger, self._state, self.files.committed(landed.sent), self.history)


def _question(state: decider.Reseed, files: Mapping[str, bytes]) -> str:
    from commands.reseed.show import plan_text

    lines = [plan_text(state.needed()), "", "these files, in one commit:"]
    for path, data in files.items():
        lines += [f"--- {path}", data.decode()]
    return "\n".join(lines)


def _require_unmoved(ledger: Ledger, state: decider.Reseed, parent: str, ours: set[str]) -> None:
    """Refuse when the target's window at `parent` is not the one the plan was approved on."""
    plan = state.needed()
    if parent == plan.revision:
        return
    history = sync(ledger, f"{plan.dataset}@{parent}")
    found = windows(ledger, replace(history, dataset=plan.dataset), record_of(plan))
    theirs = plan.readers.window if plan.readers else plan.window
    pairs = ((plan.window, found.check), (theirs, found.readers))
    now = [[s for s in standing(window) if s.path not in ours] for _, window in pairs]
    if now != [planned for planned, _ in pairs]:
        fresh = sorted({s.path for window in now for s in window} - {s.path for s in (*plan.window, *theirs)})
        raise Conflict(
            f"the baseline of {plan.target} moved since the plan"
            + (f": {fresh[0]} came in" if fresh else "")
            + "; nothing was uploaded",
            code="baseline_moved",
            hint="make a new plan: perfledger reseed plan ...",
            reseed=state.id,
            new=fresh,
        )


def _read_back(app: App, ledger: Ledger, state: decider.Reseed) -> History:
    """Bring the dataset as it is now into this ledger. Raises `Conflict` when a seed there has other bytes."""
    from commands.imports.hf_tracking import import_folder

    plan = state.needed()
    history = sync(ledger, plan.dataset)
    there = {r.path: r.sha256 for r in history.records}
    wrong = [s.path for s in plan.prepared if there.get(s.path) != s.sha256]
    if wrong:
        raise Conflict(
            f"{wrong[0]} in {plan.dataset} is not what was uploaded",
            code="uploaded_changed",
            hint="look at the dataset's history: it was changed right after the upload",
            paths=wrong,
        )
    import_folder(app, ledger, history.root, source=plan.dataset)
    return history


def _uploaded(ledger: Ledger, state: decider.Reseed, committed: Committed, history: History) -> list[NewEvent]:
    """Return the end of this reseed, and of the one it supersedes."""
    plan = state.needed()
    bad = decider.load(ledger, plan.supersedes) if plan.supersedes else None
    taken_back = [s.path for s in bad.needed().prepared] if bad else []
    medians = windows(ledger, history, record_of(plan), superseded=taken_back).medians
    events = [
        NewEvent(
            stream=state.stream,
            key=f"{state.stream}/uploaded",
            causation_id=state.plan_event_id,
            payload=ReseedUploaded(
                reseed=state.id,
                dataset=plan.dataset,
                revision=committed.revision,
                parent=committed.parent,
                written=committed.written,
                already=committed.already,
                medians=medians,
            ),
        )
    ]
    if bad:
        events.append(
            NewEvent(
                stream=bad.stream,
                key=f"{bad.stream}/superseded/{state.id}",
                causation_id=state.plan_event_id,
                payload=ReseedSuperseded(
                    reseed=bad.id,
                    by=state.id,
                    reason=plan.reason,
                    dataset=plan.dataset,
                    paths=taken_back,
                ),
            )
        )
    return events
