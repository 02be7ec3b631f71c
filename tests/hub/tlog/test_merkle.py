"""Trees against the definition, all small sizes, and the official proof vectors."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hub.errors import ProofError
from hub.tlog.merkle import (
    EMPTY_ROOT,
    Frontier,
    ListReader,
    check_consistency,
    check_inclusion,
    leaf_hash,
    leaf_hashes,
    node_hash,
    prove_consistency,
    prove_inclusion,
    prove_roots,
    root_of,
    roots_of_consistency,
)
from tests.hub.tlog.naive import Naive, items

VECTORS = Path(__file__).parents[2] / "vectors"
TO = 300
NAIVE = Naive(items(TO))
LEAVES = NAIVE.leaves
ROOTS = [NAIVE.root(n) for n in range(TO + 1)]
OTHER = hashlib.sha256(b"another hash").digest()
RFC_LEAVES = (
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)
RFC_ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def grown(steps):
    """Extend an empty frontier by leaves in the given steps; return what it named."""
    frontier, named, place = Frontier(), [], 0
    for step in steps:
        leaves = [b"%032d" % i for i in range(place, place + step)]
        frontier, nodes = frontier.extend_with_nodes(leaves)
        named += nodes
        place += step
    return frontier, named


# -- roots and frontiers ---------------------------------------------------------


def test_roots_of_the_well_known_leaves():
    """The roots for sizes 0 to 8 that transparency-dev/merkle publishes."""
    leaves = leaf_hashes([bytes.fromhex(leaf) for leaf in RFC_LEAVES])
    for size, root in enumerate(RFC_ROOTS):
        assert root_of(leaves[:size]).hex() == root


def test_one_leaf_and_many_hash_the_same():
    assert [leaf_hash(item) for item in NAIVE.items] == leaf_hashes(NAIVE.items)
    assert leaf_hashes(NAIVE.items) == LEAVES
    assert root_of([]) == EMPTY_ROOT == Frontier().root()


def test_every_tree_to_300_has_the_root_of_the_definition():
    for n in range(TO + 1):
        assert root_of(LEAVES[:n]) == ROOTS[n]
        assert Frontier().extend(LEAVES[:n]).root() == ROOTS[n]


def test_leaf_by_leaf_is_all_at_once():
    frontier = Frontier()
    for n, leaf in enumerate(LEAVES, 1):
        frontier = frontier.extend([leaf])
        assert (frontier.size, frontier.root()) == (n, ROOTS[n])
        assert frontier == Frontier().extend(LEAVES[:n])
        assert frontier.extend([]) == frontier


def test_extending_in_two_steps_is_extending_in_one():
    for a in range(0, TO, 7):
        first = Frontier().extend(LEAVES[:a])
        for b in range(a, TO + 1, 11):
            assert first.extend(LEAVES[a:b]) == Frontier().extend(LEAVES[:b])


def test_a_frontier_is_read_back_from_hashes():
    for n in range(TO + 1):
        read = Frontier.of_hashes(n, ListReader(LEAVES[:n]))
        assert read == Frontier().extend(LEAVES[:n])


def test_extending_leaves_its_input_alone():
    """The leaves of a batch are hashed again for the batch's own root."""
    leaves = list(LEAVES[:77])
    Frontier().extend(LEAVES[:3]).extend(leaves)
    assert root_of(leaves) == root_of(LEAVES[:77])
    assert leaves == LEAVES[:77]


