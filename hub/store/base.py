"""The ports of the store and what they promise; every backend keeps all of it.

**Consistency.** ``with store.write() as tx`` is one transaction: all of it or
nothing, and at most one at a time over all processes. ``with store.read() as tx``
sees one snapshot, taken on entry, whatever is written meanwhile; it never waits for
a writer. A transaction belongs to the thread that opened it, and what it handed out
(iterators, hash readers) dies with it: use after the end is an ``AssertionError``.

**Durability.** When ``write()`` has returned without an exception, the transaction
survives the loss of the process and of power. When it raised, nothing of it is seen
by anybody, with one exception that no disk can exclude: if the disk failed during the
commit itself and the machine then dies, the transaction may be there afterwards,
whole. An exception inside the block rolls back and propagates.

**Write-once.** Digests, hashes, batches and checkpoints are only ever added. What
changes is the head (compare-and-swap), the payload of an erased entry, and what the
node alone knows.

**Errors.** Whatever the backend raised, callers see only these:

* ``ConflictError``: somebody was faster; nothing was written by that call.
* ``RefusedError``, ``QuotaError``: the rule of that method says no.
* ``MalformedError``: a range or a value that cannot be (``code`` tells which).
* ``UnavailableError``: the disk is full or failing, another writer held the store
  too long (``code`` ``locked``), or the stored bytes are damaged (``corrupt``).
  After it the transaction cannot commit, even if the caller swallowed the error.
* ``AssertionError``: the caller broke a promise of its own.

**Retries.** A whole transaction may be run again after ``ConflictError`` (re-read
first) and ``UnavailableError``; the store itself retries nothing but waiting for
its turn to write. Whoever lost the answer to a commit finds out by reading.

**Trust.** Who can write the file can replace it. Nothing read from the store
counts as proven: heads carry signatures and lines carry digests for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from hub.store.federation_port import EvidenceRow, Federation, Witnessed
from hub.store.index_port import Index, IndexEntry
from hub.store.node_port import NodeState
from hub.store.records import (
    DAY,
    ERASURE_DELAY,
    SLOT,
    BatchRow,
    BearerToken,
    Block,
    CosignatureRow,
    ErasureOrder,
    Limit,
    Line,
    NodeHash,
    Page,
    ReadRow,
    StoredHead,
)
from hub.tlog.merkle import HashReader

__all__ = [
    "DAY",
    "ERASURE_DELAY",
    "SLOT",
    "BatchRow",
    "Batches",
    "BearerToken",
    "Block",
    "CosignatureRow",
    "ErasureOrder",
    "Erasures",
    "EvidenceRow",
    "Federation",
    "Heads",
    "Index",
    "IndexEntry",
    "Limit",
    "Line",
    "NodeHash",
    "NodeState",
    "Objects",
    "Page",
    "ReadRow",
    "Store",
    "StoredHead",
    "Transaction",
    "Witnessed",
]


class Heads(Protocol):
    """The newest head of each feed, and every checkpoint that once was one."""

    def get(self, feed: str) -> StoredHead | None:
        """Return the head of ``feed``, or None if it never had one."""
        ...

    def all(self) -> dict[str, StoredHead]:
        """Return the heads of all feeds, by name, in alphabetical order."""
        ...

    def replace(self, feed: str, old_size: int | None, head: StoredHead) -> None:
        """Swap the head of ``feed`` if its size is still ``old_size``.

        The only place where two writers of one feed meet. None stands for a feed
        without a head. The checkpoint is also kept among :meth:`checkpoints`. The
        store does not judge the new head; ``hub.tlog.advance`` does.

        Raises:
            ConflictError: The head has another size now; the message names it.
        """
        ...

    def checkpoints(
        self, feed: str, from_size: int, limit: int = 1000
    ) -> list[tuple[int, bytes]]:
        """Return (size, note) of at most ``limit`` stored checkpoints, by size.

        Only sizes of ``from_size`` or more; of two notes of one size, the newer.
        """
        ...

    def add_checkpoint(self, feed: str, size: int, note: bytes) -> None:
        """Keep the note of a size below the head, unless there is one already."""
        ...

    def add_cosignature(
        self, feed: str, size: int, node: str, time: int, line: bytes
    ) -> None:
        """Keep ``line`` if it is the earliest or the newest of that node and size."""
        ...

    def cosignatures(self, feed: str, size: int) -> list[CosignatureRow]:
        """Return what is kept for the checkpoint of that size, by node and time."""
        ...


class Objects(Protocol):
    """Digests and tree hashes (write-once) and lines (erasable) of each feed.

    Ranges are ``[start, stop)``. A range that is not within ``[0, size(feed)]``
    raises ``MalformedError`` with code ``out-of-range``, at the call and not at the
    first element.
    """

    def size(self, feed: str) -> int:
        """Return how many entries of ``feed`` are stored, 0 for an unknown feed.

        It may exceed the size of the head; readers stop at the head that they show.
        """
        ...

    def append(
        self,
        feed: str,
        first: int,
        lines: Sequence[bytes | None],
        digests: Sequence[bytes],
        nodes: Sequence[NodeHash],
    ) -> None:
        """Add entries behind the last one.

        ``None`` is the line of an entry that came as a tombstone. ``nodes`` are the
        tree hashes of tile level 1 and above which these entries complete; the
        store keeps them and does not recompute them.

        Raises:
            ConflictError: The feed does not end at ``first``.
            MalformedError: A line is empty or holds a newline.
        """
        ...

    def digests(self, feed: str, start: int, stop: int) -> list[bytes]:
        """Return the digests of a range."""
        ...

    def lines(self, feed: str, start: int, stop: int) -> Iterator[Line]:
        """Stream a range entry by entry; memory does not grow with the range."""
        ...

    def blocks(self, feed: str, start: int, stop: int) -> Iterator[Block]:
        """Stream a range in runs of at most 256: the fast way to read everything."""
        ...

    def pages(self, feed: str, start: int, stop: int) -> Iterator[Page]:
        """Stream a range as gzip members whose concatenation is one gzip file.

        A stored page that lies wholly in the range is handed out as it is; the two
        ends are cut and compressed anew.
        """
        ...

    def erase(self, feed: str, indices: Sequence[int]) -> int:
        """Remove lines for good and return how many were there; digests stay.

        Once the transaction is committed, the bytes are neither in the file nor in
        its journal, or will not be after the next commit or opening if a reader
        was in the way. Copies outside (backups, blocks freed by the file system)
        are out of the store's reach.
        """
        ...

    def refill(self, feed: str, lines: Mapping[int, bytes]) -> int:
        """Put back lines that are missing; return how many there were.

        A line that is there stays as it is.

        Raises:
            MalformedError: A line is not the one that was hashed (``wrong-digest``).
        """
        ...

    def mend(
        self,
        feed: str,
        first: int,
        lines: Sequence[bytes | None],
        digests: Sequence[bytes],
    ) -> None:
        """Put a slot, or its beginning at the end of a feed, in place of what is there.

        For damaged pages; the caller has verified what it brings. Nothing is compared
        with what was stored, which may be unreadable or gone.

        Raises:
            MalformedError: It does not begin at a slot, or is longer than one.
        """
        ...

    def tree_hashes(self, feed: str) -> list[NodeHash]:
        """Return all stored tree hashes of a feed, by level and index."""
        ...

    def replace_tree_hashes(self, feed: str, nodes: Sequence[NodeHash]) -> None:
        """Put these tree hashes in place of all that are stored of a feed."""
        ...

    def hash_reader(self, feed: str, size: int) -> HashReader:
        """Return the tree hashes of the first ``size`` entries.

        Raises:
            MalformedError: Fewer entries are stored.
        """
        ...


class Batches(Protocol):
    """Where each batch of a feed stands."""

    def add(self, feed: str, batch: BatchRow) -> None:
        """Remember a batch.

        Raises:
            ConflictError: Its id or its place is taken in that feed.
        """
        ...

    def find(self, feed: str, batch_id: bytes) -> BatchRow | None:
        """Return the batch with that id."""
        ...

    def at(self, feed: str, index: int) -> BatchRow | None:
        """Return the batch that holds entry ``index``, its header included."""
        ...

    def list(self, feed: str, start: int = 0, limit: int = 1000) -> list[BatchRow]:
        """Return at most ``limit`` batches whose header is at ``start`` or above."""
        ...


class Erasures(Protocol):
    """Which lines are ordered to be erased, by whom, since when (our own clock)."""

    def order(self, feed: str, indices: Sequence[int], by: str, stored_at: int) -> None:
        """Remember that entry ``by`` orders these lines to be erased.

        Said again, the first ``stored_at`` stands: replaying a feed never prolongs
        the delay.
        """
        ...

    def void(self, by: str) -> None:
        """Withdraw every order of entry ``by``: what is not yet deleted is back."""
        ...

    def ignore(self, feed: str, indices: Sequence[int], by: str) -> None:
        """Withdraw the order of entry ``by`` over these lines alone."""
        ...

    def orders(self, feed: str, start: int, stop: int) -> list[ErasureOrder]:
        """Return all orders over a range, void ones too, by index and age."""
        ...

    def hidden(self, feed: str, start: int, stop: int) -> dict[int, str]:
        """Return which lines of a range are not to be shown, and by whose order.

        These are the lines under a standing order, and those deleted under an order
        that was voided since. The oldest standing order is the one named.
        """
        ...

    def due(self, now: int, limit: int = 10_000) -> list[ErasureOrder]:
        """Return standing orders stored 72 hours ago or earlier, not yet done."""
        ...

    def restart(self, now: int) -> int:
        """Let orders that seem to be from the future count from now; return how many.

        The clock was ahead when they were stored, and a line that must go would stay
        for as long as it was wrong.
        """
        ...

    def mark_deleted(self, feed: str, indices: Sequence[int]) -> None:
        """Note that these lines are gone; belongs in the transaction of ``erase``."""
        ...

    def mark_refilled(self, feed: str, indices: Sequence[int]) -> None:
        """Note that these lines are back; belongs in the transaction of ``refill``."""
        ...


class Transaction(Protocol):
    """The ports, all seeing one state."""

    @property
    def heads(self) -> Heads:
        """Heads, checkpoints and cosignatures."""
        ...

    @property
    def objects(self) -> Objects:
        """Entries and tree hashes."""
        ...

    @property
    def batches(self) -> Batches:
        """Places of batches."""
        ...

    @property
    def erasures(self) -> Erasures:
        """Orders to erase lines."""
        ...

    @property
    def node(self) -> NodeState:
        """What this node alone knows."""
        ...

    @property
    def federation(self) -> Federation:
        """What nodes say of each other."""
        ...

    @property
    def index(self) -> Index:
        """What can be rebuilt from the feeds."""
        ...


class Store(Protocol):
    """One per process and place; safe to use from any thread, and after a fork.

    Transactions nest across different stores, and reads nest in anything. A
    ``write()`` inside a ``write()`` of the same thread is an ``AssertionError``.
    """

    def read(self) -> AbstractContextManager[Transaction]:
        """Open a snapshot; writing through it is an ``AssertionError``."""
        ...

    def write(self) -> AbstractContextManager[Transaction]:
        """Open a durable transaction, waiting for other writers.

        Raises:
            UnavailableError: Another writer took too long (code ``locked``).
        """
        ...

    def check(self) -> None:
        """Read everything and compare it with itself.

        Raises:
            UnavailableError: Damage was found (code ``corrupt``).
        """
        ...

    def backup(self, target: Path) -> None:
        """Write a consistent, checked copy to a new file while work goes on.

        Raises:
            RefusedError: ``target`` exists, or this store has no file.
            UnavailableError: The copy could not be written or is damaged.
        """
        ...

    def close(self) -> None:
        """Let go of the file; open transactions of other threads must be over."""
        ...
