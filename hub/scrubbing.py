"""Scrubbing: what is on disk is hashed again, and what is damaged is fetched again.

The signed head of a feed is the measure: every line must give its digest, the digests
must lead to the head's root, and the stored tree hashes must be those of the digests.
A run of 256 entries (a slot) in which something is wrong is fetched from a peer. The
peer is not trusted: its hashes must lead to our signed head, and its lines to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hub.directory import Directory
from hub.errors import HubError, MalformedError, UnavailableError
from hub.model import origin_of
from hub.peer import Peer
from hub.registry import Registry
from hub.store.base import SLOT, NodeHash, Store, StoredHead, Transaction
from hub.tlog.batch import digests_of
from hub.tlog.checkpoint import open_checkpoint
from hub.tlog.merkle import Frontier, leaf_hashes, root_of
from hub.tlog.tiles import TileId, TileReader, tile_path
from hub.tombstones import parse_sent
from keys.errors import KeysError

__all__ = ["Damage", "Scrubbed", "scrub"]


@dataclass(frozen=True, slots=True)
class Damage:
    """A slot of a feed in which something is wrong, or a feed's tree hashes."""

    feed: str
    first: int
    stop: int
    what: str


@dataclass
class Scrubbed:
    """What a scrub read, found and mended."""

    entries: int = 0
    damages: list[Damage] = field(default_factory=list)
    mended: list[Damage] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def left(self) -> list[Damage]:
        """What is damaged still."""
        return [damage for damage in self.damages if damage not in self.mended]


def scrub(store: Store, registry: Registry, peers: Sequence[Peer]) -> Scrubbed:
    """Read everything, compare it with the signed heads, and mend from peers.

    Args:
        store: A node's store, or a mirror.
        registry: Gives its directory.
        peers: Whom to ask for what is damaged, in this order; may be empty.

    Raises:
        UnavailableError: The database itself cannot be read.
    """
    result = Scrubbed()
    with store.read() as tx:
        directory, heads = registry.directory(tx), tx.heads.all()
    for feed, head in heads.items():
        try:
            _check_head(directory, feed, head)
        except (HubError, KeysError) as error:
            damage = Damage(feed, 0, head.size, f"the head: {error}")
            result.damages.append(damage)
            continue
        _Feed(store, feed, head, peers, result).run()
    return result


def _check_head(directory: Directory, feed: str, head: StoredHead) -> None:
    public = directory.log_public(feed, head.size)
    origin = origin_of(directory.alliance, feed)
    found = open_checkpoint(head.checkpoint, origin, public or b"").head
    if (found.size, found.root) != (head.size, head.root):
        raise MalformedError("its note states another head")


def _slots(size: int) -> Iterator[tuple[int, int]]:
    for first in range(0, size, SLOT):
        yield first, min(first + SLOT, size)


@dataclass
class _Feed:
    """One feed that is scrubbed below its verified head."""

    store: Store
    feed: str
    head: StoredHead
    peers: Sequence[Peer]
    result: Scrubbed

    def run(self) -> None:
        """Find the damaged slots, mend them, then compare the tree hashes."""
        with self.store.read() as tx:
            bad = list(self._damaged(tx))
        self.result.entries += self.head.size
        self.result.damages += bad
        for damage in bad:
            if self._mend(damage):
                self.result.mended.append(damage)
        if not [d for d in self.result.left if d.feed == self.feed]:
            self._compare_hashes()

    def _damaged(self, tx: Transaction) -> Iterator[Damage]:
        suspects, frontier, whole = [], Frontier(), True
        for first, stop in _slots(self.head.size):
            try:
                digests = self._read(tx, first, stop)
            except HubError as error:
                whole = False
                yield Damage(self.feed, first, stop, str(error))
                continue
            if root_of(leaf_hashes(digests)) != self._stored_root(tx, first, stop):
                suspects.append((first, stop))
            frontier = frontier.extend(leaf_hashes(digests)) if whole else frontier
        if not whole or frontier.root() == self.head.root:
            return
        # The digests themselves are wrong, or have been exchanged with their lines.
        last = self.head.size - self.head.size % SLOT
        for first, stop in suspects or [(last, self.head.size)]:
            yield Damage(self.feed, first, stop, "the digests do not lead to the head")

    def _read(self, tx: Transaction, first: int, stop: int) -> list[bytes]:
        """Return the digests of a slot, each compared with its line.

        Raises:
            HubError: A line is missing without an order, or is not the one hashed.
        """
        hidden = tx.erasures.hidden(self.feed, first, stop)
        digests = []
        for line in tx.objects.lines(self.feed, first, stop):
            if line.raw is None and line.index not in hidden:
                raise UnavailableError(f"line {line.index} is missing", code="corrupt")
            if line.raw is not None and digests_of([line.raw])[0] != line.digest:
                raise UnavailableError(f"line {line.index} is altered", code="corrupt")
            digests.append(line.digest)
        return digests

    def _stored_root(self, tx: Transaction, first: int, stop: int) -> bytes | None:
        if stop - first < SLOT:
            return None
        try:
            return tx.objects.hash_reader(self.feed, stop).read(8, first // SLOT, 1)[0]
        except HubError:
            return None

    def _mend(self, damage: Damage) -> bool:
        """Fetch a slot from the first peer that has it; return whether one had."""
        for peer in self.peers:
            try:
                self._fetch(peer, damage)
            except (HubError, KeysError) as error:
                place = f"{damage.feed}/{damage.first}"
                self.result.problems.append(f"{place}: {peer.url}: {error}")
                continue
            return True
        return False

    def _fetch(self, peer: Peer, damage: Damage) -> None:
        first, stop = damage.first, damage.stop

        def tile(wanted: TileId) -> bytes:
            return peer.get_bytes(f"/v1/feeds/{self.feed}/{tile_path(wanted)}")

        reader = TileReader(self.head.size, self.head.root, tile)
        leaves = reader.read(0, first, stop - first)
        arrived = parse_sent(self.feed, first, peer.lines(self.feed, first, stop))
        if leaf_hashes(arrived.digests) != leaves:
            raise MalformedError("its lines do not lead to our head", code="wrong-root")
        with self.store.write() as tx:
            hidden = tx.erasures.hidden(self.feed, first, stop)
            lines = [
                None if index in hidden and raw is None else raw
                for index, raw in enumerate(arrived.lines, first)
            ]
            gone = [i for i, raw in enumerate(lines, first) if raw is None]
            if set(gone) - set(hidden):
                raise MalformedError("it lacks a line that no erasure covers")
            # If we crash here, then the slot is as damaged as before.
            tx.objects.mend(self.feed, first, lines, arrived.digests)

    def _compare_hashes(self) -> None:
        """Replace stored tree hashes that are not those of the digests."""
        with self.store.read() as tx:
            wanted = list(self._nodes(tx))
            if tx.objects.tree_hashes(self.feed) == wanted:
                return
        damage = Damage(self.feed, 0, self.head.size, "the tree hashes are wrong")
        self.result.damages.append(damage)
        with self.store.write() as tx:
            if tx.objects.size(self.feed) == self.head.size:
                tx.objects.replace_tree_hashes(self.feed, wanted)
                self.result.mended.append(damage)

    def _nodes(self, tx: Transaction) -> Iterable[NodeHash]:
        frontier, found = Frontier(), []
        for first, stop in _slots(tx.objects.size(self.feed)):
            digests = tx.objects.digests(self.feed, first, stop)
            frontier, nodes = frontier.extend_with_nodes(leaf_hashes(digests))
            found += nodes
        return sorted(found)