@pytest.mark.parametrize("step", [1, 90, 255, 256, 257, 1000])
def test_completed_tile_hashes_are_named_once(step):
    """Every full tile of level 0 gives one hash of level 1, in order."""
    leaves = [b"%032d" % i for i in range(1000)]
    steps = [step] * (1000 // step)
    _, named = grown([*steps, 1000 - sum(steps)])
    assert named == [(1, n, root_of(leaves[256 * n : 256 * n + 256])) for n in range(3)]


def test_a_tile_of_tiles_is_named_too():
    """65,536 leaves complete the first hash of level 2."""
    _, whole = grown([65_536])
    _, stepwise = grown([40_000, 25_535, 1])
    assert sorted(stepwise) == whole
    assert [n[:2] for n in whole] == [*((1, i) for i in range(256)), (2, 0)]
    assert whole[-1][2] == root_of([b"%032d" % i for i in range(65_536)])
    assert whole[-1][2] == root_of([h for level, _, h in whole if level == 1])


@given(st.lists(st.integers(0, 700), max_size=8))
def test_any_steps_give_the_same_frontier_and_names(steps):
    frontier, named = grown(steps)
    whole, at_once = grown([sum(steps)])
    assert frontier == whole
    assert sorted(named) == sorted(at_once)


def test_a_reader_gives_nothing_beyond_the_tree():
    """A short answer would make a wrong proof; the mistake is ours, so it is loud."""
    reader = ListReader(LEAVES[:5])
    assert reader.read(1, 0, 2) == [NAIVE.mth(0, 2), NAIVE.mth(2, 4)]
    for level, first, count in [(0, 4, 2), (1, 2, 1), (0, -1, 1)]:
        with pytest.raises(AssertionError):
            reader.read(level, first, count)


# -- inclusion -------------------------------------------------------------------


def test_every_inclusion_proof_to_300_is_that_of_the_definition():
    for size in range(1, TO + 1):
        reader = ListReader(LEAVES[:size])
        for index in range(size):
            proof = prove_inclusion(index, size, reader)
            assert proof == NAIVE.inclusion(index, size)
            check_inclusion(LEAVES[index], index, size, proof, ROOTS[size])


def test_an_inclusion_proof_proves_one_leaf_at_one_place_of_one_tree():
    for size in range(1, 41):
        for index in range(size):
            proof = NAIVE.inclusion(index, size)
            root, leaf = ROOTS[size], LEAVES[index]
            bad = [
                (OTHER, index, size, proof, root),
                (leaf, index, size, proof, OTHER),
                (leaf, index, size, [*proof, OTHER], root),
                (leaf, -1, size, proof, root),
                (leaf, size, size, proof, root),
                (leaf + b"\x00", index, size, proof, root),
                *((leaf, i, size, proof, root) for i in range(size) if i != index),
                *((leaf, index, size, cut(proof, i), root) for i in range(len(proof))),
                *((leaf, index, size, swap(proof, i), root) for i in range(len(proof))),
                *(
                    (leaf, index, size, short(proof, i), root)
                    for i in range(len(proof))
                ),
            ]
            for case in bad:
                with pytest.raises(ProofError):
                    check_inclusion(*case)


def cut(proof, i):
    return proof[:i] + proof[i + 1 :]


def swap(proof, i):
    return [*proof[:i], OTHER, *proof[i + 1 :]]


def short(proof, i):
    return [*proof[:i], proof[i][:31], *proof[i + 1 :]]


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3)])
def test_there_is_no_proof_of_a_leaf_that_is_not_there(index, size):
    with pytest.raises(ProofError):
        prove_inclusion(index, size, ListReader(LEAVES[:size]))


# -- consistency -----------------------------------------------------------------


def test_every_consistency_proof_to_300_is_that_of_the_definition():
    for new in range(1, TO + 1):
        reader = ListReader(LEAVES[:new])
        for old in range(1, new + 1):
            proof = prove_consistency(old, new, reader)
            assert proof == NAIVE.consistency(old, new)
            check_consistency(old, ROOTS[old], new, ROOTS[new], proof)


def test_the_hashes_of_both_roots_yield_both_roots():
    """Nothing else is needed: neither root goes in."""
    for new in range(2, TO + 1, 3):
        reader = ListReader(LEAVES[:new])
        for old in range(1, new):
            hashes = prove_roots(old, new, reader)
            assert hashes == NAIVE.both_roots(old, new)
            assert roots_of_consistency(old, new, hashes) == (ROOTS[old], ROOTS[new])


