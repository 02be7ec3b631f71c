"""The port to what nodes say of each other; ``hub.store.base`` has the common promises.

Witness state is what this node's witness key last cosigned: it is compared and swapped,
and durable before a cosignature leaves. Evidence is kept for ever, each fact once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

__all__ = ["EvidenceRow", "Federation", "Witnessed"]


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The head that a witness key last cosigned, and the second at which it did."""

    size: int
    root: bytes
    time: int


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """What convicts somebody.

    Args:
        name: Names the fact, whatever the bytes that show it: ``fork/maison/<key>``.
        kind: The kind of evidence.
        feed: The feed that it is about.
        size: The size from which on the feed is in doubt; 0 when that says nothing.
        raw: The evidence file.
        at: When this node stored it.
    """

    name: str
    kind: str
    feed: str
    size: int
    raw: bytes
    at: int


class Federation(Protocol):
    """Witness state, vouched heads and evidence."""

    def witnessed(self, feed: str) -> Witnessed | None:
        """Return what this node last cosigned of a feed."""
        ...

    def witness(self, feed: str, old: Witnessed | None, new: Witnessed) -> None:
        """Swap the witness state of a feed.

        Raises:
            ConflictError: It is not ``old`` any more.
        """
        ...

    def vouched(self, feed: str, nodes: Collection[str], count: int) -> int:
        """Return the largest size that at least ``count`` of ``nodes`` cosigned.

        It is 0 when there is none. Only sizes whose checkpoint is stored count.
        """
        ...

    def went_back(
        self, feed: str, node: str, size: int, time: int
    ) -> tuple[int, int] | None:
        """Return (larger, smaller size) of which a node cosigned the smaller later.

        One of them is ``size``, cosigned at ``time``; None when nothing contradicts it.
        """
        ...

    def set_aside(self, feed: str, size: int, now: int) -> int:
        """Take everything from index ``size`` on out of a feed; return how many lines.

        The lines are kept aside. Digests, hashes, batches, checkpoints, cosignatures
        and erasure orders above go, and the head becomes that of ``size``, whose
        checkpoint must be stored, or none for 0. What is derived is the caller's.

        Raises:
            MalformedError: The feed is shorter, or ``size`` has no checkpoint.
        """
        ...

    def aside(self, feed: str) -> list[tuple[int, bytes | None]]:
        """Return (index, line) of what was set aside of a feed, by time and index."""
        ...

    def add_evidence(self, row: EvidenceRow) -> bool:
        """Keep evidence; return False when the fact is known already."""
        ...

    def evidence(self, feed: str | None = None) -> list[EvidenceRow]:
        """Return the evidence about a feed, or all of it, by time and name."""
        ...
