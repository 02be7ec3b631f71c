"""Trees against the definition, all small sizes, and the official proof vectors."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

import pytest

from hub.errors import ProofError
from hub.tlog.advance import Relation, relate
from hub.tlog.checkpoint import EMPTY, Head
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
    root_of,
)

VECTORS = Path(__file__).parents[2] / "vectors"
LEAVES = leaf_hashes([b"%d" % i for i in range(300)])


def naive(leaves):
    """The recursive definition of RFC 6962 section 2.1."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(naive(leaves[:k]), naive(leaves[k:]))


ROOTS = [naive(LEAVES[:n]) for n in range(301)]


def test_roots_of_the_rfc_leaves():
    """The roots published for the eight well-known leaves."""
    items = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
    leaves = leaf_hashes([bytes.fromhex(i) for i in items])
    known = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    }
    for size, root in known.items():
        assert root_of(leaves[:size]).hex() == root


def test_every_tree_to_300_has_the_root_of_the_definition():
    for n in range(301):
        assert root_of(LEAVES[:n]) == ROOTS[n]
        assert Frontier().extend(LEAVES[:n]).root() == ROOTS[n]


def test_extending_in_two_steps_is_extending_in_one():
    for a in range(0, 300, 7):
        first = Frontier().extend(LEAVES[:a])
        for b in range(a, 301, 11):
            assert first.extend(LEAVES[a:b]) == Frontier().extend(LEAVES[:b])


def test_frontier_is_read_back_from_hashes():
    for n in range(1, 301):
        read = Frontier.of_hashes(n, ListReader(LEAVES[:n]))
        assert read == Frontier().extend(LEAVES[:n])


def test_completed_tiles_are_named_once():
    leaves = leaf_hashes([b"%d" % i for i in range(1000)])
    frontier, seen = Frontier(), []
    for start in range(0, 1000, 90):
        frontier, nodes = frontier.extend_with_nodes(leaves[start : start + 90])
        seen += nodes
    assert seen == [(1, n, root_of(leaves[256 * n : 256 * n + 256])) for n in range(3)]
    _, whole = Frontier().extend_with_nodes(leaves)
    assert whole == seen


def test_every_inclusion_proof_to_100_and_no_other_index():
    for size in range(1, 101):
        reader = ListReader(LEAVES[:size])
        for index in range(size):
            proof = prove_inclusion(index, size, reader)
            check_inclusion(LEAVES[index], index, size, proof, ROOTS[size])
            with pytest.raises(ProofError):
                check_inclusion(LEAVES[index], index, size, proof, ROOTS[size + 1])
            if size > 1:
                other = (index + 1) % size
                with pytest.raises(ProofError):
                    check_inclusion(LEAVES[other], index, size, proof, ROOTS[size])


def test_every_pair_of_sizes_to_100_relates():
    for new in range(1, 101):
        reader = ListReader(LEAVES[:new])
        for old in range(1, new + 1):
            proof = prove_consistency(old, new, reader)
            check_consistency(old, ROOTS[old], new, ROOTS[new], proof)
            a, b = Head(old, ROOTS[old]), Head(new, ROOTS[new])
            if old < new:
                assert relate(a, b, proof) is Relation.EXTENDS
                assert relate(b, a, proof) is Relation.OLDER
                assert relate(a, b) is Relation.UNPROVEN
                assert relate(a, b, proof[:-1]) is Relation.UNPROVEN
    assert relate(EMPTY, Head(5, ROOTS[5])) is Relation.EXTENDS


def test_a_fork_is_proved_by_the_larger_tree():
    """Hashes that yield the larger root and another smaller root convict."""
    forged = [leaf_hash(b"forged"), *LEAVES[1:60]]
    for new in range(2, 60):
        reader = ListReader(LEAVES[:new])
        for old in range(1, new):
            lie = Head(old, root_of(forged[:old]))
            proof = prove_consistency(old, new, reader)
            if old & (old - 1) == 0:
                proof = [ROOTS[old], *proof]
            truth = Head(new, ROOTS[new])
            assert relate(lie, truth, proof) is Relation.FORK
            assert relate(truth, lie, proof) is Relation.FORK
            assert relate(Head(old, ROOTS[old]), truth, proof) is not Relation.FORK
    assert relate(lie, Head(lie.size, ROOTS[lie.size])) is Relation.FORK


@pytest.mark.parametrize("kind", ["inclusion", "consistency"])
def test_official_proofs(kind):
    """98 proofs of each kind, good and bad (transparency-dev/merkle)."""
    # Four vectors are about roots that are not 32 bytes or about an old size of 0.
    odd = 0
    for case in json.loads((VECTORS / "rfc6962-proofs.json").read_text())[kind]:
        proof = [b64decode(h or "") for h in case["proof"] or []]
        try:
            if kind == "inclusion":
                check_inclusion(
                    b64decode(case["leafHash"] or ""),
                    case["leafIdx"],
                    case["treeSize"],
                    proof,
                    b64decode(case["root"] or ""),
                )
            else:
                roots = [b64decode(case[r] or "") for r in ("root1", "root2")]
                check_consistency(
                    case["size1"], roots[0], case["size2"], roots[1], proof
                )
            failed = False
        except ProofError:
            failed = True
        odd += failed != case["wantErr"]
    assert odd <= (2 if kind == "inclusion" else 4)
