"""What should be done to a pull request now, for the job that has the rights to do it.

The page's words: merge when all holds and delete the branch (never a kept one); bring a ready branch
that is behind and without conflict up to date; label conflicts; give the labels of title and paths
and take back those that no longer apply.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec

from projections.ci import labels
from projections.ci.gate import GateVerdict
from projections.ci.policy import Policy


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do. action: merge, delete_branch, update_branch, add_label or remove_label.

    what: the merge method, the branch or the label. why: for people.
    """

    action: str
    what: str
    why: str


def due(policy: Policy, verdict: GateVerdict, files: Iterable[str] | None, *, conflict: bool | None) -> list[Action]:
    """Return what is due; nothing for a pull request that is closed or goes to a branch the policy is not about.

    `files` are the head's changed names, None when not known: scope labels are then left as they are.
    """
    pull = verdict.pull
    if pull is None or pull.state != "open" or pull.merged:
        return []
    if pull.base_ref and pull.base_ref not in policy.base_branches:
        return []
    found = _label_actions(policy, verdict, files, conflict)
    if verdict.mergeable:
        found.append(Action(action="merge", what=policy.merge.method, why="every condition is met"))
        if policy.merge.delete_branch and pull.head_ref and not _kept(policy, pull.head_ref):
            found.append(Action(action="delete_branch", what=pull.head_ref, why="after the merge"))
    elif (
        policy.merge.update_when_behind
        and policy.labels.ready in pull.labels
        and conflict is False
        and pull.mergeable_state == "behind"
    ):
        found.append(
            Action(
                action="update_branch",
                what=pull.head_ref or pull.head_sha,
                why="ready, behind its base and without conflict",
            )
        )
    return found


def _label_actions(
    policy: Policy,
    verdict: GateVerdict,
    files: Iterable[str] | None,
    conflict: bool | None,
) -> list[Action]:
    pull = verdict.pull
    assert pull is not None
    plan = labels.plan(policy, title=pull.title, files=files or (), current=pull.labels, conflict=conflict)
    scopes = {scope.label for scope in policy.labels.scopes}
    found = [Action(action="add_label", what=label, why=_because(plan, label)) for label in plan.add]
    found += [
        Action(action="remove_label", what=label, why="it no longer applies")
        for label in plan.stale
        if files is not None or label not in scopes
    ]
    return found


def _because(plan: labels.LabelPlan, label: str) -> str:
    if label in plan.because:
        return f"it changes {plan.because[label]}"
    return f"its title has the tag {plan.title.tag}" if label == plan.type else "it conflicts with its base"


def _kept(policy: Policy, branch: str) -> bool:
    return any(fnmatchcase(branch, pattern) for pattern in policy.merge.keep_branches)
