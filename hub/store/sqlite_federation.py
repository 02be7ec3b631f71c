"""Witness state, vouched heads and evidence in SQLite."""

from __future__ import annotations

from collections.abc import Collection

from hub.errors import ConflictError, MalformedError
from hub.store.federation_port import EvidenceRow, Witnessed
from hub.store.session import Session
from hub.store.sqlite_objects import SqliteObjects
from hub.tlog.merkle import EMPTY_ROOT, Frontier

__all__ = ["SqliteFederation"]

_CUT = (
    "DELETE FROM batches WHERE feed = ? AND first >= ?",
    "DELETE FROM checkpoints WHERE feed = ? AND size > ?",
    "DELETE FROM cosignatures WHERE feed = ? AND size > ?",
    "DELETE FROM erasures WHERE feed = ? AND entry >= ?",
    # An order that was given above the cut orders nothing any more.
    """DELETE FROM erasures WHERE ordered_by IN (SELECT feeds.name || '/' || entry
        FROM set_aside JOIN feeds ON feeds.id = set_aside.feed
        WHERE set_aside.feed = ? AND entry >= ?)""",
)


class SqliteFederation:
    """The ``Federation`` port; see ``hub.store.federation_port``."""

    def __init__(self, session: Session):
        self._session = session

    def witnessed(self, feed: str) -> Witnessed | None:
        """Return what this node last cosigned of a feed."""
        row = self._session.row(
            "SELECT size, root, time FROM witnessed WHERE feed = ?",
            (self._session.feed(feed),),
        )
        return Witnessed(*row) if row else None

    def witness(self, feed: str, old: Witnessed | None, new: Witnessed) -> None:
        """Swap the witness state of a feed.

        Raises:
            ConflictError: It is not ``old`` any more.
        """
        number = self._session.new_feed(feed)
        if self.witnessed(feed) != old:
            raise ConflictError(f"{feed} was cosigned meanwhile", code="witness-moved")
        # If we crash here, then nothing is stored and no cosignature was made.
        self._session.run(
            "INSERT OR REPLACE INTO witnessed (feed, size, root, time)"
            " VALUES (?, ?, ?, ?)",
            (number, new.size, new.root, new.time),
        )

    def vouched(self, feed: str, nodes: Collection[str], count: int) -> int:
        """Return the largest size that at least ``count`` of ``nodes`` cosigned."""
        marks = ",".join("?" * len(nodes))
        row = self._session.row(
            f"""SELECT size FROM cosignatures JOIN checkpoints USING (feed, size)
            WHERE feed = ? AND node IN ({marks})
            GROUP BY size HAVING count(DISTINCT node) >= ?
            ORDER BY size DESC LIMIT 1""",  # noqa: S608 - Question marks only.
            (self._session.feed(feed), *nodes, count),
        )
        return int(row[0]) if row else 0

    def went_back(
        self, feed: str, node: str, size: int, time: int
    ) -> tuple[int, int] | None:
        """Return (larger, smaller size) of which a node cosigned the smaller later."""
        row = self._session.row(
            "SELECT max(size) FILTER (WHERE size > ?3 AND time < ?4),"
            " min(size) FILTER (WHERE size < ?3 AND time > ?4)"
            " FROM cosignatures WHERE feed = ?1 AND node = ?2",
            (self._session.feed(feed), node, size, time),
        )
        larger, smaller = row or (None, None)
        if larger is not None:
            return int(larger), size
        return None if smaller is None else (size, int(smaller))

    def set_aside(self, feed: str, size: int, now: int) -> int:
        """Take everything from index ``size`` on out of a feed; return how many lines.

        Raises:
            MalformedError: The feed is shorter, or ``size`` has no checkpoint.
        """
        objects, number = SqliteObjects(self._session), self._session.feed(feed)
        end = objects.size(feed)
        row = self._session.row(
            "SELECT checkpoint FROM checkpoints WHERE feed = ? AND size = ?",
            (number, size),
        )
        if size > end or (size and row is None):
            raise MalformedError(f"{feed} cannot be cut at {size}", code="out-of-range")
        root = EMPTY_ROOT
        if size:
            reader = objects.hash_reader(feed, size)
            root = Frontier.of_hashes(size, reader).root()
        lines = [(line.index, line.raw) for line in objects.lines(feed, size, end)]
        self._session.many(
            "INSERT INTO set_aside (feed, entry, at, line) VALUES (?, ?, ?, ?)",
            ((number, index, now, raw) for index, raw in lines),
        )
        objects.cut(feed, size)
        for statement in _CUT:
            self._session.run(statement, (number, size))
        self._session.run("DELETE FROM heads WHERE feed = ?", (number,))
        if size:
            self._session.run(
                "INSERT INTO heads (feed, size, root) VALUES (?, ?, ?)",
                (number, size, root),
            )
        return len(lines)

    def aside(self, feed: str) -> list[tuple[int, bytes | None]]:
        """Return (index, line) of what was set aside of a feed, by time and index."""
        rows = self._session.rows(
            "SELECT entry, line FROM set_aside WHERE feed = ? ORDER BY id",
            (self._session.feed(feed),),
        )
        return [(index, line) for index, line in rows]

    def add_evidence(self, row: EvidenceRow) -> bool:
        """Keep evidence; return False when the fact is known already."""
        added = self._session.run(
            "INSERT INTO evidence (name, kind, feed, size, raw, at)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (row.name, row.kind, row.feed, row.size, row.raw, row.at),
        )
        return bool(added)

    def evidence(self, feed: str | None = None) -> list[EvidenceRow]:
        """Return the evidence about a feed, or all of it, by time and name."""
        rows = self._session.rows(
            "SELECT name, kind, feed, size, raw, at FROM evidence"
            " WHERE ?1 IS NULL OR feed = ?1 ORDER BY at, name",
            (feed,),
        )
        return [EvidenceRow(*row) for row in rows]
