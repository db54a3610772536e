"""Of two policies one is the stricter if whatever satisfies it satisfies the other; where neither is, both hold."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from projections.authority.policy import Document, Policy, at_least_as_strict, check, digest_of, strictest
from tests.projections.authority.samples import KEYS, policy

POLICIES = st.builds(
    policy,
    st.integers(1, 4),
    st.one_of(st.none(), st.sets(st.sampled_from(KEYS), min_size=1).map(lambda s: "".join(sorted(s)))),
    covers=st.sampled_from([("reseed",), ("apply",), ("apply", "reseed")]),
)


def satisfied(one: Policy, approved: Iterable[str]) -> bool:
    """Whether approvals by these keys satisfy a policy, from the words of the rule: as many distinct as it asks for,
    of those it lists."""
    counted = set(approved)
    if one.signed:
        counted &= {signer.principals for signer in one.usable}
    return len(counted) >= one.needed


@given(POLICIES, POLICIES)
def test_a_stricter_policy_is_satisfied_by_nothing_that_does_not_satisfy_the_other(one: Policy, other: Policy) -> None:
    groups = [group for n in range(len(KEYS) + 1) for group in itertools.combinations(KEYS, n)]
    implied = all(satisfied(other, group) for group in groups if satisfied(one, group))
    covered = set(other.document.covers) <= set(one.document.covers)
    if at_least_as_strict(one, other):
        assert implied and covered
    elif covered and other.signed == one.signed and one.needed <= len(one.usable or KEYS):
        assert not implied, "what implies the other is never called incomparable, unless nobody can satisfy it"


@given(POLICIES, POLICIES, POLICIES)
def test_stricter_is_an_order(one: Policy, other: Policy, third: Policy) -> None:
    assert at_least_as_strict(one, one)
    if at_least_as_strict(one, other) and at_least_as_strict(other, third):
        assert at_least_as_strict(one, third)


@given(st.lists(POLICIES, min_size=1, max_size=5), st.randoms())
def test_the_strictest_are_the_same_in_whatever_order_and_imply_all_others(
    policies: list[Policy], random: object
) -> None:
    found = strictest(policies)
    assert found == strictest(reversed(policies)) == strictest([*policies, *policies])
    for one in policies:
        assert any(at_least_as_strict(kept, one) for kept in found)
    for one, other in itertools.permutations(found, 2):
        assert not at_least_as_strict(one, other)


def test_neither_of_two_groups_of_people_is_the_stricter() -> None:
    one, other = policy(2, "ab"), policy(2, "cd")
    assert set(strictest([one, other])) == {one, other}


def test_a_policy_that_asks_for_nobody_asks_for_one() -> None:
    assert policy(0, None).needed == policy(-3, "ab").needed == 1


def test_the_digest_is_over_every_field() -> None:
    base = Document(approvals=1)
    others = [
        Document(approvals=2),
        Document(approvals=1, allowed_signers="a"),
        Document(approvals=1, covers=()),
        Document(approvals=1, lineage="l"),
        Document(approvals=1, reason="r"),
        Document(approvals=1, replaces=""),
        Document(approvals=1, settles=("",)),
    ]
    assert len({digest_of(one) for one in [base, *others]}) == len(Document.__struct_fields__) + 1


def test_what_is_checked_before_it_is_adopted_can_be_satisfied() -> None:
    check(policy(2, "ab").document)
    check(Document(approvals=3))
