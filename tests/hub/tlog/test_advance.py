"""The one rule, against an oracle that knows both trees."""

from __future__ import annotations

from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.tlog.advance import Relation, relate
from hub.tlog.checkpoint import EMPTY, Head
from hub.tlog.merkle import leaf_hash
from tests.hub.tlog.naive import Naive, items

TO = 40
OTHER = leaf_hash(b"no hash of these trees")
HONEST = Naive(items(TO))


@lru_cache
def tree(forged_from):
    """The trees that share the honest items below ``forged_from``."""
    return HONEST if forged_from is None else Naive(items(TO, forged_from))


def head(of, size):
    return Head(size, of.root(size))


def reverse(relation):
    """The relation seen from the other head."""
    swapped = {
        Relation.EXTENDS: Relation.OLDER,
        Relation.OLDER: Relation.EXTENDS,
    }
    return swapped.get(relation, relation)


def expected(small, large, of, proof):
    """What the hashes of tree ``of`` show about two heads; small.size < large.size."""
    if of.root(large.size) != large.root:
        return Relation.UNPROVEN
    if of.root(small.size) == small.root:
        return Relation.EXTENDS
    # A consistency proof from a power of two carries no node of the old tree, so that
    # it can confirm the old root but never contradict it.
    silent = proof is Naive.consistency and small.size & (small.size - 1) == 0
    return Relation.UNPROVEN if silent else Relation.FORK


@pytest.mark.parametrize("forged_from", [0, 1, 2, 7, 8, 15, 16, 21, 31, 32, 39, None])
def test_every_pair_of_sizes_to_40_honest_and_forked(forged_from):
    """Both trees, both orders, both forms of proof, out of either tree."""
    other = tree(forged_from)
    for n in range(TO + 1):
        for m in range(n, TO + 1):
            small, large = head(HONEST, n), head(other, m)
            if n == m:
                same = small.root == large.root
                assert relate(small, large) is (
                    Relation.SAME if same else Relation.FORK
                )
            elif n == 0:
                assert relate(small, large) is Relation.EXTENDS
                assert relate(large, small) is Relation.OLDER
            else:
                for of in (HONEST, other):
                    for proof in (Naive.consistency, Naive.both_roots):
                        want = expected(small, large, of, proof)
                        hashes = proof(of, n, m)
                        assert relate(small, large, hashes) is want
                        assert relate(large, small, hashes) is reverse(want)


def test_without_a_proof_two_sizes_stay_unproven():
    """That no proof came is not evidence: "no proof exists" cannot be shown."""
    for n in range(1, TO + 1):
        for m in range(n + 1, TO + 1):
            for of in (HONEST, tree(0)):
                assert relate(head(HONEST, n), head(of, m)) is Relation.UNPROVEN


def test_damaged_proofs_prove_nothing():
    for n in range(1, TO + 1):
        for m in range(n + 1, TO + 1):
            for hashes in (HONEST.consistency(n, m), HONEST.both_roots(n, m)):
                damaged = [
                    [*hashes, OTHER],
                    [OTHER] * len(hashes),
                    hashes[:-2],
                    [h[:31] for h in hashes],
                    [h + b"\x00" for h in hashes],
                ]
                for bad in damaged:
                    found = relate(head(HONEST, n), head(HONEST, m), bad)
                    assert found is Relation.UNPROVEN


def test_a_power_of_two_is_convicted_by_the_hashes_of_both_roots_only():
    lie, truth = head(tree(0), 4), head(HONEST, 7)
    assert relate(lie, truth, HONEST.consistency(4, 7)) is Relation.UNPROVEN
    assert relate(lie, truth, HONEST.both_roots(4, 7)) is Relation.FORK


def test_everything_extends_the_empty_tree_which_has_one_root():
    five = head(HONEST, 5)
    assert relate(EMPTY, five) is Relation.EXTENDS
    assert relate(five, EMPTY) is Relation.OLDER
    assert relate(EMPTY, EMPTY) is Relation.SAME
    assert relate(EMPTY, five, [OTHER]) is Relation.EXTENDS
    junk = Head(0, OTHER)
    assert relate(EMPTY, junk) is Relation.FORK
    assert relate(junk, five) is relate(five, junk) is Relation.FORK


def test_a_proof_beside_two_roots_of_one_size_changes_nothing():
    lie, truth = head(tree(3), 9), head(HONEST, 9)
    for proof in (None, [], [OTHER], HONEST.both_roots(4, 9)):
        assert relate(truth, lie, proof) is Relation.FORK
        assert relate(truth, truth, proof) is Relation.SAME


known_hashes = st.sampled_from(
    [HONEST.mth(a, b) for a in range(TO) for b in range(a + 1, TO + 1)]
)


@given(
    st.integers(0, TO),
    st.integers(0, TO),
    st.none() | st.lists(known_hashes | st.just(OTHER), max_size=8),
)
def test_no_hashes_convict_an_honest_log(n, m, proof):
    """Whatever a stranger sends, two honest heads are never a fork."""
    found = relate(head(HONEST, n), head(HONEST, m), proof)
    assert found is not Relation.FORK
    if n == m:
        assert found is Relation.SAME


@given(st.integers(1, 1500), st.integers(1, 1500), st.integers(0, 1500))
def test_larger_logs_are_convicted_exactly_when_they_forked(n, m, forged_from):
    small, large = sorted((n, m))
    honest, forged = Naive(items(small)), Naive(items(large, forged_from))
    lie, truth = head(forged, large), head(honest, small)
    forked = forged_from < small
    if small == large:
        want = Relation.FORK if forked else Relation.SAME
        assert relate(truth, lie) is want
        return
    hashes = forged.both_roots(small, large)
    want = Relation.FORK if forked else Relation.EXTENDS
    assert relate(truth, lie, hashes) is want
    assert relate(lie, truth, hashes) is reverse(want)
