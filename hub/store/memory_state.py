"""What the memory backend holds, and one transaction over it.

Every committed state is left alone for ever: a write transaction works on copies of
the feeds that it touches and puts the new state in place at the end. So a snapshot is
a reference, and a roll-back is doing nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hub.store.federation_port import EvidenceRow, Witnessed
from hub.store.memory_index import MemoryIndex
from hub.store.records import (
    BatchRow,
    BearerToken,
    CosignatureRow,
    ErasureOrder,
    ReadRow,
    StoredHead,
)

__all__ = ["FeedTables", "MemorySession", "NodeTables", "State"]


@dataclass
class FeedTables:
    """Everything of one feed; the values in the tables are immutable."""

    head: StoredHead | None = None
    checkpoints: dict[int, bytes] = field(default_factory=dict)
    cosignatures: dict[tuple[int, str, int], CosignatureRow] = field(
        default_factory=dict
    )
    lines: list[bytes | None] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    hashes: dict[tuple[int, int], bytes] = field(default_factory=dict)
    batches: dict[int, BatchRow] = field(default_factory=dict)
    batch_ids: dict[bytes, int] = field(default_factory=dict)
    erasures: dict[tuple[int, str], ErasureOrder] = field(default_factory=dict)

    def copy(self) -> FeedTables:
        """Return an independent copy."""
        return FeedTables(
            self.head,
            dict(self.checkpoints),
            dict(self.cosignatures),
            list(self.lines),
            list(self.digests),
            dict(self.hashes),
            dict(self.batches),
            dict(self.batch_ids),
            dict(self.erasures),
        )


@dataclass
class NodeTables:
    """What the node alone knows; the values in the tables are immutable."""

    nonces: dict[tuple[str, str], int] = field(default_factory=dict)
    usage: dict[tuple[str, str, int], int] = field(default_factory=dict)
    charges: dict[tuple[str, str, bytes], int] = field(default_factory=dict)
    bearers: dict[str, BearerToken] = field(default_factory=dict)
    sync: dict[tuple[str, str], str] = field(default_factory=dict)
    reads: list[ReadRow] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)
    leases: dict[str, tuple[str, int]] = field(default_factory=dict)
    witnessed: dict[str, Witnessed] = field(default_factory=dict)
    evidence: dict[str, EvidenceRow] = field(default_factory=dict)
    aside: dict[str, list[tuple[int, bytes | None]]] = field(default_factory=dict)

    def copy(self) -> NodeTables:
        """Return an independent copy."""
        return NodeTables(
            dict(self.nonces),
            dict(self.usage),
            dict(self.charges),
            dict(self.bearers),
            dict(self.sync),
            list(self.reads),
            dict(self.meta),
            dict(self.leases),
            dict(self.witnessed),
            dict(self.evidence),
            {feed: list(lines) for feed, lines in self.aside.items()},
        )


@dataclass(frozen=True)
class State:
    """One committed state."""

    feeds: dict[str, FeedTables] = field(default_factory=dict)
    node: NodeTables = field(default_factory=NodeTables)
    index: MemoryIndex = field(default_factory=MemoryIndex)


class MemorySession:
    """One transaction: reads through to a state, copies what it is about to change."""

    def __init__(self, state: State, *, writable: bool):
        # The index copies itself as a whole: it has no tables that we know of.
        self.state = replace(
            state,
            feeds=dict(state.feeds),
            index=state.index.copy() if writable else state.index,
        )
        self._writable = writable
        self._open = True
        self._own: set[str] = set()
        self._owns_node = False

    def close(self) -> None:
        """Make every later use an ``AssertionError``."""
        self._open = False

    def feed(self, name: str) -> FeedTables:
        """Return the tables of a feed for reading; empty ones for an unknown feed."""
        self._check()
        return self.state.feeds.get(name) or FeedTables()

    def feeds(self) -> dict[str, FeedTables]:
        """Return the tables of all feeds for reading."""
        self._check()
        return self.state.feeds

    def own_feed(self, name: str) -> FeedTables:
        """Return the tables of a feed for writing."""
        self._check(writes=True)
        if name not in self._own:
            self.state.feeds[name] = self.feed(name).copy()
            self._own.add(name)
        return self.state.feeds[name]

    def node(self) -> NodeTables:
        """Return what the node knows, for reading."""
        self._check()
        return self.state.node

    def own_node(self) -> NodeTables:
        """Return what the node knows, for writing."""
        self._check(writes=True)
        if not self._owns_node:
            self.state = replace(self.state, node=self.state.node.copy())
            self._owns_node = True
        return self.state.node

    def _check(self, *, writes: bool = False) -> None:
        if not self._open:
            raise AssertionError("the transaction is over")
        if writes and not self._writable:
            raise AssertionError("a snapshot is not written to")
