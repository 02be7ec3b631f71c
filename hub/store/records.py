"""The rows that cross the ports of the store: frozen values, nothing else.

Integers are entry indices, counts or POSIX seconds; digests, roots and keys are raw
bytes; ``by`` is an entry name such as ``maison/1300``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "DAY",
    "ERASURE_DELAY",
    "SLOT",
    "BatchRow",
    "BearerToken",
    "Block",
    "CosignatureRow",
    "ErasureOrder",
    "Limit",
    "Line",
    "NodeHash",
    "Page",
    "ReadRow",
    "StoredHead",
]

SLOT = 256
"""Entries of one full page, and hashes of one full tile."""

DAY = 86_400
"""Seconds; the window of a daily quota and of a repeated request."""
MEMORY = 7 * DAY
"""How long use of quotas is remembered beyond its window, should the clock jump."""
GRACE = 7200
"""How long a nonce is remembered beyond its time, for the same reason."""

ERASURE_DELAY = 72 * 3600
"""Seconds between storing an erasure order and deleting the line."""

NodeHash = tuple[int, int, bytes]
"""A completed hash: (tile level >= 1, index at that level, 32 bytes)."""


@dataclass(frozen=True, slots=True)
class StoredHead:
    """The newest head of a feed, with the signed note that states it."""

    size: int
    root: bytes
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class CosignatureRow:
    """One node's signature line under one checkpoint, and the time it states."""

    node: str
    time: int
    line: bytes


class Line(NamedTuple):
    """One entry: ``raw`` is None once the line was erased; the digest stays."""

    index: int  # type: ignore[assignment]  # A tuple's own index() is not missed.
    raw: bytes | None
    digest: bytes


class Block(NamedTuple):
    """A run of entries as stored together: at most 256, never across a slot."""

    first: int
    lines: list[bytes | None]
    digests: list[bytes]


@dataclass(frozen=True, slots=True)
class Page:
    """A run of lines as one gzip member: each line followed by a newline.

    ``whole`` is False when an erased line left an empty one in its place, so the
    bytes cannot be served as they are.
    """

    first: int
    count: int
    gzip: bytes
    whole: bool


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch: its header stands at ``first``, ``count`` entries follow.

    ``key`` is the public key that signed the header, or empty where several did
    (the registry).
    """

    batch_id: bytes
    first: int
    count: int
    key: bytes

    @property
    def stop(self) -> int:
        """The index after the last entry of the batch."""
        return self.first + 1 + self.count


@dataclass(frozen=True, slots=True)
class ErasureOrder:
    """Entry ``by`` orders that line ``index`` of ``feed`` be erased."""

    feed: str
    index: int
    by: str
    stored_at: int
    voided: bool = False
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``count`` elements in any window of ``seconds``."""

    count: int
    seconds: int = DAY


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A read-only token of this node; only the SHA-256 of its secret is known."""

    digest: bytes
    name: str
    owner: str
    created: int
    expires: int
    revoked: int | None = None


@dataclass(frozen=True, slots=True)
class ReadRow:
    """Somebody read ``[start, stop)`` of a feed, or something else named ``what``."""

    at: int
    who: str
    what: str
    start: int
    stop: int
