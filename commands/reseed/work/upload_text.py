"""What an upload of seeds says: the commit's message, the answer, the text of the pull request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from commands.reseed.work.approval import people_text
from commands.reseed.work.history import History
from ledger.events.reseeds import ApprovedBy
from ledger.outside import shown
from ledger.outside.shown import markdown_code as code
from projections.reseed import fold as decider

if TYPE_CHECKING:
    from ledger.remotes.hub_files import Committed


@dataclass(frozen=True)
class Done:
    """An upload that a look at the dataset has confirmed."""

    state: decider.Reseed
    committed: Committed
    history: History
    people: Sequence[ApprovedBy]


def message(state: decider.Reseed) -> str:
    """Return the commit's message; a model name cannot smuggle a second line into it."""
    plan = state.needed()
    model = " ".join(plan.model_id.split())
    subject = f"Perf: reseed {model} baseline ({len(plan.prepared)} records)"
    return f"{subject}\n\nperfledger reseed {state.id}\nplan {plan.digest}"


def report(done: Done) -> dict[str, Any]:
    """Return what happened, as JSON."""
    plan = done.state.needed()
    uploaded = done.state.uploaded
    assert uploaded is not None
    return {
        "id": done.state.id,
        "dataset": plan.dataset,
        "revision": uploaded.revision,
        "uploaded": [s.path for s in plan.prepared],
        "backup": plan.backup,
        "old": plan.old,
        "batch": plan.batch,
        "candidate": plan.candidate,
        "medians_now": uploaded.medians,
        "as_planned": uploaded.medians == plan.candidate,
        "violations": [msgspec.to_builtins(v) for v in plan.violations],
        "approved_by": [
            {"approver": one.approver, "signed": bool(one.key), "key": one.key or None} for one in done.people
        ],
        "pull_request_text": pull_request_text(done),
        "next": decider.next_step(done.state),
    }


def report_text(done: Done) -> str:
    """Return what happened, for people."""
    from commands.reseed.work.medians_text import medians_line

    plan, uploaded = done.state.needed(), done.state.uploaded
    assert uploaded is not None
    lines = [
        f"uploaded in one commit {uploaded.revision[:12]} and read back, every byte equal:",
        *(f"  {s.path}" for s in plan.prepared),
        f"old        {medians_line(plan.old)}",
        f"batch      {medians_line(plan.batch)}",
        f"candidate  {medians_line(plan.candidate)}",
        f"now        {medians_line(uploaded.medians)}",
        f"backup     {plan.backup or 'none (first seed)'}",
    ]
    lines += [
        f"threshold change still needed: {v['limit']} is {v['threshold']:g}, the batch median {v['batch_median']:g}"
        for v in plan.violations
    ]
    return "\n".join(
        [*lines, "", "for the pull request:", "", pull_request_text(done), "", f"next: {decider.next_step(done.state)}"]
    )


def pull_request_text(done: Done) -> str:
    """Return the rationale as Markdown."""
    from commands.reseed.work.medians_text import medians_line

    plan = done.state.needed()
    return "\n".join(
        [
            f"### Performance baseline reseed of {code(plan.target)}",
            "",
            shown.markdown(plan.reason),
            "",
            f"- {len(plan.prepared)} seed record(s) in {code(plan.dataset)}, commit `{done.committed.revision[:12]}`",
            f"- before: {shown.markdown(medians_line(plan.old) or 'no baseline')}",
            f"- after: {shown.markdown(medians_line(plan.candidate))}",
            f"- approved by {shown.markdown(people_text(done.people))}, plan `{plan.digest[:12]}`, "
            f"reseed `{done.state.id}`",
        ]
    )