def test_a_consistency_proof_proves_two_sizes_and_two_roots():
    for new in range(1, 41):
        for old in range(1, new + 1):
            proof = NAIVE.consistency(old, new)
            a, b = ROOTS[old], ROOTS[new]
            bad = [
                (old, OTHER, new, b, proof),
                (old, a, new, OTHER, proof),
                (old, a, new, b, [*proof, OTHER]),
                (old, a[:31], new, b, proof),
                (0, a, new, b, proof),
                (-1, a, new, b, proof),
                (new + 1, ROOTS[new + 1], new, b, proof),
                *((old, a, new, b, cut(proof, i)) for i in range(len(proof))),
                *((old, a, new, b, swap(proof, i)) for i in range(len(proof))),
                *((old, a, new, b, short(proof, i)) for i in range(len(proof))),
            ]
            for case in bad:
                with pytest.raises(ProofError):
                    check_consistency(*case)


def test_hashes_of_another_shape_yield_no_roots():
    for new in range(2, 41):
        for old in range(1, new):
            hashes = NAIVE.both_roots(old, new)
            for bad in (
                [],
                hashes[:-1],
                [*hashes, OTHER],
                short(hashes, 0),
                short(hashes, len(hashes) - 1),
            ):
                with pytest.raises(ProofError):
                    roots_of_consistency(old, new, bad)
    for old, new in [(0, 4), (4, 4), (5, 4), (-1, 4)]:
        with pytest.raises(ProofError):
            roots_of_consistency(old, new, [OTHER])


@pytest.mark.parametrize("prove", [prove_consistency, prove_roots])
@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3), (-1, 3), (0, 0)])
def test_there_is_no_consistency_from_nothing_or_backwards(prove, old, new):
    with pytest.raises(ProofError):
        prove(old, new, ListReader(LEAVES[:new]))


# -- beyond ----------------------------------------------------------------------


@given(st.integers(1, 5000), st.data())
def test_larger_trees_agree_with_the_definition(size, data):
    tree = Naive(items(size))
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    reader = ListReader(tree.leaves)
    inclusion = prove_inclusion(index, size, reader)
    consistency = prove_consistency(old, size, reader)
    assert root_of(tree.leaves) == tree.root(size)
    assert inclusion == tree.inclusion(index, size)
    assert consistency == tree.consistency(old, size)
    check_inclusion(tree.leaves[index], index, size, inclusion, tree.root(size))
    check_consistency(old, tree.root(old), size, tree.root(size), consistency)


@given(st.integers(0, 2**63 - 1), st.integers(1, 2**63 - 1), st.data())
def test_proofs_of_enormous_trees_end_and_are_refused(index, size, data):
    """Sizes come from strangers; the work is bounded by the proof's length."""
    assume(index < size)
    proof = data.draw(st.lists(st.binary(min_size=32, max_size=32), max_size=70))
    with pytest.raises(ProofError):
        check_inclusion(OTHER, index, size, proof, OTHER[::-1])
    with pytest.raises(ProofError):
        check_consistency(index, OTHER, size, OTHER[::-1], proof)


def test_a_leaf_cannot_pass_as_a_node():
    """The prefixes 0 and 1 keep an inner node from being shown as a leaf."""
    left, right = LEAVES[:2]
    assert leaf_hash(left + right) != node_hash(left, right)


# -- the official proofs ---------------------------------------------------------


def cases(kind):
    found = json.loads((VECTORS / "rfc6962-proofs.json").read_text())[kind]
    assert len(found) == 98
    return [pytest.param(case, id=case["name"]) for case in found]


def decoded(value):
    return b64decode(value or "")


@pytest.mark.parametrize("case", cases("inclusion"))
def test_official_inclusion_proofs(case):
    """98 proofs, good and bad (transparency-dev/merkle)."""
    given_case = (
        decoded(case["leafHash"]),
        case["leafIdx"],
        case["treeSize"],
        [decoded(h) for h in case["proof"] or []],
        decoded(case["root"]),
    )
    if case["wantErr"]:
        with pytest.raises(ProofError):
            check_inclusion(*given_case)
    else:
        check_inclusion(*given_case)


@pytest.mark.parametrize("case", cases("consistency"))
def test_official_consistency_proofs(case):
    """98 proofs, good and bad (transparency-dev/merkle)."""
    given_case = (
        case["size1"],
        decoded(case["root1"]),
        case["size2"],
        decoded(case["root2"]),
        [decoded(h) for h in case["proof"] or []],
    )
    if case["wantErr"]:
        with pytest.raises(ProofError):
            check_consistency(*given_case)
    else:
        check_consistency(*given_case)
