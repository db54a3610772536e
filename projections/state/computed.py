"""Relations that Python computes: tables of a session, made when a query mentions them, at the session's moment.

A rule that is written in Python (the steps of a reseed, the merge gate) answers SQL through such a relation, so that
it is written once. A query that mentions none costs nothing: neither the module is imported nor a row computed.

    "merge_gate": Relation("ci.relation:merge_gate", about="Every merge condition ...", columns={"met": "BOOLEAN", ...})

The function takes the `State` and returns the rows as dicts. It asks the state, whose views and facts it must bound by
`state.as_of` and `state.as_recorded` as every view does; --as-of and --as-recorded hold for that reason. Unlike a view
such a relation takes no `as_of` of its own: `State.prepare` refuses `merge_gate(as_of := ...)`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Rows = Iterable[Mapping[str, Any]]
# The package above `state`: by its own name, for the wheel has it below another.
PROJECTIONS = __package__.rpartition(".")[0]


class Session(Protocol):
    """What a relation needs of the `State`: its moment, and an answer to SQL. Here, so that no import runs back."""

    as_of: str
    as_recorded: str

    def rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Run a query over views and facts."""


@dataclass(frozen=True)
class Relation:
    """A relation that Python computes.

    where: `module:function` below `projections`. about: what a row is, in one sentence. columns: name to the type
    the engine has for it, in the order they are shown.
    """

    where: str
    about: str
    columns: Mapping[str, str]

    def rows(self, state: Session) -> Rows:
        """Compute the rows as of the moment of a session."""
        module, name = self.where.split(":")
        function: Callable[[Any], Rows] = getattr(importlib.import_module(f"{PROJECTIONS}.{module}"), name)
        return function(state)


RELATIONS: dict[str, Relation] = {
    "merge_gate": Relation(
        "ci.relation:merge_gate",
        about="Every merge condition of every pull request under the CI policy in force: met or not, and why. "
        "Empty until a policy is adopted (`perfledger ci policy adopt`). event_id: the newest event it rests on.",
        columns={
            "repository": "VARCHAR",
            "number": "BIGINT",
            "head_sha": "VARCHAR",
            "condition": "VARCHAR",
            "met": "BOOLEAN",
            "advisory": "BOOLEAN",
            "why": "VARCHAR",
            "event_id": "VARCHAR",
            "place": "BIGINT",
            "mergeable": "BOOLEAN",
            "policy_digest": "VARCHAR",
        },
    ),
    "reseeds": Relation(
        "reseed.relation:reseeds",
        about="Each reseed as its last step left it: which baseline it moved, from what to what, why, and by whom. "
        "passed_over: how many of its events did not count, see `perfledger reseed show`.",
        columns={
            "id": "VARCHAR",
            "kind": "VARCHAR",
            "target": "VARCHAR",
            "model_id": "VARCHAR",
            "gpu_type": "VARCHAR",
            "reason": "VARCHAR",
            "step": "VARCHAR",
            "seeds": "BIGINT",
            "old": "VARCHAR",
            "batch": "VARCHAR",
            "candidate": "VARCHAR",
            "old_latency": "DOUBLE",
            "candidate_latency": "DOUBLE",
            "dataset": "VARCHAR",
            "destination": "VARCHAR",
            "approvers": "VARCHAR",
            "approvals_needed": "BIGINT",
            "uploaded_at": "TIMESTAMPTZ",
            "revision": "VARCHAR",
            "supersedes": "VARCHAR",
            "superseded_by": "VARCHAR",
            "digest": "VARCHAR",
            "planned_at": "TIMESTAMPTZ",
            "changed_at": "TIMESTAMPTZ",
            "event_id": "VARCHAR",
            "origin": "VARCHAR",
            "position": "BIGINT",
            "passed_over": "BIGINT",
        },
    ),
    "reseed_steps": Relation(
        "reseed.relation:reseed_steps",
        about="Each event of each reseed, with the step after it; passed_over says why, when it changed nothing.",
        columns={
            "reseed": "VARCHAR",
            "type": "VARCHAR",
            "step": "VARCHAR",
            "passed_over": "VARCHAR",
            "recorded_at": "TIMESTAMPTZ",
            "event_id": "VARCHAR",
            "origin": "VARCHAR",
            "position": "BIGINT",
        },
    ),
}
