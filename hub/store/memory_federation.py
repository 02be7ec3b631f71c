"""Witness state, vouched heads and evidence in memory."""

from __future__ import annotations

from collections.abc import Collection

from hub.errors import ConflictError, MalformedError
from hub.store.federation_port import EvidenceRow, Witnessed
from hub.store.memory_feeds import MemoryObjects
from hub.store.memory_state import FeedTables, MemorySession
from hub.store.records import StoredHead
from hub.tlog.merkle import Frontier

__all__ = ["MemoryFederation"]


class MemoryFederation:
    """The ``Federation`` port; see ``hub.store.federation_port``."""

    def __init__(self, session: MemorySession):
        self._session = session

    def witnessed(self, feed: str) -> Witnessed | None:
        """Return what this node last cosigned of a feed."""
        return self._session.node().witnessed.get(feed)

    def witness(self, feed: str, old: Witnessed | None, new: Witnessed) -> None:
        """Swap the witness state of a feed.

        Raises:
            ConflictError: It is not ``old`` any more.
        """
        state = self._session.own_node().witnessed
        if state.get(feed) != old:
            raise ConflictError(f"{feed} was cosigned meanwhile", code="witness-moved")
        state[feed] = new

    def vouched(self, feed: str, nodes: Collection[str], count: int) -> int:
        """Return the largest size that at least ``count`` of ``nodes`` cosigned."""
        tables = self._session.feed(feed)
        by_size: dict[int, set[str]] = {}
        for size, node, _ in tables.cosignatures:
            if node in nodes and size in tables.checkpoints:
                by_size.setdefault(size, set()).add(node)
        sizes = [size for size, found in by_size.items() if len(found) >= count]
        return max(sizes, default=0)

    def went_back(
        self, feed: str, node: str, size: int, time: int
    ) -> tuple[int, int] | None:
        """Return (larger, smaller size) of which a node cosigned the smaller later."""
        for other, who, when in sorted(self._session.feed(feed).cosignatures):
            if who == node and other > size and when < time:
                return other, size
            if who == node and other < size and when > time:
                return size, other
        return None

    def set_aside(self, feed: str, size: int, now: int) -> int:  # noqa: ARG002 - Only a file keeps the time.
        """Take everything from index ``size`` on out of a feed; return how many lines.

        Raises:
            MalformedError: The feed is shorter, or ``size`` has no checkpoint.
        """
        tables = self._session.own_feed(feed)
        if size > len(tables.lines) or (size and size not in tables.checkpoints):
            raise MalformedError(f"{feed} cannot be cut at {size}", code="out-of-range")
        head = None
        if size:
            reader = MemoryObjects(self._session).hash_reader(feed, size)
            root = Frontier.of_hashes(size, reader).root()
            head = StoredHead(size, root, tables.checkpoints[size])
        gone = list(enumerate(tables.lines[size:], size))
        self._session.own_node().aside.setdefault(feed, []).extend(gone)
        _cut(tables, size)
        tables.head = head
        orders = {f"{feed}/{index}" for index, _ in gone}
        for other in list(self._session.feeds()):
            erasures = self._session.own_feed(other).erasures
            for index, by in list(erasures):
                if by in orders or (other == feed and index >= size):
                    del erasures[index, by]
        return len(gone)

    def aside(self, feed: str) -> list[tuple[int, bytes | None]]:
        """Return (index, line) of what was set aside of a feed, by time and index."""
        return list(self._session.node().aside.get(feed, ()))

    def add_evidence(self, row: EvidenceRow) -> bool:
        """Keep evidence; return False when the fact is known already."""
        known = self._session.own_node().evidence
        if row.name in known:
            return False
        known[row.name] = row
        return True

    def evidence(self, feed: str | None = None) -> list[EvidenceRow]:
        """Return the evidence about a feed, or all of it, by time and name."""
        rows = self._session.node().evidence.values()
        fitting = [row for row in rows if feed in (None, row.feed)]
        return sorted(fitting, key=lambda row: (row.at, row.name))


def _cut(tables: FeedTables, size: int) -> None:
    """Remove what stands above a size, entries and all that speaks of them."""
    del tables.lines[size:], tables.digests[size:]
    for level, n in [k for k in tables.hashes if k[1] >= size >> (8 * k[0])]:
        del tables.hashes[level, n]
    for first in [first for first in tables.batches if first >= size]:
        del tables.batch_ids[tables.batches.pop(first).batch_id]
    for place in [s for s in tables.checkpoints if s > size]:
        del tables.checkpoints[place]
    for key in [k for k in tables.cosignatures if k[0] > size]:
        del tables.cosignatures[key]
