"""The step of a reseed: a table of (state, event type) to the next state. Everything that says "step" asks it.

An event that the table does not name for a state, or that its guard refuses, changes nothing and is kept in
`passed_over`, with why. Ended states have no way back, so that an approval, a preparation or an upload that another
machine recorded after the end, and that is learned late, revives nothing. Events are taken in recorded order, whatever
the order in which this machine learned them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ledger.identity import names
from ledger.identity.distinct import Distinct
from ledger.identity.ssh_keys import signing_key

STEPS = ("new", "planned", "approved", "prepared", "uploading", "uploaded", "cleaned up", "aborted", "superseded")
EVENTS = (
    "SourceValidated",
    "SourceDropped",
    "BackupTaken",
    "ReseedPlanned",
    "ReseedApproved",
    "RecordsPrepared",
    "ReseedUploadStarted",
    "ReseedUploaded",
    "ReseedCleanedUp",
    "ReseedAborted",
    "ReseedSuperseded",
)


@dataclass(frozen=True)
class Told:
    """What the table reads of an event. digest: the plan it names; by: the reseed that supersedes.

    signature is as the event has it: whether it holds is for `projections.authority` to say.
    """

    type: str
    event_id: str
    recorded_at: str
    actor: str
    digest: str = ""
    approver: str = ""
    signature: str = ""
    approvals_needed: int = 0
    by: str = ""


@dataclass(frozen=True)
class PassedOver:
    """An event that changed nothing, and why."""

    event_id: str
    type: str
    why: str
    recorded_at: str
    actor: str


@dataclass(frozen=True)
class Standing:
    """The step of a reseed, by what its events say of themselves: whether the approvals suffice is asked elsewhere.

    approvals: name, and signature or "", of each approval of exactly this plan, in their order.
    """

    step: str = "new"
    digest: str = ""
    approvals_needed: int = 0
    approvals: tuple[tuple[str, str], ...] = ()
    uploaded: bool = False
    superseded_by: str | None = None
    changed_at: str = ""
    passed_over: tuple[PassedOver, ...] = ()

    @property
    def approvers(self) -> list[tuple[str, str]]:
        """Name, and key that the signature names or "", of distinct approvers in the order in which they approved."""
        found = Distinct()
        for name, signature in self.approvals:
            found.add(name, signing_key(signature))
        return found.people

    @property
    def landed(self) -> bool:
        """Whether the seeds are in the dataset: also those of an upload that ended after another machine's abort."""
        return self.uploaded or any(event.type == "ReseedUploaded" for event in self.passed_over)


@dataclass(frozen=True)
class Transition:
    """A way out of a state.

    refuses: a guard, which returns why the event does not count, or "". waits: the state stays while it holds of the
    standing after the event. rule: both in words, for the documentation.
    """

    to: str
    refuses: Callable[[Standing, Told], str] | None = None
    waits: Callable[[Standing], bool] | None = None
    rule: str = ""


def _another_plan(standing: Standing, told: Told) -> str:
    return "" if told.digest == standing.digest else "it names another plan"


def _no_new_approval(standing: Standing, told: Told) -> str:
    why = names.fault(told.approver)
    if why:
        return f"the name {told.approver!a} {why}"
    known = {(names.normal(name), signature) for name, signature in standing.approvals}
    if (names.normal(told.approver), told.signature) in known:
        return f"{told.approver} had approved this plan already"
    return _another_plan(standing, told)


def not_supersedable(standing: Standing, told: Told | None = None) -> str:
    """Return why the seeds cannot be superseded, or "": they must be in the dataset, and count still."""
    del told
    if standing.superseded_by is not None:
        return f"it was superseded by {standing.superseded_by} already"
    return "" if standing.landed else "its seeds were never uploaded"


_APPROVES = "it names this plan, and is a new approval by a name that may be one"
_PREPARED = Transition("prepared", _another_plan, rule="it names this plan")
_SUPERSEDED = Transition("superseded", not_supersedable, rule="its seeds were uploaded and not superseded before")

