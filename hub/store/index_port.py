"""The port to what is derived for look-ups; ``hub.store.base`` has the common promises.

The index may be behind the feeds, never wrong about what it holds: it is rebuilt from
them at will, and refuses to answer while a head is ahead of it, so that nobody takes a
seller for clean whose report just came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hub.errors import UnavailableError
from hub.indicators import Listed, Outlook, Reported
from hub.model import EntryName
from schemas.plain import PlainReport

__all__ = ["Filed", "Index", "IndexEntry", "index_behind"]

IndexEntry = tuple[int, PlainReport | Mapping[str, Any]]
"""The index of an entry, and the entry as read from its line."""


@dataclass(frozen=True, slots=True)
class Filed:
    """Where a report stands: its entry, and what it is about."""

    name: EntryName
    token: bytes
    case: str


class Index(Protocol):
    """What is derived from the feeds for fast look-ups; rebuilt from them at will."""

    def clear(self) -> None:
        """Forget everything, so that it can be built again from entry 0."""
        ...

    def size(self, feed: str) -> int:
        """Return up to which entry a feed is indexed."""
        ...

    def behind(self) -> list[str]:
        """Return the feeds whose head is ahead of the index, by name.

        The registry is one of them: it decides whose lines are void.
        """
        ...

    def add(self, feed: str, stop: int, entries: Iterable[IndexEntry]) -> None:
        """Index the entries of a feed from :meth:`size` to ``stop``, in their order.

        Fast in long runs only: the cost of a run grows with the whole index.
        """
        ...

    def forget(self, feed: str, indices: Sequence[int]) -> None:
        """Drop what is known of deleted lines; belongs in the transaction of ``erase``.

        What they held is then in the index no more than in the lines.
        """
        ...

    def silence(self, suspended: Mapping[EntryName, int], gone: Iterable[str]) -> None:
        """Keep what the registry makes inactive, for who reads the tables by hand.

        Look-ups take it from their outlook instead, which is never behind.
        """
        ...

    def lookup(
        self, tokens: Sequence[bytes], outlook: Outlook
    ) -> dict[bytes, list[Listed]]:
        """Return the active reports of each token that has any.

        Raises:
            UnavailableError: A head is ahead of the index (code ``index-behind``).
        """
        ...

    def reports_of(self, feed: str, token: bytes) -> list[Reported]:
        """Return every report of a member on a token, oldest first.

        Those that were withdrawn too, and none under a standing erasure.

        Raises:
            UnavailableError: A head is ahead of the index (code ``index-behind``).
        """
        ...

    def reports_in(self, feed: str, case: str) -> list[Filed]:
        """Return every report of a case, oldest first, as :meth:`reports_of` does.

        Raises:
            UnavailableError: A head is ahead of the index (code ``index-behind``).
        """
        ...

    def page(self, feed: str, start: int, limit: int) -> list[Filed]:
        """Return the next reports of a feed, at ``start`` or above, by their place.

        Withdrawn ones too, and none under a standing erasure.

        Raises:
            UnavailableError: A head is ahead of the index (code ``index-behind``).
        """
        ...

    def disputes_of(self, name: EntryName) -> list[EntryName]:
        """Return the disputes that name an entry and stand, by their writers.

        Raises:
            UnavailableError: A head is ahead of the index (code ``index-behind``).
        """
        ...

    def all_active(self, outlook: Outlook) -> dict[bytes, list[Listed]]:
        """Return every active report by token; for audits and tests.

        Raises:
            UnavailableError: A head is ahead of the index (code ``index-behind``).
        """
        ...


def index_behind(feeds: Sequence[str]) -> UnavailableError:
    """Return the error that says that look-ups would miss what came last."""
    return UnavailableError(
        f"the index is behind the feeds: {', '.join(feeds)}",
        code="index-behind",
        advice="Run `hub pull`, which brings it up to them.",
    )
