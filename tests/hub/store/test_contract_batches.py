"""Batches are found by id and by place; erasure orders hide, wait and are done."""

from __future__ import annotations

import pytest

from hub.errors import ConflictError
from hub.store.base import ERASURE_DELAY, BatchRow, ErasureOrder, Store

ONE = BatchRow(b"a" * 16, 0, 10, b"k" * 32)
TWO = BatchRow(b"b" * 16, 11, 1, b"l" * 32)


def test_batches_are_found(store: Store) -> None:
    """By id, by any of its entries, and in order."""
    with store.write() as tx:
        tx.batches.add("maison", TWO)
        tx.batches.add("maison", ONE)
        assert tx.batches.find("maison", b"a" * 16) == ONE
        assert tx.batches.find("maison", b"z" * 16) is None
        places = [tx.batches.at("maison", index) for index in (0, 10, 11, 12, 13)]
        assert places == [ONE, ONE, TWO, TWO, None]
        assert tx.batches.list("maison") == [ONE, TWO]
        assert tx.batches.list("maison", start=1) == [TWO]
        assert tx.batches.list("maison", limit=1) == [ONE]


def test_batch_ids_are_of_a_feed(store: Store) -> None:
    """Another feed may use the same id; nothing of it is seen here."""
    with store.write() as tx:
        tx.batches.add("maison", ONE)
        assert tx.batches.find("other", ONE.batch_id) is None
        assert tx.batches.at("other", 0) is None
        tx.batches.add("other", ONE)


@pytest.mark.parametrize(
    "again", [ONE, BatchRow(ONE.batch_id, 11, 1, b""), BatchRow(b"c" * 16, 0, 1, b"")]
)
def test_a_batch_happens_once(store: Store, again: BatchRow) -> None:
    """The same id or the same place a second time is a conflict."""
    with store.write() as tx:
        tx.batches.add("maison", ONE)
        with pytest.raises(ConflictError):
            tx.batches.add("maison", again)
        assert tx.batches.list("maison") == [ONE]


def test_orders_hide(store: Store) -> None:
    """A standing order hides its lines, in the name of the oldest."""
    with store.write() as tx:
        tx.erasures.order("maison", [5, 300], "registry/9", 200)
        tx.erasures.order("maison", [5, 6], "maison/400", 100)
        assert tx.erasures.hidden("maison", 0, 300) == {
            5: "maison/400",
            6: "maison/400",
        }
        assert tx.erasures.hidden("maison", 300, 301) == {300: "registry/9"}
        assert tx.erasures.hidden("other", 0, 1000) == {}
        assert tx.erasures.orders("maison", 5, 6) == [
            ErasureOrder("maison", 5, "maison/400", 100),
            ErasureOrder("maison", 5, "registry/9", 200),
        ]


def test_replaying_an_order_does_not_prolong_it(store: Store) -> None:
    """The delay runs from the first time that the order was stored."""
    with store.write() as tx:
        tx.erasures.order("maison", [5], "maison/400", 100)
        tx.erasures.order("maison", [5], "maison/400", 900)
        assert tx.erasures.due(100 + ERASURE_DELAY) == [
            ErasureOrder("maison", 5, "maison/400", 100)
        ]


def test_due_after_72_hours(store: Store) -> None:
    """Not a second earlier; oldest first; done ones no more."""
    with store.write() as tx:
        tx.erasures.order("maison", [5, 4], "maison/9", 100)
        tx.erasures.order("other", [1], "registry/3", 50)
        assert tx.erasures.due(49 + ERASURE_DELAY) == []
        assert [o.feed for o in tx.erasures.due(99 + ERASURE_DELAY)] == ["other"]
        due = tx.erasures.due(100 + ERASURE_DELAY)
        assert [(o.feed, o.index) for o in due] == [
            ("other", 1),
            ("maison", 4),
            ("maison", 5),
        ]
        assert tx.erasures.due(100 + ERASURE_DELAY, limit=1) == due[:1]
        tx.erasures.mark_deleted("maison", [4, 5])
        assert tx.erasures.due(100 + ERASURE_DELAY) == due[:1]
        assert set(tx.erasures.hidden("maison", 0, 10)) == {4, 5}