TRANSITIONS: dict[tuple[str, str], Transition] = {
    ("new", "SourceValidated"): Transition("new"),
    ("new", "SourceDropped"): Transition("new"),
    ("new", "BackupTaken"): Transition("new"),
    ("new", "ReseedPlanned"): Transition("planned"),
    ("new", "ReseedAborted"): Transition("aborted"),
    ("planned", "ReseedApproved"): Transition(
        "approved",
        _no_new_approval,
        waits=lambda standing: len(standing.approvers) < standing.approvals_needed,
        rule=f"{_APPROVES}; `planned` until there are as many distinct approvers as the plan names",
    ),
    ("planned", "ReseedAborted"): Transition("aborted"),
    # further approvals: the policy in force at the upload may ask for more than the plan said
    ("approved", "ReseedApproved"): Transition("approved", _no_new_approval, rule=_APPROVES),
    ("approved", "RecordsPrepared"): _PREPARED,
    ("approved", "ReseedAborted"): Transition("aborted"),
    ("prepared", "RecordsPrepared"): _PREPARED,
    ("prepared", "ReseedApproved"): Transition("prepared", _no_new_approval, rule=_APPROVES),
    ("prepared", "ReseedUploadStarted"): Transition("uploading"),
    # without an announcement: a look found all of it there before anything was sent
    ("prepared", "ReseedUploaded"): Transition("uploaded"),
    ("prepared", "ReseedAborted"): Transition("aborted"),
    # a staging folder that was lost while an upload was on its way is written again
    ("uploading", "RecordsPrepared"): Transition("uploading", _another_plan, rule="it names this plan"),
    ("uploading", "ReseedApproved"): Transition("uploading", _no_new_approval, rule=_APPROVES),
    ("uploading", "ReseedUploadStarted"): Transition("uploading"),
    ("uploading", "ReseedUploaded"): Transition("uploaded"),
    ("uploading", "ReseedAborted"): Transition("aborted"),
    ("uploaded", "ReseedCleanedUp"): Transition("cleaned up"),
    ("uploaded", "ReseedSuperseded"): _SUPERSEDED,
    ("cleaned up", "ReseedSuperseded"): _SUPERSEDED,
    ("aborted", "ReseedCleanedUp"): Transition("cleaned up"),
    ("aborted", "ReseedSuperseded"): _SUPERSEDED,
    ("superseded", "ReseedCleanedUp"): Transition("cleaned up"),
}


def advance(standing: Standing, told: Told) -> Standing:
    """Return the standing after one event, which is either counted or passed over. `told.type` is one of `EVENTS`."""
    way = TRANSITIONS.get((standing.step, told.type))
    if way is None:
        why = _out_of_place(standing, told)
    else:
        why = way.refuses(standing, told) if way.refuses else ""
    if way is None or why:
        one = PassedOver(told.event_id, told.type, why, told.recorded_at, told.actor)
        return replace(standing, passed_over=(*standing.passed_over, one))
    after = replace(_noted(standing, told), changed_at=told.recorded_at)
    return after if way.waits and way.waits(after) else replace(after, step=way.to)


def _noted(standing: Standing, told: Told) -> Standing:
    """Return the standing with what a counted event says, its step still the one before."""
    if told.type == "ReseedPlanned":
        return replace(standing, digest=told.digest, approvals_needed=told.approvals_needed)
    if told.type == "ReseedApproved":
        return replace(standing, approvals=(*standing.approvals, (told.approver, told.signature)))
    if told.type == "ReseedUploaded":
        return replace(standing, uploaded=True)
    if told.type == "ReseedSuperseded":
        return replace(standing, superseded_by=told.by)
    return standing


def _out_of_place(standing: Standing, told: Told) -> str:
    if standing.step == "new":
        return "there was no plan yet"
    if told.type == "ReseedUploaded":
        return f"the reseed was {standing.step}; the seeds are in the dataset all the same"
    return f"the reseed was {standing.step}"
