"""Tree hashes from what is stored: digests below, tile hashes above.

Level 0 is computed from the digests, levels 8, 16, … are stored, and everything
between is folded from the stored level below. A proof over a million entries touches
one tile of each level and the right edge, so a few tiles are remembered.
"""

from __future__ import annotations

from collections.abc import Callable

from hub.store.pages import corrupt
from hub.store.records import SLOT
from hub.tlog.merkle import leaf_hashes, node_hash

__all__ = ["StoredHashes"]

_BITS = 8  # One tile level is eight levels of the binary tree.
_REMEMBERED = 16


class StoredHashes:
    """A ``HashReader`` over the first ``size`` entries of one feed.

    Args:
        size: The number of entries whose tree this is.
        digests: Returns the digests of a range of entries.
        nodes: Returns ``count`` stored hashes of a tile level from ``first`` on.
    """

    def __init__(
        self,
        size: int,
        digests: Callable[[int, int], list[bytes]],
        nodes: Callable[[int, int, int], list[bytes]],
    ):
        self._size = size
        self._digests = digests
        self._nodes = nodes
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def read(self, level: int, first: int, count: int) -> list[bytes]:
        """Return hashes of complete subtrees of ``2**level`` entries.

        Raises:
            UnavailableError: A hash that must be there is not (code ``corrupt``).
        """
        if first < 0 or count < 0 or (first + count) << level > self._size:
            raise AssertionError("no hash beyond the size of the tree")
        tile_level, rest = divmod(level, _BITS)
        hashes = self._stored(tile_level, first << rest, count << rest)
        for _ in range(rest):
            hashes = [
                node_hash(left, right)
                for left, right in zip(hashes[::2], hashes[1::2], strict=True)
            ]
        return hashes

    def _stored(self, level: int, first: int, count: int) -> list[bytes]:
        """Return hashes of a tile level, tile by tile."""
        hashes: list[bytes] = []
        while count:
            tile, offset = divmod(first, SLOT)
            part = self._tile(level, tile)[offset : offset + count]
            hashes += part
            first += len(part)
            count -= len(part)
        return hashes

    def _tile(self, level: int, tile: int) -> list[bytes]:
        """Return one tile, as wide as the tree has it."""
        known = self._tiles.get((level, tile))
        if known is None:
            known = self._load(level, tile * SLOT)
            if len(self._tiles) >= _REMEMBERED:
                del self._tiles[next(iter(self._tiles))]
            self._tiles[level, tile] = known
        return known

    def _load(self, level: int, first: int) -> list[bytes]:
        stop = min(first + SLOT, self._size >> (_BITS * level))
        if level == 0:
            return leaf_hashes(self._digests(first, stop))
        hashes = self._nodes(level, first, stop - first)
        if len(hashes) != stop - first:
            raise corrupt("a tree hash is missing")
        return hashes
