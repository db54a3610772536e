"""What would stand at GitHub: four states only, 140 characters, and text of strangers that can do nothing."""

from __future__ import annotations

import pytest

from commands.ci.work import posts
from ledger.events.checks import CommandDecided
from projections.ci.gate import ConditionState, GateVerdict, PullSeen
from projections.ci.policy import Policy
from projections.ci.statuses import STATES, Aggregate, ContextState

SHA = "a" * 40


def aggregate(mode: str, state: str, description: str = "2 of 2") -> Aggregate:
    """The aggregate of one tier in one mode."""
    return Aggregate(
        tier="t",
        context="t-passed",
        mode=mode,
        state=state,
        description=description,
        members=[],
        missing=[],
        failing=[],
        waiting=[],
        event_ids=["e1"],
    )


def own(name: str, state: str, description: str = "said") -> ContextState:
    """The state of one context."""
    return ContextState(context=name, state=state, at="", event_id=f"of {name}", description=description)


@pytest.fixture
def policy() -> Policy:
    from commands.ci.chosen import default

    return default().policy


@pytest.mark.parametrize(
    ("state", "posted"),
    [
        ("success", "success"),
        ("failure", "failure"),
        ("error", "error"),
        ("cancelled", "error"),
        ("pending", "pending"),
        ("skipped", "pending"),
        ("neutral", "pending"),
    ],
)
def test_only_a_success_is_posted_as_one(policy: Policy, state: str, posted: str) -> None:
    assert state in STATES
    name = posts.OWN_CONTEXTS[0]
    (post,) = posts.status_posts(policy, "o/r", SHA, {name: own(name, state)}, {})
    assert post.body["state"] == posted
    assert (post.path, post.stream) == (f"/repos/o/r/statuses/{SHA}", f"publication/o/r/{SHA}")
    assert post.basis == [f"of {name}"]


def test_the_mode_of_the_policy_decides_which_aggregate_is_posted(policy: Policy) -> None:
    other = "observed" if policy.aggregates == "strict" else "strict"
    totals = {"t": {policy.aggregates: aggregate(policy.aggregates, "failure"), other: aggregate(other, "success")}}
    assert [post.body["state"] for post in posts.status_posts(policy, "o/r", SHA, {}, totals)] == ["failure"]


def test_contexts_of_others_are_never_posted_again(policy: Policy) -> None:
    contexts = {name: own(name, "success") for name in ("pre-commit", "buildkite/ci/x", *posts.OWN_CONTEXTS)}
    found = posts.status_posts(policy, "o/r", SHA, contexts, {})
    assert [post.subject for post in found] == list(posts.OWN_CONTEXTS)


@pytest.mark.parametrize(("length", "kept"), [(139, 139), (140, 140), (141, 140), (5000, 140)])
def test_a_description_has_140_characters_at_most_and_shows_where_it_was_cut(
    policy: Policy, length: int, kept: int
) -> None:
    name = posts.OWN_CONTEXTS[0]
    (post,) = posts.status_posts(policy, "o/r", SHA, {name: own(name, "failure", "x" * length)}, {})
    assert len(post.body["description"]) == kept
    assert post.body["description"].endswith("…") == (length > 140)


@pytest.mark.parametrize(("reaction", "kinds"), [("rocket", ["reaction", "comment"]), ("", ["comment"])])
def test_an_answer_is_always_a_reply_and_a_reaction_where_there_is_one(reaction: str, kinds: list[str]) -> None:
    decided = CommandDecided(
        repository="o/r",
        number=7,
        comment_id=9,
        item=2,
        text="/merge",
        known=True,
        allowed=True,
        answer="done",
        policy="p",
        reaction=reaction,
    )
    found = posts.answer_posts(decided, "e")
    assert [post.kind for post in found] == kinds
    assert found[-1].path == "/repos/o/r/issues/7/comments" and found[-1].body == {"body": "done"}
    assert all(post.basis == ["e"] and post.stream == "publication/o/r/comment-9" for post in found)
    assert len({post.subject for post in found}) == len(found) and all("2" in post.subject for post in found)


def verdict(why: str, *, met: bool = False, advisory: bool = False, mergeable: bool = False) -> GateVerdict:
    """A gate of one condition."""
    pull = PullSeen(repository="o/r", number=7, title="t", state="open", head_sha=SHA, event_id="p", at="")
    condition = ConditionState(
        id="title",
        kind="title",
        met=met,
        advisory=advisory,
        why=why,
        event_ids=[],
        since="2026-06-01T10:00:00Z",
        by="e",
    )
    return GateVerdict(
        pull=pull,
        conditions=[condition],
        mergeable=mergeable,
        conflict=None,
        files=None,
        contexts={},
        aggregates={},
    )


@pytest.mark.parametrize(
    ("why", "cell"),
    [
        ("fine", "fine"),
        ("a|b", "a\\|b"),
        ("a\nb", "a b"),
        ("@org/all", "@&#8203;org/all"),
        ("<img src=x>", "\\<img src=x>"),
    ],
)
def test_text_of_a_stranger_stays_one_cell_that_mentions_nobody(why: str, cell: str) -> None:
    post = posts.gate_post(verdict(why), "policy p")
    (row,) = [line for line in post.body["body"].splitlines() if "| title |" in line]
    assert row == f"| **no** | title | {cell} | 2026-06-01T10:00:00 |"


@pytest.mark.parametrize(
    ("met", "advisory", "shown"),
    [
        (True, False, "| yes |"),
        (False, False, "| **no** |"),
        (True, True, "| yes (advisory) |"),
        (False, True, "| **no** (advisory) |"),
    ],
)
def test_a_condition_that_does_not_block_says_so(met: bool, advisory: bool, shown: str) -> None:
    assert shown in posts.gate_post(verdict("w", met=met, advisory=advisory), "p").body["body"]


@pytest.mark.parametrize(("mergeable", "head"), [(True, "**Ready to merge**"), (False, "**Not ready to merge**")])
def test_the_first_words_are_the_verdict_and_the_last_name_the_policy(mergeable: bool, head: str) -> None:
    post = posts.gate_post(verdict("w", mergeable=mergeable), "policy p, version 1")
    lines = post.body["body"].splitlines()
    assert lines[0] == f"{head} at `{SHA[:12]}`" and "policy p, version 1" in lines[-1]
    assert post.basis == ["e"] and post.stream == "publication/o/r/pull-7"
