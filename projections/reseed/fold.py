"""Where a reseed stands and what may come next: two pure functions over the stream `reseed/<id>`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from ledger import canonical
from ledger.errors import BadInput, Conflict, Refused
from ledger.event import Event, EventPayload
from ledger.events import reseeds

if TYPE_CHECKING:
    from ledger.ledger import Ledger

STEPS = ("planned", "approved", "prepared", "uploading", "uploaded", "cleaned up", "aborted", "superseded")


@dataclass(frozen=True)
class Reseed:
    """The state of one reseed, as `origin` sees it.

    `position` is the last event of its stream in that origin's own log, for conflict detection; events that other
    machines recorded (a second approver's) have positions of their own.
    """

    id: str
    origin: str = ""
    step: str = "new"
    position: int = 0
    plan: reseeds.ReseedPlanned | None = None
    plan_event_id: str = ""
    approvals: tuple[reseeds.ReseedApproved, ...] = ()
    prepared: reseeds.RecordsPrepared | None = None
    upload_started: bool = False
    uploaded: reseeds.ReseedUploaded | None = None
    backup_folder: str = ""
    superseded_by: str | None = None
    created_at: str = ""
    actor: str = ""
    events: tuple[tuple[str, str, str, str], ...] = field(default=())  # (recorded_at, type, actor, event_id)

    @property
    def stream(self) -> str:
        """The stream's name."""
        return f"reseed/{self.id}"

    def needed(self) -> reseeds.ReseedPlanned:
        """Return the plan; a stream without one never got that far."""
        if self.plan is None:
            raise Refused(
                f"reseed {self.id} was interrupted before it had a plan",
                code="reseed_unplanned",
                hint="perfledger reseed plan ... makes a new one; this one changed nothing",
            )
        return self.plan


def evolve(state: Reseed, event: Event, payload: EventPayload) -> Reseed:
    """Return the state after one event."""
    state = replace(
        state,
        position=event.position if event.origin == state.origin else state.position,
        created_at=state.created_at or event.recorded_at,
        actor=state.actor or event.actor,
        events=(*state.events, (event.recorded_at, event.type, event.actor, event.event_id)),
    )
    match payload:
        case reseeds.ReseedPlanned():
            return replace(state, step="planned", plan=payload, plan_event_id=event.event_id)
        case reseeds.BackupTaken():
            return replace(state, backup_folder=payload.folder)
        case reseeds.ReseedApproved():
            approvals = (*state.approvals, payload)
            done = state.plan is not None and approved(replace(state, approvals=approvals))
            return replace(state, approvals=approvals, step="approved" if done else state.step)
        case reseeds.RecordsPrepared():
            return replace(state, step="prepared", prepared=payload)
        case reseeds.ReseedUploadStarted():
            return replace(state, step="uploading", upload_started=True)
        case reseeds.ReseedUploaded():
            return replace(state, step="uploaded", uploaded=payload)
        case reseeds.ReseedCleanedUp():
            return replace(state, step="cleaned up")
        case reseeds.ReseedAborted():
            return replace(state, step="aborted")
        case reseeds.ReseedSuperseded():
            return replace(state, step="superseded", superseded_by=payload.by)
    return state


def load(ledger: Ledger, reseed_id: str) -> Reseed:
    """Fold a reseed's stream. Raises `BadInput` when there is none; a unique beginning of the id is enough."""
    found = ledger.read_stream(f"reseed/{reseed_id}")
    if not found:
        near = sorted(
            {e.stream for e in ledger.read(types=["ReseedPlanned"]) if e.stream.startswith(f"reseed/{reseed_id}")}
        )
        if len(near) != 1 or not reseed_id:
            raise BadInput(
                f"no reseed {reseed_id}" if not near else f"{reseed_id} is the beginning of {len(near)} reseeds",
                code="no_such_reseed",
                hint="perfledger reseed list",
            )
        reseed_id, found = near[0].removeprefix("reseed/"), ledger.read_stream(near[0])
    return fold(reseed_id, found, origin=ledger.origin)


def fold(reseed_id: str, events: Iterable[Event], *, origin: str) -> Reseed:
    """Return the state of a stream as `origin` sees it."""
    state = Reseed(reseed_id, origin)
    for event in events:
        state = evolve(state, event, event.typed())
    return state


def plan_digest(plan: reseeds.ReseedPlanned) -> str:
    """Return what an approval binds: SHA-256 over the plan's canonical JSON without the digest itself."""
    body = msgspec.to_builtins(plan)
    del body["digest"]
    return sha256(canonical.encode(body)).hexdigest()


def approved(state: Reseed) -> bool:
    """Whether enough distinct people approved exactly this plan."""
    plan = state.needed()
    people = {a.approver for a in state.approvals if a.digest == plan.digest}
    return len(people) >= plan.approvals_needed


def require(state: Reseed, action: str, allowed: tuple[str, ...]) -> None:
    """Refuse an action that does not come next. Raises `Refused` (exit 1) with the step that does."""
    if state.step in allowed:
        return
    raise Refused(
        f"reseed {state.id} is {state.step}; it cannot be {action} now",
        code="reseed_step",
        hint=next_step(state),
        step=state.step,
    )


def require_whole(state: Reseed) -> None:
    """Refuse a plan whose content is not what its digest says."""
    plan = state.needed()
    if plan_digest(plan) != plan.digest:
        raise Conflict(
            f"the plan of reseed {state.id} is not what its digest says", code="plan_changed", hint="perfledger verify"
        )


def next_step(state: Reseed) -> str:
    """Return the command that comes next."""
    return {
        "new": "perfledger reseed plan ...",
        "planned": f'perfledger reseed approve {state.id} --confirm "confirm performance reseed"',
        "approved": f"perfledger reseed prepare {state.id}",
        "prepared": f'perfledger reseed upload {state.id} --confirm "upload"',
        "uploading": f'perfledger reseed upload {state.id} --confirm "upload"   (finds out what landed first)',
        "uploaded": f'perfledger reseed cleanup {state.id} --confirm "cleanup reseed temp"',
        "cleaned up": f"nothing; to take the seed back: perfledger reseed supersede {state.id} --reason ...",
        "aborted": "nothing; perfledger reseed plan ... begins again",
        "superseded": f"nothing; see perfledger reseed show {state.superseded_by}",
    }[state.step]
