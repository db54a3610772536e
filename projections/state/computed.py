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
    the engine has for it, in the order they are shown. key: a column of text that a function can compute the rows of
    one value of, given it by that name; a query of that value alone is then answered from these (`narrowing.py`).
    """

    where: str
    about: str
    columns: Mapping[str, str]
    key: str = ""

    def rows(self, state: Session, value: str | None = None) -> Rows:
        """Compute the rows as of the moment of a session: all, or those whose key is `value`."""
        module, name = self.where.split(":")
        function: Callable[..., Rows] = getattr(importlib.import_module(f"{PROJECTIONS}.{module}"), name)
        return function(state) if value is None else function(state, **{self.key: value})


RELATIONS: dict[str, Relation] = {
    "audit_matrix": Relation(
        "calibration.relation:audit_matrix",
        about="One row for each stage and repeat of a session: the strict cell and what it was decided from.",
        columns={
            "session": "VARCHAR",
            "model": "VARCHAR",
            "number": "BIGINT",
            "stage": "VARCHAR",
            "title": "VARCHAR",
            "stage_group": "VARCHAR",
            "repeat": "BIGINT",
            "cell": "VARCHAR",
            "status": "VARCHAR",
            "reason": "VARCHAR",
            "samples_total": "BIGINT",
            "samples_ok": "BIGINT",
            "expected_samples": "BIGINT",
            "metrics": "VARCHAR",
            "git_sha": "VARCHAR",
            "measured_at": "VARCHAR",
            "duration_s": "DOUBLE",
            "attempts": "BIGINT",
            "suspect": "VARCHAR",
            "required": "BIGINT",
            "event_id": "VARCHAR",
        },
        key="session",
    ),
    "provenance": Relation(
        "calibration.relation:provenance",
        about="One row for each observed stage-repeat: does it belong to the commit its session was planned on?",
        columns={
            "session": "VARCHAR",
            "model": "VARCHAR",
            "number": "BIGINT",
            "stage": "VARCHAR",
            "repeat": "BIGINT",
            "calibration_git_sha": "VARCHAR",
            "git_sha": "VARCHAR",
            "verdict": "VARCHAR",
            "measured_at": "VARCHAR",
            "event_id": "VARCHAR",
        },
        key="session",
    ),
    "calibration_rounds": Relation(
        "calibration.relation:calibration_rounds",
        about="The observation that counts for each session, stage and repeat: the newest that no purge took away. "
        "aside: it is on record as destructive and enters no worst-of-N.",
        columns={
            "session": "VARCHAR",
            "stage": "VARCHAR",
            "repeat": "BIGINT",
            "unit": "VARCHAR",
            "readable": "BOOLEAN",
            "status": "VARCHAR",
            "reason": "VARCHAR",
            "metrics": "VARCHAR",
            "metric_keys": "VARCHAR",
            "metric_count": "BIGINT",
            "null_count": "BIGINT",
            "samples_total": "BIGINT",
            "samples_ok": "BIGINT",
            "git_sha": "VARCHAR",
            "git_sha_start": "VARCHAR",
            "diff_sha256": "VARCHAR",
            "measured_at": "VARCHAR",
            "duration_s": "DOUBLE",
            "attempts": "BIGINT",
            "pytest_rc": "BIGINT",
            "suspect": "VARCHAR",
            "foreign_file": "BOOLEAN",
            "event_id": "VARCHAR",
            "recorded_at": "TIMESTAMPTZ",
            "learned_at": "TIMESTAMPTZ",
            "aside": "BOOLEAN",
        },
        key="session",
    ),
    "calibrations": Relation(
        "calibration.relation:calibrations",
        about="One row for each session: scope, how many stages are strict-ready, whether provenance holds, "
        "how far it is.",
        columns={
            "session": "VARCHAR",
            "model": "VARCHAR",
            "repeats": "BIGINT",
            "stages": "BIGINT",
            "strict_stages": "BIGINT",
            "strict_complete": "BOOLEAN",
            "provenance_ok": "BOOLEAN",
            "provenance_broken": "BIGINT",
            "calibration_git_sha": "VARCHAR",
            "git_branch": "VARCHAR",
            "dirty": "BOOLEAN",
            "run_dir": "VARCHAR",
            "started_at": "VARCHAR",
            "gpu_summary": "VARCHAR",
            "imported": "BOOLEAN",
            "reported": "BOOLEAN",
            "last_step": "VARCHAR",
            "recorded_at": "TIMESTAMPTZ",
            "learned_at": "TIMESTAMPTZ",
        },
        key="session",
    ),
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
