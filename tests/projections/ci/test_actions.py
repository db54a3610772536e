"""What is due on a pull request: merge and branch, update, labels given and taken back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from projections.ci.actions import due
from projections.ci.gate import PullSeen, judge
from projections.ci.policy import Policy
from tests.projections.ci.test_gate import PAGE, PULL, changed, history, ready


def actions(*more: PullSeen, policy: Policy = PAGE) -> list[tuple[str, str]]:
    verdict = judge(policy, history([*ready(), *more]))
    return [(one.action, one.what) for one in due(policy, verdict, verdict.files, conflict=verdict.conflict)]


LABELLED = ["type: feat", "scope: kernel"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"labels": LABELLED, "head_ref": "work"}, [("merge", "squash"), ("delete_branch", "work")]),
        ({"labels": LABELLED, "head_ref": "release/1.2"}, [("merge", "squash")]),
        ({"labels": LABELLED, "head_ref": "master"}, [("merge", "squash")]),
        ({"labels": LABELLED, "base_ref": "main"}, [("merge", "squash")]),
        ({"labels": LABELLED, "base_ref": "dev"}, []),
        ({"labels": LABELLED, "state": "closed"}, []),
        ({"labels": LABELLED, "draft": True}, []),
        (
            {"labels": [*LABELLED, "ready"], "mergeable_state": "behind", "draft": True, "head_ref": "work"},
            [("update_branch", "work")],
        ),
        ({"labels": LABELLED, "mergeable_state": "behind", "draft": True}, []),  # not ready
        (
            {"labels": [*LABELLED, "ready"], "mergeable_state": "behind", "mergeable": False},
            [("add_label", "needs-rebase")],
        ),
        ({"labels": [*LABELLED, "needs-rebase"], "draft": True}, [("remove_label", "needs-rebase")]),
        (
            {"labels": ["type: bugfix", "scope: docs", "keep"], "draft": True},
            [
                ("add_label", "type: feat"),
                ("add_label", "scope: kernel"),
                ("remove_label", "type: bugfix"),
                ("remove_label", "scope: docs"),
            ],
        ),
    ],
)
def test_what_is_due(fields: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert actions(changed(**fields)) == expected


def test_scope_labels_stay_when_the_changed_files_are_not_known() -> None:
    pull = msgspec.structs.replace(PULL, labels=["type: feat", "scope: docs"])
    verdict = judge(PAGE, history([pull]))
    assert due(PAGE, verdict, verdict.files, conflict=verdict.conflict) == []


def test_a_policy_that_does_not_update_or_delete_does_neither() -> None:
    merge = msgspec.structs.replace(PAGE.merge, update_when_behind=False, delete_branch=False, method="rebase")
    policy = msgspec.structs.replace(PAGE, merge=merge)
    assert actions(changed(labels=LABELLED, head_ref="work"), policy=policy) == [("merge", "rebase")]
    behind = changed(labels=[*LABELLED, "ready"], mergeable_state="behind", draft=True)
    assert actions(behind, policy=policy) == []
