"""Titles: what is valid, what a contributor is told. Labels: given, missing, stale."""

from __future__ import annotations

import pytest

from projections.ci.labels import judge_title, plan
from projections.ci.policy import Policy


@pytest.mark.parametrize(
    ("title", "told"),
    [
        ("Add x", "does not begin with a tag"),
        ("FEAT: x", "before a colon"),
        ("feat: x", "before a colon"),
        ("fix(core)!: x", "before a colon"),
        ("[unknown] x", "[unknown] is not one"),
        ("[feat x", "not closed"),
        (" [feat] x", "white space"),
        ("", "empty"),
        ("   ", "empty"),
        ("(feat) x", "does not begin with a tag"),
        ("x [feat]", "does not begin with a tag"),
        ("[feat/fix] x", "[feat/fix] is not one"),
        ("[ feat ] x", "[ feat ] is not one"),
        ("[KERNEL-NEL] x", "is not one"),
        ("[\u212aernel] x", "is not one"),  # the Kelvin sign is no K
    ],
)
def test_an_invalid_title_is_explained_with_the_format_the_tags_and_the_next_step(
    page: Policy, title: str, told: str
) -> None:
    verdict = judge_title(page, title)
    assert not verdict.valid and verdict.label is None
    assert told in verdict.message
    assert "`[tag] Short description`" in verdict.message and "new-model" in verdict.message
    assert "Edit the title" in verdict.message


def test_the_first_tag_counts(page: Policy) -> None:
    assert judge_title(page, "[perf][feat] x").label == "type: perf"


def test_labels_that_no_longer_apply_are_stale_and_others_are_left_alone(page: Policy) -> None:
    carried = ["type: feat", "scope: docs", "ready", "good first issue", "scope: model", "needs-rebase"]
    found = plan(page, title="[fix] x", files=["docs/a.md"], current=carried, conflict=False)
    assert found.labels == ["type: bugfix", "scope: docs"]
    assert found.add == ["type: bugfix"]
    assert found.stale == ["type: feat", "scope: model", "needs-rebase"]
    assert found.process == ["ready"]


def test_a_conflict_gives_needs_rebase_and_an_unknown_one_says_nothing(page: Policy) -> None:
    assert plan(page, title="[fix] x", files=[], conflict=True).labels == ["type: bugfix", "needs-rebase"]
    unknown = plan(page, title="[fix] x", files=[], current=["needs-rebase"], conflict=None)
    assert unknown.stale == [] and "needs-rebase" not in unknown.labels


def test_a_bad_title_gets_its_scopes_all_the_same(page: Policy) -> None:
    found = plan(page, title="Add x", files=["docs/a.md"], current=["type: feat"])
    assert (found.labels, found.stale, found.title.valid) == (["scope: docs"], ["type: feat"], False)