def test_void_orders_bring_lines_back(store: Store) -> None:
    """Until it is done, an order can be voided, in every feed that it names."""
    with store.write() as tx:
        tx.erasures.order("maison", [5], "registry/3", 100)
        tx.erasures.order("other", [6], "registry/3", 100)
        tx.erasures.order("other", [7], "registry/4", 100)
        tx.erasures.void("registry/3")
        assert tx.erasures.hidden("maison", 0, 10) == {}
        assert tx.erasures.hidden("other", 0, 10) == {7: "registry/4"}
        assert [o.index for o in tx.erasures.due(ERASURE_DELAY + 999)] == [7]
        assert tx.erasures.orders("maison", 0, 10)[0].voided


def test_an_order_can_be_ignored_for_some_lines(store: Store) -> None:
    """The same entry's order over its other lines stands."""
    with store.write() as tx:
        tx.erasures.order("maison", [5, 6], "maison/9", 100)
        tx.erasures.order("maison", [5], "registry/3", 100)
        tx.erasures.ignore("maison", [5, 7], "maison/9")
        tx.erasures.ignore("other", [6], "maison/9")
        assert tx.erasures.hidden("maison", 0, 10) == {5: "registry/3", 6: "maison/9"}
        # Said again, it stays ignored.
        tx.erasures.order("maison", [5], "maison/9", 200)
        orders = tx.erasures.orders("maison", 5, 6)
        assert [(o.by, o.voided) for o in orders] == [
            ("maison/9", True),
            ("registry/3", False),
        ]


def test_another_order_still_stands(store: Store) -> None:
    """A line under two orders stays hidden when one of them is voided."""
    with store.write() as tx:
        tx.erasures.order("maison", [5], "maison/8", 100)
        tx.erasures.order("maison", [5], "registry/3", 200)
        tx.erasures.void("maison/8")
        assert tx.erasures.hidden("maison", 0, 10) == {5: "registry/3"}


def test_a_loss_is_not_hidden_as_if_nothing_happened(store: Store) -> None:
    """Deleted and voided since, the line is still named with what deleted it."""
    with store.write() as tx:
        tx.erasures.order("maison", [5], "maison/8", 100)
        tx.erasures.mark_deleted("maison", [5])
        tx.erasures.void("maison/8")
        assert tx.erasures.hidden("maison", 0, 10) == {5: "maison/8"}
        (order,) = tx.erasures.orders("maison", 0, 10)
        assert (order.voided, order.deleted) == (True, True)


def test_a_line_that_is_back_is_not_hidden_by_a_void_order(store: Store) -> None:
    """And is deleted by none, while one that stands still hides it."""
    with store.write() as tx:
        tx.erasures.order("maison", [5, 6], "maison/8", 100)
        tx.erasures.order("maison", [6], "registry/3", 100)
        tx.erasures.mark_deleted("maison", [5, 6])
        tx.erasures.void("maison/8")
        tx.erasures.mark_refilled("maison", [5, 6])
        assert tx.erasures.hidden("maison", 0, 10) == {6: "registry/3"}
        assert [o.index for o in tx.erasures.due(100 + ERASURE_DELAY)] == [6]


def test_an_order_from_the_future_counts_from_now(store: Store) -> None:
    """The clock was ahead when it was stored; the line must not wait for that time."""
    with store.write() as tx:
        tx.erasures.order("maison", [1], "maison/3", stored_at=900_000)
        tx.erasures.order("maison", [2], "maison/4", stored_at=50)
        assert tx.erasures.restart(100) == 1
        assert tx.erasures.restart(100) == 0
    with store.read() as tx:
        due = tx.erasures.due(100 + ERASURE_DELAY)
        assert [(order.index, order.stored_at) for order in due] == [(2, 50), (1, 100)]
