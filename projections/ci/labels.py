"""The title rule and the labels of a pull request: which it gets, which no longer apply."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from projections.ci.policy import Policy, Tag


class TitleVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a title is valid. tag: as the policy spells it. message: what a contributor is told."""

    valid: bool
    message: str
    tag: str | None = None
    label: str | None = None


class LabelPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The labels of a pull request.

    labels: all that apply by rule: type, scopes, and the conflict label when there is one.
    because: scope label to the first changed file that gave it. stale: labels it carries that a rule gives
    to others but not to it any more. add: those of `labels` it does not carry yet.
    """

    title: TitleVerdict
    labels: list[str]
    type: str | None
    scopes: list[str]
    because: dict[str, str]
    process: list[str]
    add: list[str]
    stale: list[str]


def judge_title(policy: Policy, title: str) -> TitleVerdict:
    """Check that a title begins with a valid tag in square brackets, in any case."""
    for tag in policy.title.tags:
        if re.match(rf"\[(?:{_tag_pattern(tag)})\]", title, re.IGNORECASE | re.ASCII):
            return TitleVerdict(valid=True, message="", tag=tag.tag, label=tag.label)
    tags = ", ".join(tag.tag for tag in policy.title.tags)
    examples = "; ".join(policy.title.examples)
    return TitleVerdict(
        valid=False,
        message=f"{_fault(title)} A title has the form `{policy.title.format}`. Valid tags, in any case: {tags}."
        + (f" For example: {examples}." if examples else "")
        + " Edit the title; the check turns green by itself.",
    )


def _tag_pattern(tag: Tag) -> str:
    return tag.pattern if tag.pattern is not None else re.escape(tag.tag)


def _fault(title: str) -> str:
    """Say in one sentence what is wrong with an invalid title."""
    if not title.strip():
        return "The title is empty."
    if title[0].isspace():
        return "The title begins with white space; the tag has to come first."
    found = re.match(r"\[([^\]]*)\]", title)
    if found:
        return f"The tag [{found[1][:40]}] is not one of this project's."
    if title.startswith("["):
        return "The bracket of the tag is not closed."
    colon = re.match(r"([A-Za-z-]{2,12})(\([^)]*\))?!?:", title)
    if colon:
        return f"The tag is before a colon (`{colon[0]}`), not in square brackets."
    return "The title does not begin with a tag in square brackets."


def plan(
    policy: Policy,
    *,
    title: str,
    files: Iterable[str],
    current: Iterable[str] = (),
    conflict: bool | None = None,
) -> LabelPlan:
    """Work out the labels of a pull request.

    `files` are the changed names, `current` the labels it carries. `conflict` None means not known: the
    conflict label is then neither given nor called stale. Labels that no rule gives are left alone.
    """
    verdict = judge_title(policy, title)
    names = sorted(set(files))
    because: dict[str, str] = {}
    for scope in policy.labels.scopes:
        first = next((name for name in names if name.startswith(tuple(scope.prefixes))), None)
        if first is not None:
            because[scope.label] = first
    process = [policy.labels.conflict] if conflict else []
    labels = [*([verdict.label] if verdict.label else []), *because, *process]
    carried = list(dict.fromkeys(current))
    kept = [
        label
        for label in carried
        if label in _process_names(policy)
        and label not in process
        and not (conflict is False and label == policy.labels.conflict)
    ]
    by_rule = {tag.label for tag in policy.title.tags} | {scope.label for scope in policy.labels.scopes}
    if conflict is not None:
        by_rule.add(policy.labels.conflict)
    return LabelPlan(
        title=verdict,
        labels=labels,
        type=verdict.label,
        scopes=list(because),
        because=because,
        process=kept + process,
        add=[label for label in labels if label not in carried],
        stale=[label for label in carried if label in by_rule and label not in labels],
    )


def _process_names(policy: Policy) -> set[str | None]:
    return {policy.labels.ready, policy.labels.conflict, policy.labels.block}
