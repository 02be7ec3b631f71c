"""Heads, entries, batches and erasure orders in memory."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from hub.errors import ConflictError
from hub.model import EntryName
from hub.store.hashes import StoredHashes
from hub.store.memory_state import MemorySession
from hub.store.pages import (
    check_digests,
    check_lines,
    check_range,
    check_slot,
    cut,
    pack,
)
from hub.store.records import (
    ERASURE_DELAY,
    SLOT,
    BatchRow,
    Block,
    CosignatureRow,
    ErasureOrder,
    Line,
    NodeHash,
    Page,
    StoredHead,
)
from hub.tlog.merkle import HashReader

__all__ = ["MemoryBatches", "MemoryErasures", "MemoryHeads", "MemoryObjects"]


class MemoryHeads:
    """The ``Heads`` port; see ``hub.store.base`` for what it promises."""

    def __init__(self, session: MemorySession):
        self._session = session

    def get(self, feed: str) -> StoredHead | None:
        """Return the head of ``feed``, or None if it never had one."""
        return self._session.feed(feed).head

    def all(self) -> dict[str, StoredHead]:
        """Return the heads of all feeds, by name, in alphabetical order."""
        feeds = sorted(self._session.feeds().items())
        return {name: tables.head for name, tables in feeds if tables.head}

    def replace(self, feed: str, old_size: int | None, head: StoredHead) -> None:
        """Swap the head of ``feed`` if its size is still ``old_size``.

        Raises:
            ConflictError: The head has another size now; the message names it.
        """
        tables = self._session.own_feed(feed)
        known = tables.head.size if tables.head else None
        if known != old_size:
            size = "no head" if known is None else f"a head of size {known}"
            raise ConflictError(f"The feed {feed} has {size} now.")
        tables.head = head
        tables.checkpoints[head.size] = head.checkpoint

    def checkpoints(
        self, feed: str, from_size: int, limit: int = 1000
    ) -> list[tuple[int, bytes]]:
        """Return (size, note) of at most ``limit`` stored checkpoints, by size."""
        notes = sorted(self._session.feed(feed).checkpoints.items())
        return [note for note in notes if note[0] >= from_size][:limit]

    def add_checkpoint(self, feed: str, size: int, note: bytes) -> None:
        """Keep the note of a size below the head, unless there is one already."""
        self._session.own_feed(feed).checkpoints.setdefault(size, note)

    def add_cosignature(
        self, feed: str, size: int, node: str, time: int, line: bytes
    ) -> None:
        """Keep ``line`` if it is the earliest or the newest of that node and size."""
        kept = self._session.own_feed(feed).cosignatures
        kept.setdefault((size, node, time), CosignatureRow(node, time, line))
        times = sorted(key[2] for key in kept if key[:2] == (size, node))
        for between in times[1:-1]:
            del kept[size, node, between]

    def cosignatures(self, feed: str, size: int) -> list[CosignatureRow]:
        """Return what is kept for the checkpoint of that size, by node and time."""
        kept = sorted(self._session.feed(feed).cosignatures.items())
        return [row for key, row in kept if key[0] == size]


class MemoryObjects:
    """The ``Objects`` port; see ``hub.store.base`` for what it promises."""

    def __init__(self, session: MemorySession):
        self._session = session

    def size(self, feed: str) -> int:
        """Return how many entries of ``feed`` are stored, 0 for an unknown feed."""
        return len(self._session.feed(feed).digests)

    def append(
        self,
        feed: str,
        first: int,
        lines: Sequence[bytes | None],
        digests: Sequence[bytes],
        nodes: Sequence[NodeHash],
    ) -> None:
        """Add entries behind the last one.

        Raises:
            ConflictError: The feed does not end at ``first``.
            MalformedError: A line is empty or holds a newline.
        """
        check_lines(lines, digests)
        size = self.size(feed)
        if size != first:
            raise ConflictError(f"The feed {feed} has {size} entries now.")
        tables = self._session.own_feed(feed)
        tables.lines += lines
        tables.digests += digests
        tables.hashes.update({(level, n): node for level, n, node in nodes})

    def digests(self, feed: str, start: int, stop: int) -> list[bytes]:
        """Return the digests of a range."""
        check_range(start, stop, self.size(feed))
        return self._session.feed(feed).digests[start:stop]

    def lines(self, feed: str, start: int, stop: int) -> Iterator[Line]:
        """Stream a range entry by entry; memory does not grow with the range."""
        return (
            Line(block.first + offset, raw, digest)
            for block in self.blocks(feed, start, stop)
            for offset, (raw, digest) in enumerate(
                zip(block.lines, block.digests, strict=True)
            )
        )

    def blocks(self, feed: str, start: int, stop: int) -> Iterator[Block]:
        """Stream a range in runs of at most 256: the fast way to read everything."""
        check_range(start, stop, self.size(feed))
        return (
            Block(
                first,
                self._session.feed(feed).lines[first:end],
                self._session.feed(feed).digests[first:end],
            )
            for first, end in cut(start, stop)
        )

    def pages(self, feed: str, start: int, stop: int) -> Iterator[Page]:
        """Stream a range as gzip members whose concatenation is one gzip file."""
        return (
            Page(
                block.first,
                len(block.lines),
                pack(block.lines),
                None not in block.lines,
            )
            for block in self.blocks(feed, start, stop)
        )

    def erase(self, feed: str, indices: Sequence[int]) -> int:
        """Remove lines for good and return how many were there; digests stay."""
        if indices:
            check_range(min(indices), max(indices) + 1, self.size(feed))
        lines = self._session.own_feed(feed).lines
        there = {index for index in indices if lines[index] is not None}
        for index in there:
            lines[index] = None
        return len(there)

    def refill(self, feed: str, lines: Mapping[int, bytes]) -> int:
        """Put back lines that are missing; return how many there were.

        Raises:
            MalformedError: A line is not the one that was hashed (``wrong-digest``).
        """
        if lines:
            check_range(min(lines), max(lines) + 1, self.size(feed))
        check_digests(lines, lambda index: self.digests(feed, index, index + 1)[0])
        stored = self._session.own_feed(feed).lines
        missing = [index for index in lines if stored[index] is None]
        for index in missing:
            stored[index] = lines[index]
        return len(missing)

    def mend(
        self,
        feed: str,
        first: int,
        lines: Sequence[bytes | None],
        digests: Sequence[bytes],
    ) -> None:
        """Put a slot in place of what is there, whatever that is.

        Raises:
            MalformedError: It does not begin at a slot, or is longer than one.
        """
        check_lines(lines, digests)
        check_slot(first, len(lines))
        tables = self._session.own_feed(feed)
        tables.lines[first : first + SLOT] = lines
        tables.digests[first : first + SLOT] = digests

    def tree_hashes(self, feed: str) -> list[NodeHash]:
        """Return all stored tree hashes of a feed, by level and index."""
        hashes = self._session.feed(feed).hashes
        return [(level, n, node) for (level, n), node in sorted(hashes.items())]

    def replace_tree_hashes(self, feed: str, nodes: Sequence[NodeHash]) -> None:
        """Put these tree hashes in place of all that are stored of a feed."""
        tables = self._session.own_feed(feed)
        tables.hashes = {(level, n): node for level, n, node in nodes}

    def hash_reader(self, feed: str, size: int) -> HashReader:
        """Return the tree hashes of the first ``size`` entries."""
        check_range(0, size, self.size(feed))

        def digests(start: int, stop: int) -> list[bytes]:
            return self.digests(feed, start, stop)

        def nodes(level: int, first: int, count: int) -> list[bytes]:
            known = self._session.feed(feed).hashes
            keys = ((level, n) for n in range(first, first + count))
            return [known[key] for key in keys if key in known]

        return StoredHashes(size, digests, nodes)


class MemoryBatches:
    """The ``Batches`` port; see ``hub.store.base`` for what it promises."""

    def __init__(self, session: MemorySession):
        self._session = session

    def add(self, feed: str, batch: BatchRow) -> None:
        """Remember a batch.

        Raises:
            ConflictError: Its id or its place is taken in that feed.
        """
        tables = self._session.own_feed(feed)
        if batch.first in tables.batches or batch.batch_id in tables.batch_ids:
            raise ConflictError(f"The feed {feed} already holds that batch.")
        tables.batches[batch.first] = batch
        tables.batch_ids[batch.batch_id] = batch.first

    def find(self, feed: str, batch_id: bytes) -> BatchRow | None:
        """Return the batch with that id."""
        tables = self._session.feed(feed)
        first = tables.batch_ids.get(batch_id, -1)
        return tables.batches.get(first)

    def at(self, feed: str, index: int) -> BatchRow | None:
        """Return the batch that holds entry ``index``, its header included."""
        batches = self._session.feed(feed).batches.values()
        held = [batch for batch in batches if batch.first <= index < batch.stop]
        return held[0] if held else None

    def list(
        self, feed: str, start: int = 0, limit: int = 1000
    ) -> builtins.list[BatchRow]:
        """Return at most ``limit`` batches whose header is at ``start`` or above."""
        batches = sorted(self._session.feed(feed).batches.items())
        return [batch for first, batch in batches if first >= start][:limit]


class MemoryErasures:
    """The ``Erasures`` port; see ``hub.store.base`` for what it promises."""

    def __init__(self, session: MemorySession):
        self._session = session

    def order(self, feed: str, indices: Sequence[int], by: str, stored_at: int) -> None:
        """Remember that entry ``by`` orders these lines to be erased."""
        orders = self._session.own_feed(feed).erasures
        for index in indices:
            orders.setdefault((index, by), ErasureOrder(feed, index, by, stored_at))

    def void(self, by: str) -> None:
        """Withdraw every order of entry ``by``: what is not yet deleted is back."""
        for feed in list(self._session.feeds()):
            orders = self._session.own_feed(feed).erasures
            for key in [key for key in orders if key[1] == by]:
                orders[key] = replace(orders[key], voided=True)

    def ignore(self, feed: str, indices: Sequence[int], by: str) -> None:
        """Withdraw the order of entry ``by`` over these lines alone."""
        orders = self._session.own_feed(feed).erasures
        for key in [(index, by) for index in indices if (index, by) in orders]:
            orders[key] = replace(orders[key], voided=True)

    def orders(self, feed: str, start: int, stop: int) -> list[ErasureOrder]:
        """Return all orders over a range, void ones too, by index and age."""
        orders = self._session.feed(feed).erasures.values()
        return sorted(
            (order for order in orders if start <= order.index < stop),
            key=lambda order: (order.index, order.stored_at, order.by),
        )

    def standing_everywhere(self) -> frozenset[EntryName]:
        """Return every entry under a standing order, for the index in memory."""
        return frozenset(
            EntryName(order.feed, order.index)
            for tables in self._session.feeds().values()
            for order in tables.erasures.values()
            if not order.voided
        )

    def hidden(self, feed: str, start: int, stop: int) -> dict[int, str]:
        """Return which lines of a range are not to be shown, and by whose order."""
        orders = self.orders(feed, start, stop)
        found = {order.index: order.by for order in orders[::-1] if not order.voided}
        for order in orders:
            if order.deleted:
                found.setdefault(order.index, order.by)
        return dict(sorted(found.items()))

    def due(self, now: int, limit: int = 10_000) -> list[ErasureOrder]:
        """Return standing orders stored 72 hours ago or earlier, not yet done."""
        orders = [
            order
            for tables in self._session.feeds().values()
            for order in tables.erasures.values()
            if order.stored_at <= now - ERASURE_DELAY
            and not (order.voided or order.deleted)
        ]
        orders.sort(key=lambda order: (order.stored_at, order.feed, order.index))
        return orders[:limit]

    def restart(self, now: int) -> int:
        """Let orders that seem to be from the future count from now; count them."""
        count = 0
        for feed in list(self._session.feeds()):
            orders = self._session.own_feed(feed).erasures
            for key, order in list(orders.items()):
                if order.stored_at > now and not order.deleted:
                    orders[key] = replace(order, stored_at=now)
                    count += 1
        return count

    def mark_deleted(self, feed: str, indices: Sequence[int]) -> None:
        """Note that these lines are gone; belongs in the transaction of ``erase``."""
        orders = self._session.own_feed(feed).erasures
        for key in [key for key in orders if key[0] in set(indices)]:
            orders[key] = replace(orders[key], deleted=True)

    def mark_refilled(self, feed: str, indices: Sequence[int]) -> None:
        """Note that these lines are back; belongs in the transaction of ``refill``."""
        orders = self._session.own_feed(feed).erasures
        for key in [key for key in orders if key[0] in set(indices)]:
            orders[key] = replace(orders[key], deleted=False)
