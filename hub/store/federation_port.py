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

    def add_evidence(self, row: EvidenceRow) -> bool:
        """Keep evidence; return False when the fact is known already."""
        ...

    def evidence(self, feed: str | None = None) -> list[EvidenceRow]:
        """Return the evidence about a feed, or all of it, by time and name."""
        ...
