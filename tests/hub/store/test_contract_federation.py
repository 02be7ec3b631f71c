"""Witness state is swapped, vouched heads are counted, evidence is kept once."""

from __future__ import annotations

import pytest

from hub.errors import ConflictError, MalformedError
from hub.store.base import BatchRow, EvidenceRow, Store, StoredHead, Witnessed
from hub.tlog.merkle import Frontier
from tests.hub.store.samples import append


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


@pytest.mark.parametrize("size", [0, 3, 256, 300, 512, 600])
def test_what_is_set_aside_is_no_part_of_the_feed(store: Store, size: int) -> None:
    """After a cut the feed is as if it had never grown beyond, and can grow again."""
    with store.write() as tx:
        old = None
        for stop in (3, 256, 300, 512, 600, 700):
            first = old or 0
            tree = append(tx, "maison", stop - first)
            tx.batches.add(
                "maison", BatchRow(b"%016d" % stop, first, stop - first - 1, b"")
            )
            note = b"note %d" % stop
            tx.heads.replace("maison", old, StoredHead(stop, tree.root(), note))
            tx.heads.add_cosignature("maison", stop, "node2", stop, b"line")
            old = stop
        tx.erasures.order("maison", [1, 650], "maison/2", 5)
        tx.erasures.order("maison", [2], "maison/699", 5)
    with store.read() as tx:
        before = list(tx.objects.lines("maison", 0, 700))
        roots = {
            s: Frontier.of_hashes(s, tx.objects.hash_reader("maison", s)).root()
            for s in (3, 256, 300, 512, 600)
        }
    with store.write() as tx:
        assert tx.federation.set_aside("maison", size, 9) == 700 - size
    with store.read() as tx:
        head = tx.heads.get("maison")
        assert (head.size if head else 0) == tx.objects.size("maison") == size
        if head:
            assert (head.root, head.checkpoint) == (roots[size], b"note %d" % size)
            reader = tx.objects.hash_reader("maison", size)
            assert Frontier.of_hashes(size, reader).root() == roots[size]
        assert list(tx.objects.lines("maison", 0, size)) == before[:size]
        assert tx.federation.aside("maison") == [
            (x.index, x.raw) for x in before[size:]
        ]
        assert all(b.stop <= size for b in tx.batches.list("maison"))
        assert [s for s, _ in tx.heads.checkpoints("maison", size + 1)] == []
        assert tx.heads.cosignatures("maison", 700) == []
        assert list(tx.erasures.hidden("maison", 0, size)) == [1][: size and size > 2]
    with store.write() as tx:
        again = append(tx, "maison", 700 - size)
        assert tx.objects.size("maison") == again.size == 700


def test_a_cut_needs_a_checkpoint(store: Store) -> None:
    """There must be a signed head to go on from."""
    with store.write() as tx:
        tree = append(tx, "maison", 5)
        tx.heads.replace("maison", None, StoredHead(5, tree.root(), b"note"))
        for size in (3, 6):
            with pytest.raises(MalformedError):
                tx.federation.set_aside("maison", size, 9)
