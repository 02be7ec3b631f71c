"""Tiles and their paths (C2SP tlog-tiles v0.1.0).

Below a feed's prefix: ``tile/<L>/<N>[.p/<W>]`` holds up to 256 hashes of level L,
``tile/entries/<N>[.p/<W>]`` up to 256 items, each with a 16-bit big-endian length. N is
written in groups of three digits, all but the last with an ``x``: ``x001/x234/067``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hub.errors import MalformedError

__all__ = [
    "TILE",
    "TileId",
    "parse_bundle",
    "parse_tile_path",
    "render_bundle",
    "tile_path",
    "width_at",
]

TILE = 256
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
        if (level or 0) < 64 and tile_path(tile) == path:
            return tile
    raise MalformedError(f"not the path of a tile: {path[:80]!r}", code="bad-path")


def width_at(size: int, tile: TileId) -> int:
    """Return how many hashes of the tile exist in a tree of ``size`` leaves."""
    count = size >> (8 * (tile.level or 0))
    return max(0, min(TILE, count - TILE * tile.index))


def render_bundle(items: Sequence[bytes]) -> bytes:
    """Return a bundle of items."""
    return b"".join(len(item).to_bytes(2, "big") + item for item in items)


def parse_bundle(raw: bytes) -> list[bytes]:
    """Read the items of a bundle.

    Raises:
        MalformedError: It is cut short.
    """
    items, place = [], 0
    while place < len(raw):
        end = place + 2 + int.from_bytes(raw[place : place + 2], "big")
        if end > len(raw) or place + 2 > len(raw):
            raise MalformedError("the bundle is cut short")
        items.append(raw[place + 2 : end])
        place = end
    return items
