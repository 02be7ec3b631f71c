"""Heads, checkpoints and cosignatures in SQLite."""

from __future__ import annotations

from hub.errors import ConflictError
from hub.store.records import CosignatureRow, StoredHead
from hub.store.session import Session

__all__ = ["SqliteHeads"]


class SqliteHeads:
    """The ``Heads`` port; see ``hub.store.base`` for what it promises."""

    def __init__(self, session: Session):
        self._session = session

    def get(self, feed: str) -> StoredHead | None:
        """Return the head of ``feed``, or None if it never had one."""
        row = self._session.row(
            "SELECT size, root, checkpoint FROM heads JOIN checkpoints"
            " USING (feed, size) WHERE feed = ?",
            (self._session.feed(feed),),
        )
        return StoredHead(*row) if row else None

    def all(self) -> dict[str, StoredHead]:
        """Return the heads of all feeds, by name, in alphabetical order."""
        rows = self._session.rows(
            "SELECT name, size, root, checkpoint FROM heads JOIN checkpoints"
            " USING (feed, size) JOIN feeds ON feeds.id = feed ORDER BY name"
        )
        return {name: StoredHead(*head) for name, *head in rows}

    def replace(self, feed: str, old_size: int | None, head: StoredHead) -> None:
        """Swap the head of ``feed`` if its size is still ``old_size``.

        Raises:
            ConflictError: The head has another size now; the message names it.
        """
        number = self._session.new_feed(feed)
        if old_size is None:
            changed = self._session.run(
                "INSERT INTO heads (feed, size, root) VALUES (?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (number, head.size, head.root),
            )
        else:
            changed = self._session.run(
                "UPDATE heads SET size = ?, root = ? WHERE feed = ? AND size = ?",
                (head.size, head.root, number, old_size),
            )
        if not changed:
            raise self._conflict(feed)
        # If we crash here, then the head is swapped but its note is not stored:
        # nothing of it is durable before the commit that holds both.
        self._session.run(
            "INSERT OR REPLACE INTO checkpoints (feed, size, checkpoint)"
            " VALUES (?, ?, ?)",
            (number, head.size, head.checkpoint),
        )

    def _conflict(self, feed: str) -> ConflictError:
        known = self.get(feed)
        size = "no head" if known is None else f"a head of size {known.size}"
        return ConflictError(f"The feed {feed} has {size} now.")

    def checkpoints(
        self, feed: str, from_size: int, limit: int = 1000
    ) -> list[tuple[int, bytes]]:
        """Return (size, note) of at most ``limit`` stored checkpoints, by size."""
        rows = self._session.rows(
            "SELECT size, checkpoint FROM checkpoints WHERE feed = ? AND size >= ?"
            " ORDER BY size LIMIT ?",
            (self._session.feed(feed), from_size, limit),
        )
        return [(size, note) for size, note in rows]

    def add_checkpoint(self, feed: str, size: int, note: bytes) -> None:
        """Keep the note of a size below the head, unless there is one already."""
        self._session.run(
            "INSERT OR IGNORE INTO checkpoints (feed, size, checkpoint)"
            " VALUES (?, ?, ?)",
            (self._session.new_feed(feed), size, note),
        )

    def add_cosignature(
        self, feed: str, size: int, node: str, time: int, line: bytes
    ) -> None:
        """Keep ``line`` if it is the earliest or the newest of that node and size."""
        place = (self._session.new_feed(feed), size, node)
        self._session.run(
            "INSERT OR IGNORE INTO cosignatures (feed, size, node, time, line)"
            " VALUES (?, ?, ?, ?, ?)",
            (*place, time, line),
        )
        self._session.run(
            "DELETE FROM cosignatures WHERE feed = ?1 AND size = ?2 AND node = ?3"
            " AND time NOT IN ("
            "SELECT min(time) FROM cosignatures"
            " WHERE feed = ?1 AND size = ?2 AND node = ?3 UNION ALL "
            "SELECT max(time) FROM cosignatures"
            " WHERE feed = ?1 AND size = ?2 AND node = ?3)",
            place,
        )

    def cosignatures(self, feed: str, size: int) -> list[CosignatureRow]:
        """Return what is kept for the checkpoint of that size, by node and time."""
        rows = self._session.rows(
            "SELECT node, time, line FROM cosignatures WHERE feed = ? AND size = ?"
            " ORDER BY node, time",
            (self._session.feed(feed), size),
        )
        return [CosignatureRow(*row) for row in rows]
