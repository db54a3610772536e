"""The tree of RFC 6962: held against an implementation written from its text, and against published vectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.proofs import merkle
from ledger.proofs.merkle import DoesNotHold, Lookup
from tests.ledger.proofs import rfc6962
from tests.ledger.proofs.vectors import CT_CONSISTENCY, CT_EMPTY_ROOT, CT_LEAVES, CT_PATHS, CT_ROOTS

SMALL = 40
DATA = [n.to_bytes(32, "big") for n in range(700)]


def leaves_of(data: list[bytes]) -> Lookup:
    """Knows single leaves only, so that everything above them is computed."""
    hashes = [merkle.leaf_hash(item) for item in data]
    return lambda start, end: hashes[start] if end - start == 1 else None


LEAVES = leaves_of(DATA)


def test_the_vectors_of_certificate_transparency_come_out() -> None:
    """cpp/merkletree/merkle_tree_test.cc; also by the implementation the other tests compare with."""
    lookup = leaves_of(CT_LEAVES)
    assert merkle.root(lookup, 0, 0).hex() == rfc6962.mth([]).hex() == CT_EMPTY_ROOT
    for size, root in enumerate(CT_ROOTS, 1):
        assert merkle.root(lookup, 0, size).hex() == rfc6962.mth(CT_LEAVES[:size]).hex() == root
    for (leaf, size), path in CT_PATHS.items():
        assert [step.hex() for step in merkle.inclusion(lookup, leaf - 1, size)] == path
        assert [step.hex() for step in rfc6962.path(leaf - 1, CT_LEAVES[:size])] == path
    for (old, new), path in CT_CONSISTENCY.items():
        assert [step.hex() for step in merkle.consistency(lookup, old, new)] == path
        assert [step.hex() for step in rfc6962.proof(old, CT_LEAVES[:new])] == path


def test_every_proof_in_every_small_tree_is_the_one_of_the_rfc_and_holds() -> None:
    for size in range(1, SMALL):
        data = DATA[:size]
        root = rfc6962.mth(data)
        assert merkle.root(LEAVES, 0, size) == root
        for index in range(size):
            path = merkle.inclusion(LEAVES, index, size)
            assert path == rfc6962.path(index, data)
            merkle.check_inclusion(merkle.leaf_hash(data[index]), index, size, path, root)
        for old in range(1, size + 1):
            path = merkle.consistency(LEAVES, old, size)
            assert path == rfc6962.proof(old, data)
            merkle.check_consistency(old, size, rfc6962.mth(data[:old]), root, path)


@given(st.data())
def test_any_proof_in_a_larger_tree_is_the_one_of_the_rfc_and_holds(data: st.DataObject) -> None:
    new = data.draw(st.integers(1, len(DATA)))
    old, index = data.draw(st.integers(1, new)), data.draw(st.integers(0, new - 1))
    path, between = merkle.inclusion(LEAVES, index, new), merkle.consistency(LEAVES, old, new)
    root = rfc6962.mth(DATA[:new])
    assert (path, between) == (rfc6962.path(index, DATA[:new]), rfc6962.proof(old, DATA[:new]))
    merkle.check_inclusion(merkle.leaf_hash(DATA[index]), index, new, path, root)
    merkle.check_consistency(old, new, rfc6962.mth(DATA[:old]), root, between)


def test_a_path_holds_at_its_own_place_only() -> None:
    """Every index of every size: a path that holds at another place would prove an event that is not there."""
    size, index = 21, 13
    root, leaf = rfc6962.mth(DATA[:size]), merkle.leaf_hash(DATA[index])
    path = rfc6962.path(index, DATA[:size])
    for other_size in range(1, SMALL):
        for other in range(-1, other_size + 1):
            # of (index, size) a path tells only on which side each step goes: several sizes have the same
            if (other, other_size) == (index, size) or sides(other, other_size) == sides(index, size):
                continue
            with pytest.raises(DoesNotHold):
                merkle.check_inclusion(leaf, other, other_size, path, root)


def sides(index: int, size: int) -> list[bool]:
    """On which side the steps of a path go, from the text of the RFC: whether the sibling is on the left."""
    if not 0 <= index < size:
        return []
    if size == 1:
        return []
    k = rfc6962.largest_power_of_two_below(size)
    return [*sides(index, k), False] if index < k else [*sides(index - k, size - k), True]


@pytest.mark.parametrize("change", ["missing first", "missing last", "one more", "swapped", "other leaf", "other root"])
def test_a_changed_path_is_refused(change: str) -> None:
    size, index = 21, 13
    root, leaf, path = rfc6962.mth(DATA[:size]), merkle.leaf_hash(DATA[index]), rfc6962.path(index, DATA[:size])
    changed = {
        "missing first": path[1:],
        "missing last": path[:-1],
        "one more": [*path, root],
        "swapped": [path[1], path[0], *path[2:]],
    }.get(change, path)
    if change == "other leaf":
        leaf = merkle.leaf_hash(DATA[index + 1])
    if change == "other root":
        root = rfc6962.mth(DATA[: size + 1])
    with pytest.raises(DoesNotHold):
        merkle.check_inclusion(leaf, index, size, changed, root)


def test_a_leaf_is_never_taken_for_a_node() -> None:
    """RFC 6962, 2.1: the two prefixes give second preimage resistance."""
    left, right = (merkle.leaf_hash(item) for item in DATA[:2])
    inner = left + right
    with pytest.raises(DoesNotHold):
        merkle.check_inclusion(merkle.leaf_hash(inner), 0, 1, [], rfc6962.mth(DATA[:2]))


def test_a_history_that_forked_has_no_consistency_proof() -> None:
    """Whatever steps are offered: those of either history, in any mix of lengths, do not connect the two."""
    for old in range(2, 20):
        forked = [*DATA[: old - 1], b"another event"]
        for new in range(old, 24):
            ours, theirs = DATA[:new], [*forked, *DATA[old:new]]
            for path in (rfc6962.proof(old, ours), rfc6962.proof(old, theirs)):
                with pytest.raises(DoesNotHold):
                    merkle.check_consistency(old, new, rfc6962.mth(forked), rfc6962.mth(ours), path)


def test_a_changed_consistency_proof_is_refused() -> None:
    for old in range(1, 20):
        for new in range(old + 1, 20):
            path = rfc6962.proof(old, DATA[:new])
            roots = rfc6962.mth(DATA[:old]), rfc6962.mth(DATA[:new])
            wrong = [path[:-1], [*path, path[-1]], [bytes(32), *path[1:]], [*path[:-1], bytes(32)], []]
            for changed in (one for one in wrong if one != path):
                with pytest.raises(DoesNotHold):
                    merkle.check_consistency(old, new, *roots, changed)
            with pytest.raises(DoesNotHold):
                merkle.check_consistency(new, old, *roots[::-1], path)


def test_the_empty_tree_and_equal_trees_need_no_proof_and_take_none() -> None:
    root = rfc6962.mth(DATA[:5])
    merkle.check_consistency(0, 5, merkle.EMPTY_ROOT, root, [])
    merkle.check_consistency(5, 5, root, root, [])
    for old, old_root, path in ((0, root, []), (0, merkle.EMPTY_ROOT, [root]), (5, bytes(32), []), (5, root, [root])):
        with pytest.raises(DoesNotHold):
            merkle.check_consistency(old, 5, old_root, root, path)
