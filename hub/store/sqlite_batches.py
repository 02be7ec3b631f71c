"""Batches and erasure orders in SQLite."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from hub.errors import ConflictError
from hub.store.records import ERASURE_DELAY, BatchRow, ErasureOrder
from hub.store.session import Session

__all__ = ["SqliteBatches", "SqliteErasures"]


class SqliteBatches:
    """The ``Batches`` port; see ``hub.store.base`` for what it promises."""

    def __init__(self, session: Session):
        self._session = session

    def add(self, feed: str, batch: BatchRow) -> None:
        """Remember a batch.

        Raises:
            ConflictError: Its id or its place is taken in that feed.
        """
        added = self._session.run(
            "INSERT INTO batches (feed, first, count, batch_id, key)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                self._session.new_feed(feed),
                batch.first,
                batch.count,
                batch.batch_id,
                batch.key,
            ),
        )
        if not added:
            raise ConflictError(f"The feed {feed} already holds that batch.")

    def find(self, feed: str, batch_id: bytes) -> BatchRow | None:
        """Return the batch with that id."""
        row = self._session.row(
            "SELECT batch_id, first, count, key FROM batches"
            " WHERE feed = ? AND batch_id = ?",
            (self._session.feed(feed), batch_id),
        )
        return BatchRow(*row) if row else None

    def at(self, feed: str, index: int) -> BatchRow | None:
        """Return the batch that holds entry ``index``, its header included."""
        row = self._session.row(
            "SELECT batch_id, first, count, key FROM batches"
            " WHERE feed = ? AND first <= ? ORDER BY first DESC LIMIT 1",
            (self._session.feed(feed), index),
        )
        batch = BatchRow(*row) if row else None
        return batch if batch and index < batch.stop else None

    def list(
        self, feed: str, start: int = 0, limit: int = 1000
    ) -> builtins.list[BatchRow]:
        """Return at most ``limit`` batches whose header is at ``start`` or above."""
        rows = self._session.rows(
            "SELECT batch_id, first, count, key FROM batches"
            " WHERE feed = ? AND first >= ? ORDER BY first LIMIT ?",
            (self._session.feed(feed), start, limit),
        )
        return [BatchRow(*row) for row in rows]


class SqliteErasures:
    """The ``Erasures`` port; see ``hub.store.base`` for what it promises."""

    def __init__(self, session: Session):
        self._session = session

    def order(self, feed: str, indices: Sequence[int], by: str, stored_at: int) -> None:
        """Remember that entry ``by`` orders these lines to be erased."""
        number = self._session.new_feed(feed)
        self._session.many(
            "INSERT OR IGNORE INTO erasures"
            " (feed, entry, ordered_by, stored_at, voided, deleted)"
            " VALUES (?, ?, ?, ?, 0, 0)",
            ((number, index, by, stored_at) for index in indices),
        )

    def void(self, by: str) -> None:
        """Withdraw every order of entry ``by``: what is not yet deleted is back."""
        self._session.run("UPDATE erasures SET voided = 1 WHERE ordered_by = ?", (by,))

    def ignore(self, feed: str, indices: Sequence[int], by: str) -> None:
        """Withdraw the order of entry ``by`` over these lines alone."""
        number = self._session.feed(feed)
        self._session.many(
            "UPDATE erasures SET voided = 1"
            " WHERE feed = ? AND entry = ? AND ordered_by = ?",
            ((number, index, by) for index in indices),
        )

    def orders(self, feed: str, start: int, stop: int) -> list[ErasureOrder]:
        """Return all orders over a range, void ones too, by index and age."""
        rows = self._session.rows(
            "SELECT entry, ordered_by, stored_at, voided, deleted FROM erasures"
            " WHERE feed = ? AND entry >= ? AND entry < ?"
            " ORDER BY entry, stored_at, ordered_by",
            (self._session.feed(feed), start, stop),
        )
        return [
            ErasureOrder(feed, entry, by, at, bool(voided), bool(deleted))
            for entry, by, at, voided, deleted in rows
        ]

    def hidden(self, feed: str, start: int, stop: int) -> dict[int, str]:
        """Return which lines of a range are not to be shown, and by whose order."""
        rows = self._session.rows(
            "SELECT entry, ordered_by FROM erasures"
            " WHERE feed = ? AND entry >= ? AND entry < ? AND (deleted OR NOT voided)"
            " ORDER BY entry, voided DESC, stored_at DESC, ordered_by DESC",
            (self._session.feed(feed), start, stop),
        )
        # The last row of an entry wins: a standing order before a void one, then
        # the oldest.
        return dict(rows)

    def due(self, now: int, limit: int = 10_000) -> list[ErasureOrder]:
        """Return standing orders stored 72 hours ago or earlier, not yet done."""
        rows = self._session.rows(
            "SELECT name, entry, ordered_by, stored_at FROM erasures"
            " JOIN feeds ON feeds.id = feed"
            " WHERE NOT voided AND NOT deleted AND stored_at <= ?"
            " ORDER BY stored_at, name, entry LIMIT ?",
            (now - ERASURE_DELAY, limit),
        )
        return [ErasureOrder(*row) for row in rows]

    def restart(self, now: int) -> int:
        """Let orders that seem to be from the future count from now; count them."""
        return self._session.run(
            "UPDATE erasures SET stored_at = ?1 WHERE stored_at > ?1 AND NOT deleted",
            (now,),
        )

    def mark_deleted(self, feed: str, indices: Sequence[int]) -> None:
        """Note that these lines are gone; belongs in the transaction of ``erase``."""
        number = self._session.feed(feed)
        self._session.many(
            "UPDATE erasures SET deleted = 1 WHERE feed = ? AND entry = ?",
            ((number, index) for index in indices),
        )

    def mark_refilled(self, feed: str, indices: Sequence[int]) -> None:
        """Note that these lines are back; belongs in the transaction of ``refill``."""
        number = self._session.feed(feed)
        self._session.many(
            "UPDATE erasures SET deleted = 0 WHERE feed = ? AND entry = ?",
            ((number, index) for index in indices),
        )
