"""Which approval policy is in force, from the rules of docs/reseed.md: pins, signed changes, rivals."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from projections.authority.policy import NONE, at_least_as_strict
from tests.projections.authority.samples import by, fold, policy

P0 = policy(2, "abc", lineage="team")
STRICTER = policy(2, "ab", after=P0, lineage="team", origin="theirs")
LAXER = policy(1, "abc", after=P0, lineage="team", origin="theirs")


def test_without_any_policy_one_unsigned_approver_is_needed() -> None:
    assert fold([]).in_force == (NONE,)


def test_a_change_is_in_force_once_as_many_keys_as_the_policy_before_asks_for_signed_it() -> None:
    assert fold([P0, LAXER], by(LAXER, "a")).in_force == (P0,)
    assert fold([P0, LAXER], by(LAXER, "ab")).in_force == (LAXER,)
    assert fold([P0, LAXER], by(LAXER, "aa")).in_force == (P0,)
    assert fold([P0, LAXER], by(LAXER, "a!!")).in_force == (P0,)


def test_even_a_stricter_change_needs_the_signatures_of_the_policy_before() -> None:
    """Else whoever can write the log could ask for what nobody can give."""
    assert fold([P0, STRICTER], by(STRICTER, "a")).in_force == (P0,)
    assert fold([P0, STRICTER], by(STRICTER, "ac")).in_force == (STRICTER,)


def test_a_key_that_a_change_removed_signs_no_later_one() -> None:
    later = policy(1, "c", after=STRICTER, lineage="team")
    found = fold([P0, STRICTER, later], by(STRICTER, "ab"), by(later, "ac"))
    assert found.in_force == (STRICTER,)
    assert "1 of 2 keys of the policy before signed it" in found.set_aside[0].why


def test_of_two_that_replace_the_same_one_the_stricter_holds() -> None:
    found = fold([P0, STRICTER, LAXER], by(STRICTER, "ab"), by(LAXER, "bc"))
    assert found.in_force == (STRICTER,)
    assert {one.digest for one in found.rivals} == {STRICTER.digest, LAXER.digest}


def test_of_two_where_neither_is_the_stricter_both_hold_until_one_change_settles_them() -> None:
    one, other = (policy(2, keys, after=P0, lineage="team") for keys in ("ad", "bd"))
    words = [by(one, "ab"), by(other, "bc")]
    assert set(fold([P0, one, other], *words).in_force) == {one, other}
    settled = policy(1, "d", after=one, settles=(other.digest,), lineage="team")
    assert set(fold([P0, one, other, settled], *words, by(settled, "ad")).in_force) == {one, other}
    assert fold([P0, one, other, settled], *words, by(settled, "adb")).in_force == (settled,)


def test_a_late_rival_never_takes_back_what_was_decided_since() -> None:
    later = policy(2, "bd", after=STRICTER, lineage="team")
    found = fold([P0, STRICTER, later, LAXER], by(STRICTER, "ab"), by(later, "ab"), by(LAXER, "ac"))
    assert later in found.in_force and STRICTER not in found.in_force


def test_what_expired_keys_signed_adds_its_demands_and_ends_none() -> None:
    found = fold([P0, LAXER], by(LAXER, "aB"))
    assert found.in_force == (P0,)
    other = policy(1, "d", after=P0, lineage="team")
    assert set(fold([P0, other], by(other, "AB")).in_force) == {P0, other}


def test_a_policy_of_another_ledger_is_not_in_force() -> None:
    foreign = policy(1, "a", after=P0, lineage="theirs")
    found = fold([P0, foreign], by(foreign, "ab"))
    assert found.in_force == (P0,)
    assert found.set_aside[0].why == "it is of another ledger"


def test_from_a_pin_on_only_signatures_count() -> None:
    root = policy(1, None, origin="theirs", at=9)
    assert fold([P0, root], anchor=P0).in_force == (P0,)
    unsigned = policy(1, None, lineage="team")
    stricter = policy(3, None, after=unsigned, lineage="team")
    found = fold([unsigned, stricter], by(stricter, "abc"), anchor=unsigned)
    assert found.in_force == (unsigned,)
    assert "only another pin replaces it" in found.set_aside[0].why
    assert fold([P0, STRICTER], by(STRICTER, "ab"), anchor=P0).in_force == (STRICTER,)
    assert fold([P0, STRICTER], by(STRICTER, "ab"), anchor=STRICTER).in_force == (STRICTER,)


def test_without_a_pin_another_machines_first_policy_can_only_make_it_stricter() -> None:
    ours = policy(2, "ab")
    for theirs in (
        policy(1, None, origin="theirs"),
        policy(1, "abd", origin="theirs"),
        policy(1, "d", origin="theirs"),
    ):
        found = fold([ours, theirs])
        assert any(at_least_as_strict(one, ours) for one in found.in_force)
    stricter = policy(2, "a", origin="theirs")
    assert fold([ours, stricter]).in_force == (stricter,)


def test_a_policy_without_signers_is_made_laxer_on_this_machine_alone_by_as_many_people_as_it_asks_for() -> None:
    two = policy(2, None)
    theirs = policy(1, None, after=two, origin="theirs")
    assert fold([two, theirs], by(theirs, "abc")).in_force == (two,)
    ours = policy(1, None, after=two)
    assert fold([two, ours], by(ours, "a")).in_force == (two,)
    assert fold([two, ours], by(ours, "ab")).in_force == (ours,)
    stricter = policy(1, "a", after=policy(1, None), origin="theirs")
    assert fold([policy(1, None), stricter]).in_force == (stricter,)


def test_the_last_first_policy_of_a_machine_is_its_first_policy() -> None:
    """Format 1 knew no `replaces`: each policy overrode the one before."""
    early, late = policy(2, "ab", at=1), policy(1, None, at=2)
    found = fold([late, early])
    assert found.in_force == (late,)
    assert found.set_aside[0].why == "its machine adopted another one later"


KINDS = st.tuples(st.integers(1, 3), st.sampled_from(["a", "ab", "abc", "bcd", None]), st.integers(0, 5))


@given(st.lists(KINDS, max_size=6), st.data())
def test_what_is_in_force_does_not_depend_on_the_order_in_which_it_was_learned(
    kinds: list[tuple[int, str | None, int]], data: st.DataObject
) -> None:
    made, words = [P0], []
    for place, (needed, keys, parent) in enumerate(kinds):
        after = made[parent % len(made)]
        change = policy(needed, keys, after=after, lineage="team", reason=str(place), origin="theirs")
        made.append(change)
        words.append(by(change, data.draw(st.text("abcdABCD", max_size=4))))
    wanted = fold(made, *words, anchor=P0)
    shuffled = data.draw(st.permutations(made))
    found = fold(shuffled, *data.draw(st.permutations(words)), anchor=P0)
    assert found.in_force == wanted.in_force
    assert found.known.keys() == wanted.known.keys()


@given(st.lists(KINDS, max_size=6), st.data())
def test_whoever_holds_too_few_of_the_keys_changes_nothing(
    kinds: list[tuple[int, str | None, int]], data: st.DataObject
) -> None:
    """The holder of one key of a policy that asks for two, with any number of keys of their own."""
    made, words = [P0], []
    for place, (needed, keys, parent) in enumerate(kinds):
        after = made[parent % len(made)]
        change = policy(needed, keys, after=after, lineage="team", reason=str(place), origin="theirs")
        made.append(change)
        words.append(by(change, data.draw(st.text("ad!A", max_size=4)), origin="theirs"))
    assert fold(made, *words, anchor=P0).in_force == (P0,)
    assert fold(made, *words).in_force == (P0,)
