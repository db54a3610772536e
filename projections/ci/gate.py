"""The merge gate: each condition met or not, why, since when, and by which event.

Pure: `evolve` takes one input into the state, `evaluate` reads the conditions off it, and `judge`
folds a whole history so that it can say since when a condition has its present state. What was known
at 14:00 is the same fold over the inputs known at 14:00.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import msgspec

from projections.ci import labels, lanes, statuses
from projections.ci.policy import Condition, Policy
from projections.ci.statuses import Aggregate, Board, ContextState, Report


class PullSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A pull request as it was seen at one moment. mergeable: None when the source had not worked it out."""

    repository: str
    number: int
    title: str
    state: str
    head_sha: str
    event_id: str
    at: str
    recorded_at: str = ""
    draft: bool = False
    merged: bool = False
    mergeable: bool | None = None
    mergeable_state: str | None = None
    labels: list[str] = []
    author: str = ""
    head_ref: str = ""
    base_ref: str = ""

    def order(self) -> tuple[str, str, str]:
        """The key of the latest sight; two of one second are told apart by the order of recording."""
        return (self.at, self.recorded_at, self.event_id)


class ReviewSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What one reviewer said."""

    reviewer: str
    state: str
    at: str
    event_id: str
    recorded_at: str = ""
    review_id: int = 0
    sha: str | None = None

    def order(self) -> tuple[str, int, bool, str, str]:
        """The key of the latest word; a dismissal keeps the time and number of the review it takes back."""
        return (self.at, self.review_id, self.state == "dismissed", self.recorded_at, self.event_id)


class ChangeSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The files a commit changes against its base."""

    sha: str
    files: list[str]
    event_id: str
    recorded_at: str = ""


Input = PullSeen | ReviewSeen | ChangeSeen | Report


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """One input and when this ledger learned it (ISO 8601 UTC)."""

    input: Input
    learned_at: str


class GateState(msgspec.Struct, kw_only=True):
    """What is known of one pull request. Reports and changes are by commit; only the head's count.

    posted_counts: where the changed files are not known, an aggregate that was posted as success is taken
    for it. For descriptions by hand only: the ledger never does.
    """

    posted_counts: bool = False
    pull: PullSeen | None = None
    mergeable: dict[str, PullSeen] = {}
    reviews: dict[str, ReviewSeen] = {}
    boards: dict[str, Board] = {}
    changes: dict[str, ChangeSeen] = {}
    starts: dict[str, list[lanes.LaneStart]] = {}


class ConditionState(msgspec.Struct, frozen=True, kw_only=True):
    """One merge condition. since and by: when it became what it is, and the event that made it so.

    event_ids: everything it rests on now. advisory: shown, not blocking.
    """

    id: str
    kind: str
    met: bool
    advisory: bool
    why: str
    event_ids: list[str]
    since: str | None = None
    by: str | None = None


class GateVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a pull request may be merged. aggregates: {tier: {mode: Aggregate}} of its head.

    conflict: whether its head conflicts with the base; null when not known. files: what its head changes; null
    when not known.
    """

    mergeable: bool
    pull: PullSeen | None
    conflict: bool | None
    files: list[str] | None
    conditions: list[ConditionState]
    contexts: dict[str, ContextState]
    aggregates: dict[str, dict[str, Aggregate]]


def evolve(policy: Policy, state: GateState, seen: Input) -> None:
    """Take one input into the state, in place. The order of inputs does not matter for what results."""
    if isinstance(seen, PullSeen):
        if seen.mergeable is not None:
            # GitHub works conflicts out later and sends null until then: the last word on this head stays
            old = state.mergeable.get(seen.head_sha)
            if old is None or seen.order() >= old.order():
                state.mergeable[seen.head_sha] = seen
        if state.pull is None or seen.order() >= state.pull.order():
            state.pull = seen
    elif isinstance(seen, ReviewSeen):
        if seen.state in ("commented", "pending"):
            return  # neither an approval nor a rejection
        known = state.reviews.get(seen.reviewer)
        if known is None or seen.order() >= known.order():
            state.reviews[seen.reviewer] = seen
    elif isinstance(seen, ChangeSeen):
        old_change = state.changes.get(seen.sha)
        if old_change is None or (seen.recorded_at, seen.event_id) >= (old_change.recorded_at, old_change.event_id):
            state.changes[seen.sha] = seen
            state.starts[seen.sha] = lanes.started(policy, seen.files)
    else:
        state.boards.setdefault(seen.sha, Board()).take(seen)


def evaluate(policy: Policy, state: GateState) -> GateVerdict:
    """Read every condition off the state, without `since`."""
    pull = state.pull
    sha = pull.head_sha if pull else ""
    change = state.changes.get(sha)
    contexts = state.boards[sha].states() if sha in state.boards else {}
    totals = statuses.aggregates(policy, contexts, state.starts.get(sha), basis=change.event_id if change else None)
    word = state.mergeable.get(sha)
    facts = _Facts(policy=policy, state=state, pull=pull, contexts=contexts, aggregates=totals)
    found = []
    for rule in policy.merge.conditions:
        met, why, ids = _JUDGES[rule.kind](facts, rule) if pull else _NEVER_SEEN
        found.append(
            ConditionState(
                id=rule.id,
                kind=rule.kind,
                met=met,
                advisory=rule.advisory,
                why=why,
                event_ids=ids,
            )
        )
    return GateVerdict(
        mergeable=all(c.met or c.advisory for c in found),
        pull=pull,
        conditions=found,
        conflict=not word.mergeable if word else None,
        files=change.files if change else None,
        contexts=contexts,
        aggregates=totals,
    )


def settle(policy: Policy, inputs: Iterable[Input]) -> GateVerdict:
    """Read the conditions off a whole history, without saying since when each holds: the quick half of `judge`."""
    state = GateState()
    for seen in inputs:
        evolve(policy, state, seen)
    return evaluate(policy, state)


def judge(policy: Policy, history: Iterable[Known], *, posted_counts: bool = False) -> GateVerdict:
    """Fold a history in the order it was learned; say of each condition since when it holds, and by which event."""
    state = GateState(posted_counts=posted_counts)
    since: dict[str, tuple[bool, str, str]] = {}
    verdict = evaluate(policy, state)
    for known in history:
        evolve(policy, state, known.input)
        verdict = evaluate(policy, state)
        for condition in verdict.conditions:
            before = since.get(condition.id)
            if before is None or before[0] != condition.met:
                since[condition.id] = (condition.met, known.learned_at, known.input.event_id)
    return msgspec.structs.replace(
        verdict,
        conditions=[
            msgspec.structs.replace(c, since=since[c.id][1] or None, by=since[c.id][2]) if c.id in since else c
            for c in verdict.conditions
        ],
    )


class _Facts(msgspec.Struct, kw_only=True):
    policy: Policy
    state: GateState
    pull: PullSeen | None
    contexts: dict[str, ContextState]
    aggregates: dict[str, dict[str, Aggregate]]

    @property
    def head(self) -> PullSeen:
        assert self.pull is not None
        return self.pull


_Answer = tuple[bool, str, list[str]]
_NEVER_SEEN: _Answer = (False, "this pull request was never seen", [])


def _context(facts: _Facts, rule: Condition) -> _Answer:
    assert rule.context is not None
    if rule.pattern:
        found = [s for c, s in facts.contexts.items() if re.search(rule.context, c)]
    else:
        found = [facts.contexts[rule.context]] if rule.context in facts.contexts else []
    passing = [s for s in found if s.state in facts.policy.passing_states]
    if passing:
        return True, f"{passing[0].context} is {passing[0].state}", [s.event_id for s in passing]
    sha = facts.head.head_sha[:12]
    if not found:
        why = f"{rule.context} has reported nothing for {sha}"
        return rule.optional, why + ("; it need not" if rule.optional else ""), []
    told = f": {found[0].description}" if found[0].description else ""
    return False, f"{found[0].context} is {found[0].state} for {sha}{told}", [s.event_id for s in found]


def _aggregate(facts: _Facts, rule: Condition) -> _Answer:
    assert rule.tier is not None
    total = facts.aggregates[rule.tier][facts.policy.aggregates]
    posted = facts.contexts.get(total.context)
    if facts.policy.aggregates == "observed" and not total.green and posted and posted.state == "success":
        # what the older rule does: a green once posted is never taken back
        return True, f"{total.context} was posted as success", [posted.event_id]
    blind = facts.head.head_sha not in facts.state.changes
    if facts.state.posted_counts and blind and total.state == "pending" and posted and posted.state == "success":
        return True, f"{total.context} is given as success; the changed files are not", [posted.event_id]
    return total.green, f"{total.context} is {total.state}: {total.description}", total.event_ids


def _approvals(facts: _Facts, rule: Condition) -> _Answer:
    given = [
        review
        for review in facts.state.reviews.values()
        if review.state == "approved" and review.reviewer != facts.head.author
    ]
    names = ", ".join(sorted(review.reviewer for review in given)) or "no reviewer"
    why = f"{len(given)} of {rule.at_least} approving reviews: {names}"
    return len(given) >= rule.at_least, why, [review.event_id for review in given]


def _title(facts: _Facts, _rule: Condition) -> _Answer:
    verdict = labels.judge_title(facts.policy, facts.head.title)
    return verdict.valid, f"tag {verdict.tag}" if verdict.valid else verdict.message, [facts.head.event_id]


def _not_draft(facts: _Facts, _rule: Condition) -> _Answer:
    return not facts.head.draft, "a draft" if facts.head.draft else "not a draft", [facts.head.event_id]


def _no_conflict(facts: _Facts, _rule: Condition) -> _Answer:
    known = facts.state.mergeable.get(facts.head.head_sha)
    if known is None:
        return False, "GitHub has not said yet whether it conflicts with its base", [facts.head.event_id]
    why = "no conflict with its base" if known.mergeable else "conflicts with its base"
    return bool(known.mergeable), why, [known.event_id]


def _open(facts: _Facts, _rule: Condition) -> _Answer:
    what = "merged" if facts.head.merged else facts.head.state
    return facts.head.state == "open" and not facts.head.merged, f"it is {what}", [facts.head.event_id]


def _label(facts: _Facts, rule: Condition) -> _Answer:
    carried = rule.label in facts.head.labels
    return carried, f"label {rule.label} is {'set' if carried else 'not set'}", [facts.head.event_id]


def _no_label(facts: _Facts, rule: Condition) -> _Answer:
    carried = rule.label in facts.head.labels
    return not carried, f"label {rule.label} is {'set' if carried else 'not set'}", [facts.head.event_id]


_JUDGES: dict[str, Callable[[_Facts, Condition], _Answer]] = {
    "context": _context,
    "aggregate": _aggregate,
    "approvals": _approvals,
    "title": _title,
    "not_draft": _not_draft,
    "no_conflict": _no_conflict,
    "open": _open,
    "label": _label,
    "no_label": _no_label,
}
