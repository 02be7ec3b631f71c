"""Witness state, vouched heads and evidence in memory."""

from __future__ import annotations

from collections.abc import Collection

from hub.errors import ConflictError
from hub.store.federation_port import EvidenceRow, Witnessed
from hub.store.memory_state import MemorySession

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
