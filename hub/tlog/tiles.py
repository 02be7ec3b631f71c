"""Tiles and their paths (C2SP tlog-tiles v0.1.0).

Below a feed's prefix: ``tile/<L>/<N>[.p/<W>]`` holds up to 256 hashes of level L,
``tile/entries/<N>[.p/<W>]`` up to 256 items, each with a 16-bit big-endian length. N is
written in groups of three digits, all but the last with an ``x``: ``x001/x234/067``.
L is 0 to 63. W, the width of a partial tile, is 1 to 255; a full tile has no W.

Level 0 holds leaf hashes; a hash of level L + 1 is the root over one full tile of
level L. A partial tile is therefore never hashed into the level above, and only the
root of the whole tree vouches for it. Whoever serves tiles is not trusted:
:class:`TileReader` lets no hash out that does not lead to a signed root.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hub.errors import MalformedError, ProofError, RefusedError, UnavailableError
from hub.tlog.merkle import Frontier, root_of

__all__ = [
    "TILE",
    "TileId",
    "TileReader",
    "parse_bundle",
    "parse_tile_path",
    "render_bundle",
    "tile_path",
    "width_at",
]

TILE = 256
_BITS = 8  # One tile level is eight levels of the binary tree.
_HASH = 32
_MAX_ITEM = 0xFFFF
_REMEMBERED = 64
_PATH = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,5}[0-9]{3})"
    r"(?:\.p/([1-9][0-9]{0,2}))?\Z",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class TileId:
    """A tile: its level (None for a bundle of items), its index and its width."""

    level: int | None
    index: int
    width: int = TILE


def tile_path(tile: TileId) -> str:
    """Return the path of a tile or bundle."""
    digits = f"{tile.index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    name = "/".join([*(f"x{g}" for g in groups[:-1]), groups[-1]])
    level = "entries" if tile.level is None else str(tile.level)
    partial = "" if tile.width == TILE else f".p/{tile.width}"
    return f"tile/{level}/{name}{partial}"


def parse_tile_path(path: str) -> TileId:
    """Read the path of a tile or bundle.

    Raises:
        MalformedError: Not a canonical path.
    """
    match = _PATH.match(path)
    if match:
        level = None if match[1] == "entries" else int(match[1])
        index = int(match[2].replace("x", "").replace("/", ""))
        tile = TileId(level, index, int(match[3] or TILE))
        in_range = (level or 0) < 64 and tile.width <= TILE
        if in_range and tile_path(tile) == path:
            return tile
    raise MalformedError(f"not the path of a tile: {path[:80]!r}", code="bad-path")


def width_at(size: int, tile: TileId) -> int:
    """Return how many hashes of the tile exist in a tree of ``size`` leaves."""
    count = size >> (8 * (tile.level or 0))
    return max(0, min(TILE, count - TILE * tile.index))


def render_bundle(items: Sequence[bytes]) -> bytes:
    """Return a bundle of at most 256 items of at most 65,535 bytes."""
    if len(items) > TILE or any(len(item) > _MAX_ITEM for item in items):
        raise AssertionError("a bundle has at most 256 items of 65,535 bytes")
    return b"".join(len(item).to_bytes(2, "big") + item for item in items)


def parse_bundle(raw: bytes) -> list[bytes]:
    """Read the items of a bundle.

    Raises:
        MalformedError: It is cut short, or has more than 256 items.
    """
    items, place = [], 0
    while place < len(raw):
        end = place + 2 + int.from_bytes(raw[place : place + 2], "big")
        if end > len(raw) or place + 2 > len(raw):
            raise MalformedError("the bundle is cut short")
        items.append(raw[place + 2 : end])
        place = end
    if len(items) > TILE:
        raise MalformedError("a bundle has at most 256 items")
    return items


class TileReader:
    """A ``HashReader`` over tiles that somebody serves, none of which is trusted.

    Every full tile is checked against its hash in the parent tile, up to a partial tile
    at the right edge; the partial tiles together are checked against the root. There is
    no other way for a hash to get out. Other readers have skipped the parent of some
    tiles, so that a forged one passed (CVE-2026-56865).

    Tiles are remembered, but only a limited number, so memory is flat in the size.

    Args:
        size: The size of a verified head.
        root: Its root.
        fetch: Returns the bytes of a tile. It raises ``RefusedError`` or
            ``UnavailableError`` for a tile that is not there; then the full tile is
            asked for in place of a partial one, and cut.
    """

    def __init__(self, size: int, root: bytes, fetch: Callable[[TileId], bytes]):
        self._size = size
        self._root = root
        self._fetch = fetch
        self._edge: dict[int, list[bytes]] | None = None
        self._full: dict[tuple[int, int], list[bytes]] = {}

    def read(self, level: int, first: int, count: int) -> list[bytes]:
        """Return ``count`` hashes of subtrees of 2**level leaves from ``first``.

        Raises:
            MalformedError: A tile has another length than its width demands.
            ProofError: A tile does not lead to the root.
            RefusedError: A tile is not there.
            UnavailableError: A tile cannot be fetched.
        """
        if first < 0 or count < 0 or (first + count) << level > self._size:
            raise AssertionError("no hash beyond the size of the tree")
        tile_level, rest = divmod(level, _BITS)
        width = 1 << rest
        hashes = self._hashes(tile_level, first << rest, count << rest)
        if not rest:
            return hashes
        return [
            root_of(hashes[place : place + width])
            for place in range(0, len(hashes), width)
        ]

    def _hashes(self, level: int, first: int, count: int) -> list[bytes]:
        """Return hashes of a tile level, tile by tile."""
        hashes: list[bytes] = []
        while count:
            index, offset = divmod(first, TILE)
            part = self._tile(level, index)[offset : offset + count]
            hashes += part
            first += len(part)
            count -= len(part)
        return hashes

    def _tile(self, level: int, index: int) -> list[bytes]:
        """Return one verified tile, as wide as the tree has it."""
        if self._edge is None:
            self._edge = self._checked_edge()
        if index == self._size >> _BITS * (level + 1):
            return self._edge[level]
        hashes = self._full.pop((level, index), None) or self._checked(level, index)
        if len(self._full) >= _REMEMBERED:
            del self._full[next(iter(self._full))]
        # Put back at the end, so that the one dropped was not used for longest.
        self._full[level, index] = hashes
        return hashes

    def _checked(self, level: int, index: int) -> list[bytes]:
        hashes = self._load(TileId(level, index))
        parent = self._tile(level + 1, index // TILE)
        if root_of(hashes) != parent[index % TILE]:
            raise ProofError(
                f"{tile_path(TileId(level, index))} does not lead to the root",
                code="forged-tile",
            )
        return hashes

    def _checked_edge(self) -> dict[int, list[bytes]]:
        """Fetch the partial tiles, whose subtrees make up the whole tree."""
        edge: dict[int, list[bytes]] = {}
        peaks: tuple[bytes, ...] = ()
        level, count = 0, self._size
        while count:
            index, width = divmod(count, TILE)
            if width:
                edge[level] = self._load(TileId(level, index, width))
                peaks = Frontier().extend(edge[level]).peaks + peaks
            level, count = level + 1, index
        if Frontier(self._size, peaks).root() != self._root:
            raise ProofError(
                "the partial tiles do not lead to the root", code="forged-tile"
            )
        return edge

    def _load(self, tile: TileId) -> list[bytes]:
        try:
            raw = self._fetch(tile)
        except (RefusedError, UnavailableError):
            if tile.width == TILE:
                raise
            # SPEC: tlog-tiles: a partial tile may be gone once the full one exists.
            return self._load(replace(tile, width=TILE))[: tile.width]
        if len(raw) != _HASH * tile.width:
            raise MalformedError(f"{tile_path(tile)} has another length than its width")
        return [raw[place : place + _HASH] for place in range(0, len(raw), _HASH)]
