"""A reseed as its stream says it: `transitions` decides the step, this keeps what the counted events said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from ledger import canonical, identifiers
from ledger.errors import BadInput, Conflict, Refused
from ledger.event import Event, EventPayload
from ledger.events import reseeds
from projections.reseed.transitions import EVENTS, TRANSITIONS, PassedOver, Standing, Told, advance, not_supersedable

if TYPE_CHECKING:
    from ledger.ledger import Ledger


@dataclass(frozen=True)
class Reseed:
    """The state of one reseed, as `origin` sees it. Plan, approvals and the rest are those of counted events.

    `position` is the last event of its stream in that origin's own log, for conflict detection; events that other
    machines recorded (a second approver's) have positions of their own, the newest of them is of `others_at`.
    """

    id: str
    origin: str = ""
    standing: Standing = field(default_factory=Standing)
    position: int = 0
    plan: reseeds.ReseedPlanned | None = None
    plan_event_id: str = ""
    approvals: tuple[reseeds.ReseedApproved, ...] = ()
    prepared: reseeds.RecordsPrepared | None = None
    uploaded: reseeds.ReseedUploaded | None = None
    backup_folder: str = ""
    created_at: str = ""
    actor: str = ""
    others_at: str = ""
    events: tuple[tuple[str, str, str, str], ...] = field(default=())  # (recorded_at, type, actor, event_id)

    @property
    def stream(self) -> str:
        """The stream's name."""
        return f"reseed/{self.id}"

    @property
    def step(self) -> str:
        """Return its step, one of `transitions.STEPS`."""
        return self.standing.step

    @property
    def passed_over(self) -> tuple[PassedOver, ...]:
        """The events that changed nothing, with why."""
        return self.standing.passed_over

    @property
    def approvers(self) -> list[str]:
        """Who approved exactly this plan, by name."""
        return sorted(name for name, _ in self.standing.approvers)

    def needed(self) -> reseeds.ReseedPlanned:
        """Return the plan; a stream without one never got that far."""
        if self.plan is None:
            raise Refused(
                f"reseed {self.id} was interrupted before it had a plan",
                code="reseed_unplanned",
                hint="perfledger reseed plan ... makes a new one; this one changed nothing",
            )
        return self.plan


def evolve(state: Reseed, event: Event) -> Reseed:
    """Return the state after one event. A type that is no step of a reseed changes nothing."""
    own = event.origin == state.origin
    state = replace(
        state,
        position=event.position if own else state.position,
        others_at=state.others_at if own else max(state.others_at, event.recorded_at),
        created_at=state.created_at or event.recorded_at,
        actor=state.actor or event.actor,
        events=(*state.events, (event.recorded_at, event.type, event.actor, event.event_id)),
    )
    if event.type not in EVENTS:
        return state
    payload = event.typed()
    standing = advance(state.standing, _told(event, payload))
    counted = len(standing.passed_over) == len(state.passed_over)
    state = replace(state, standing=standing)
    return replace(state, **_kept(state, event, payload)) if counted else state


def _told(event: Event, payload: EventPayload) -> Told:
    return Told(
        type=event.type,
        event_id=event.event_id,
        recorded_at=event.recorded_at,
        actor=event.actor,
        digest=getattr(payload, "digest", ""),
        approver=getattr(payload, "approver", ""),
        signature=getattr(payload, "signature", ""),
        approvals_needed=getattr(payload, "approvals_needed", 0),
        by=getattr(payload, "by", ""),
    )


def _kept(state: Reseed, event: Event, payload: EventPayload) -> dict[str, Any]:
    """Return the fields that a counted event sets."""
    match payload:
        case reseeds.ReseedPlanned():
            return {"plan": payload, "plan_event_id": event.event_id}
        case reseeds.BackupTaken():
            return {"backup_folder": payload.folder}
        case reseeds.ReseedApproved():
            return {"approvals": (*state.approvals, payload)}
        case reseeds.RecordsPrepared():
            return {"prepared": payload}
        case reseeds.ReseedUploaded():
            return {"uploaded": payload}
    return {}


def load(ledger: Ledger, reseed_id: str) -> Reseed:
    """Fold a reseed's stream. Raises `BadInput` when there is none; a unique beginning of the id is enough."""
    found = ledger.read_stream(f"reseed/{reseed_id}")
    if not found:
        near = sorted(
            {
                e.stream
                for e in ledger.read_counted(types=["ReseedPlanned"])
                if e.stream.startswith(f"reseed/{reseed_id}")
            }
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
        state = evolve(state, event)
    return state


_BEGIN_AGAIN = "nothing; perfledger reseed plan ... begins again"


def plan_digest(plan: reseeds.ReseedPlanned) -> str:
    """Return what an approval binds: SHA-256 over the plan's canonical JSON without the digest itself."""
    body = msgspec.to_builtins(plan)
    del body["digest"]
    for name in ("readers", "policies"):  # plans of earlier versions have no such field, and keep their digest
        if not body[name]:
            del body[name]
    return sha256(canonical.encode(body)).hexdigest()


def require(state: Reseed, action: str, event_type: str) -> None:
    """Refuse an action whose event would be passed over now. Raises `Refused` (exit 1) with the step that comes next,
    and `Conflict` (exit 3) while this machine's clock is behind the newest event of another machine: what it recorded
    now would come before that event."""
    why = not_supersedable(state.standing) if event_type == "ReseedSuperseded" else ""
    if why or (state.step, event_type) not in TRANSITIONS:
        raise Refused(
            f"reseed {state.id} is {state.step}; it cannot be {action} now",
            code="reseed_step",
            hint=next_step(state),
            step=state.step,
        )
    if state.others_at and identifiers.clock() <= identifiers.parse_time(state.others_at):
        raise Conflict(
            f"another machine recorded a step of reseed {state.id} at {state.others_at}, which is later than the clock "
            "of this machine; nothing was done",
            code="clock_behind",
            hint="set the clocks of both machines right, or wait until this one has passed that time",
        )


def require_whole(state: Reseed) -> None:
    """Refuse a plan whose content is not what its digest says."""
    plan = state.needed()
    if plan_digest(plan) != plan.digest:
        raise Conflict(
            f"the plan of reseed {state.id} is not what its digest says", code="plan_changed", hint="perfledger verify"
        )


def next_approval(state: Reseed) -> str:
    """Return the command with which somebody else approves the plan."""
    return f'another approver: perfledger reseed approve {state.id} --confirm "confirm performance reseed"'


def next_step(state: Reseed) -> str:
    """Return the command that comes next."""
    take_back = f"perfledger reseed supersede {state.id} --reason ..."
    if state.step in ("cleaned up", "aborted", "superseded"):
        if state.standing.superseded_by is not None:
            return f"nothing; see perfledger reseed show {state.standing.superseded_by}"
        if state.step == "aborted" and state.standing.landed:
            return f"{take_back}   (its seeds are in the dataset: another machine uploaded them)"
        return f"nothing; to take the seed back: {take_back}" if state.standing.landed else _BEGIN_AGAIN
    return {
        "new": "perfledger reseed plan ...",
        "planned": f'perfledger reseed approve {state.id} --confirm "confirm performance reseed"',
        "approved": f"perfledger reseed prepare {state.id}",
        "prepared": f'perfledger reseed upload {state.id} --confirm "upload"',
        "uploading": f'perfledger reseed upload {state.id} --confirm "upload"   (finds out what landed first)',
        "uploaded": f'perfledger reseed cleanup {state.id} --confirm "cleanup reseed temp"',
    }[state.step]
