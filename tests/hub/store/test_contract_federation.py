"""Witness state is swapped, vouched heads are counted, evidence is kept once."""

from __future__ import annotations

import pytest

from hub.errors import ConflictError
from hub.store.base import EvidenceRow, Store, StoredHead, Witnessed


def test_witness_state_is_compared_and_swapped(store: Store) -> None:
    """Two workers that saw the same state cannot both cosign."""
    first, second = Witnessed(3, b"a" * 32, 100), Witnessed(5, b"b" * 32, 101)
    with store.write() as tx:
        assert tx.federation.witnessed("maison") is None
        tx.federation.witness("maison", None, first)
        with pytest.raises(ConflictError):
            tx.federation.witness("maison", None, second)
        tx.federation.witness("maison", first, second)
        assert tx.federation.witnessed("maison") == second
        assert tx.federation.witnessed("market") is None


def test_vouched_counts_distinct_nodes(store: Store) -> None:
    """One node's two lines count once; a size without a checkpoint does not count."""
    nodes = ("node2", "node3")
    with store.write() as tx:
        assert tx.federation.vouched("maison", nodes, 1) == 0
        for old, size in ((None, 3), (3, 6), (6, 9)):
            note = b"note %d" % size
            tx.heads.replace("maison", old, StoredHead(size, bytes(32), note))
        for size, node, time in (
            (3, "node2", 1),
            (3, "node3", 2),
            (6, "node2", 3),
            (6, "node2", 4),
            (6, "node9", 5),
            (12, "node2", 6),
            (12, "node3", 7),
        ):
            tx.heads.add_cosignature("maison", size, node, time, b"x")
        assert tx.federation.vouched("maison", nodes, 1) == 6
        assert tx.federation.vouched("maison", nodes, 2) == 3
        assert tx.federation.vouched("maison", nodes, 3) == 0


def test_evidence_is_kept_once(store: Store) -> None:
    """The same fact in other bytes is known already."""
    first = EvidenceRow("fork/maison/aa", "fork", "maison", 4, b"one", 10)
    again = EvidenceRow("fork/maison/aa", "fork", "maison", 4, b"two", 11)
    other = EvidenceRow("rollback/node2", "witness-rollback", "market", 0, b"w", 5)
    with store.write() as tx:
        assert tx.federation.add_evidence(first)
        assert not tx.federation.add_evidence(again)
        assert tx.federation.add_evidence(other)
    with store.read() as tx:
        assert tx.federation.evidence() == [other, first]
        assert tx.federation.evidence("maison") == [first]
