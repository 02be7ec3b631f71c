"""Transactions: all or nothing, one snapshot, one writer."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hub.errors import ConflictError, RefusedError
from hub.store.base import Store, StoredHead
from tests.hub.store.samples import append

HEAD = StoredHead(3, b"r" * 32, b"note\n")


def test_commit_stays(store: Store) -> None:
    """What a finished transaction wrote is there for the next one."""
    with store.write() as tx:
        append(tx, "maison", 3)
        tx.heads.replace("maison", None, HEAD)
        tx.node.set_meta("alliance", "alliance.example")
    with store.read() as tx:
        assert tx.objects.size("maison") == 3
        assert tx.heads.all() == {"maison": HEAD}
        assert tx.node.get_meta("alliance") == "alliance.example"


def test_own_writes_are_seen(store: Store) -> None:
    """A transaction reads what it has written itself."""
    with store.write() as tx:
        append(tx, "maison", 300)
        assert tx.objects.size("maison") == 300
        assert len(tx.objects.digests("maison", 0, 300)) == 300


def test_exception_rolls_back_everything(store: Store) -> None:
    """An exception in the block undoes every port, new feeds included."""
    with store.write() as tx:
        append(tx, "maison", 3)
        tx.node.set_meta("alliance", "a")

    def spoiled() -> None:
        with store.write() as tx:
            append(tx, "maison", 600)
            append(tx, "other", 2)
            tx.heads.replace("other", None, HEAD)
            tx.erasures.order("maison", [0], "maison/2", 5)
            tx.objects.erase("maison", [0])
            tx.node.set_meta("alliance", "b")
            tx.node.use_nonce("k", "n", 9, 1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        spoiled()
    with store.write() as tx:
        assert tx.objects.size("maison") == 3
        assert tx.objects.size("other") == 0
        assert tx.heads.all() == {}
        assert tx.erasures.orders("maison", 0, 3) == []
        assert next(tx.objects.lines("maison", 0, 1)).raw is not None
        assert tx.node.get_meta("alliance") == "a"
        tx.node.use_nonce("k", "n", 9, 1)


def test_interrupt_rolls_back(store: Store) -> None:
    """Even what is not an ``Exception`` rolls back."""

    def interrupted() -> None:
        with store.write() as tx:
            append(tx, "maison", 3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with store.read() as tx:
        assert tx.objects.size("maison") == 0


def test_snapshot_does_not_move(store: Store) -> None:
    """A reader sees one state from entry to end, also where it looks late."""
    with store.write() as tx:
        append(tx, "maison", 3)
    with store.read() as old:
        with store.write() as tx:
            append(tx, "maison", 600)
            append(tx, "other", 1)
            tx.objects.erase("maison", [1])
            tx.node.set_meta("k", "v")
        assert old.objects.size("maison") == 3
        assert old.objects.size("other") == 0
        assert old.node.get_meta("k") is None
        assert all(line.raw for line in old.objects.lines("maison", 0, 3))
    with store.read() as new:
        assert new.objects.size("maison") == 603


def test_uncommitted_is_invisible(store: Store) -> None:
    """Nobody sees a transaction that is not finished."""
    with store.write() as tx:
        append(tx, "maison", 3)
        with store.read() as other:
            assert other.objects.size("maison") == 0


def test_reads_nest(store: Store) -> None:
    """A reader may open a second snapshot, which is as new as it can be."""
    with store.read() as outer:
        with store.write() as tx:
            append(tx, "maison", 1)
        with store.read() as inner:
            assert (outer.objects.size("maison"), inner.objects.size("maison")) == (
                0,
                1,
            )


def test_write_in_write_is_a_mistake(store: Store) -> None:
    """A thread that waited for itself would wait for ever, so it is told."""
    with (
        store.write(),
        pytest.raises(AssertionError, match="does not nest"),
        store.write(),
    ):
        pass
    with store.write() as tx:
        append(tx, "maison", 1)


def test_snapshot_refuses_writes(store: Store) -> None:
    """A read transaction changes nothing, whatever it is asked."""
    with store.read() as tx:
        with pytest.raises(AssertionError, match="snapshot"):
            tx.node.set_meta("k", "v")
        with pytest.raises(AssertionError, match="snapshot"):
            tx.heads.replace("maison", None, HEAD)


def test_nothing_outlives_its_transaction(store: Store) -> None:
    """Ports, streams and hash readers are over when their transaction is."""
    with store.write() as tx:
        append(tx, "maison", 600)
    with store.read() as tx:
        lines = tx.objects.lines("maison", 0, 600)
        next(lines)
        reader = tx.objects.hash_reader("maison", 600)
    with pytest.raises(AssertionError, match="over"):
        tx.objects.size("maison")
    with pytest.raises(AssertionError, match="over"):
        reader.read(0, 0, 1)
    with pytest.raises(AssertionError, match="over"):
        list(tx.objects.lines("maison", 0, 600))


def test_caller_may_go_on_after_a_conflict(store: Store) -> None:
    """A refused call wrote nothing, so the rest of the transaction may commit."""
    with store.write() as tx:
        append(tx, "maison", 3)
        with pytest.raises(ConflictError):
            tx.objects.append("maison", 2, [b"x"], [b"d" * 32], [])
        with pytest.raises(ConflictError):
            tx.heads.replace("maison", 7, HEAD)
        tx.heads.replace("maison", None, HEAD)
    with store.read() as tx:
        assert tx.heads.get("maison") == HEAD


def test_writers_take_turns(store: Store) -> None:
    """Read-then-write of many threads loses nothing and fails nowhere."""

    def work() -> None:
        for _ in range(10):
            with store.write() as tx:
                seen = int(tx.node.get_meta("n") or "0")
                tx.node.set_meta("n", str(seen + 1))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as tx:
        assert tx.node.get_meta("n") == "60"


def test_index_is_there(store: Store) -> None:
    """Every transaction has the index, which can be emptied at will."""
    with store.write() as tx:
        tx.index.clear()


def test_backup_never_overwrites(store: Store, tmp_path: Path) -> None:
    """A backup goes to a new file or nowhere."""
    target = tmp_path / "taken"
    target.write_bytes(b"precious")
    with pytest.raises(RefusedError):
        store.backup(target)
    assert target.read_bytes() == b"precious"
