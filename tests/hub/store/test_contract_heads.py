"""Heads are swapped, checkpoints and cosignatures are kept."""

from __future__ import annotations

import pytest

from hub.errors import ConflictError
from hub.store.base import CosignatureRow, Store, StoredHead


def head(size: int, mark: bytes = b"a") -> StoredHead:
    return StoredHead(size, mark * 32, b"note %d %s\n\xff" % (size, mark))


def test_no_head(store: Store) -> None:
    """An unknown feed has no head, no checkpoints, no cosignatures."""
    with store.read() as tx:
        assert tx.heads.get("maison") is None
        assert tx.heads.all() == {}
        assert tx.heads.checkpoints("maison", 0) == []
        assert tx.heads.cosignatures("maison", 0) == []


def test_first_head_only_once(store: Store) -> None:
    """``None`` swaps only where there is no head, also after an empty one."""
    with store.write() as tx:
        tx.heads.replace("maison", None, head(0))
        with pytest.raises(ConflictError, match="size 0"):
            tx.heads.replace("maison", None, head(4))
        assert tx.heads.get("maison") == head(0)


def test_swap_compares(store: Store) -> None:
    """A writer that saw another size is told which size there is."""
    with store.write() as tx:
        with pytest.raises(ConflictError, match="no head"):
            tx.heads.replace("maison", 3, head(4))
        tx.heads.replace("maison", None, head(3))
        with pytest.raises(ConflictError, match="size 3"):
            tx.heads.replace("maison", 2, head(4))
        tx.heads.replace("maison", 3, head(4))
        assert tx.heads.get("maison") == head(4)


def test_feeds_do_not_meet(store: Store) -> None:
    """Each feed has its own head; all of them come in order of name."""
    with store.write() as tx:
        for name, size in (("zeta", 1), ("alpha", 2), ("registry", 3)):
            tx.heads.replace(name, None, head(size))
    with store.read() as tx:
        assert list(tx.heads.all().items()) == [
            ("alpha", head(2)),
            ("registry", head(3)),
            ("zeta", head(1)),
        ]


def test_checkpoints_are_kept(store: Store) -> None:
    """Every head leaves its note; of two of one size, the newer."""
    with store.write() as tx:
        tx.heads.replace("maison", None, head(3))
        tx.heads.replace("maison", 3, head(9))
        tx.heads.replace("maison", 9, head(9, b"b"))
        tx.heads.replace("maison", 9, head(12))
        tx.heads.replace("other", None, head(5))
        notes = [(h.size, h.checkpoint) for h in (head(3), head(9, b"b"), head(12))]
        assert tx.heads.checkpoints("maison", 0) == notes
        assert tx.heads.checkpoints("maison", 4, limit=1) == notes[1:2]
        assert tx.heads.get("maison") == head(12)


def test_earliest_and_newest_cosignature(store: Store) -> None:
    """Of each node and size two lines stay, in whatever order they arrive."""
    with store.write() as tx:
        for time in (50, 20, 70, 30, 70, 20, 60):
            tx.heads.add_cosignature("maison", 5, "node2", time, b"line %d" % time)
        tx.heads.add_cosignature("maison", 5, "node1", 40, b"one")
        tx.heads.add_cosignature("maison", 6, "node2", 45, b"bigger")
        assert tx.heads.cosignatures("maison", 5) == [
            CosignatureRow("node1", 40, b"one"),
            CosignatureRow("node2", 20, b"line 20"),
            CosignatureRow("node2", 70, b"line 70"),
        ]
        assert tx.heads.cosignatures("maison", 6) == [
            CosignatureRow("node2", 45, b"bigger")
        ]


def test_a_note_below_the_head_is_kept(store: Store) -> None:
    """One that stands there already stays, and the head is as it was."""
    with store.write() as tx:
        tx.heads.replace("maison", None, StoredHead(5, b"r" * 32, b"five"))
        tx.heads.add_checkpoint("maison", 3, b"three")
        tx.heads.add_checkpoint("maison", 3, b"other")
        tx.heads.add_checkpoint("maison", 5, b"other")
    with store.read() as tx:
        assert tx.heads.checkpoints("maison", 0) == [(3, b"three"), (5, b"five")]
        assert tx.heads.get("maison") == StoredHead(5, b"r" * 32, b"five")


def test_cosignature_of_one_time_stays_as_it_was(store: Store) -> None:
    """A second line of the same second does not replace the first."""
    with store.write() as tx:
        tx.heads.add_cosignature("maison", 5, "node1", 40, b"first")
        tx.heads.add_cosignature("maison", 5, "node1", 40, b"second")
        assert [row.line for row in tx.heads.cosignatures("maison", 5)] == [b"first"]
