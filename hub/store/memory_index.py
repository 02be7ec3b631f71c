"""The index in memory: the definition of derived state itself, slow and certain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from hub.indicators import Listed, Outlook, Reported, derive, follow
from hub.model import EntryName, parse_time
from hub.store.index_port import Filed, IndexEntry, index_behind
from keys.encoding import from_base64, to_base64
from schemas.plain import PlainReport

__all__ = ["MemoryIndex", "View"]


@dataclass(frozen=True, slots=True)
class View:
    """What the index sees of the transaction that asks it.

    Args:
        erased: Returns the entries under a standing order.
        sizes: Returns the size of every head.
    """

    erased: Callable[[], frozenset[EntryName]] = frozenset[EntryName]
    sizes: Callable[[], Mapping[str, int]] = dict[str, int]


class MemoryIndex:
    """The ``Index`` port in memory.

    Args:
        view: What it sees of the transaction.
    """

    def __init__(self, view: View = View()) -> None:
        self._feeds: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
        self._sizes: dict[str, int] = {}
        self._view = view

    def copy(self) -> MemoryIndex:
        """Return an independent copy, for a transaction that may be rolled back."""
        other = MemoryIndex()
        other._feeds = {f: list(e) for f, e in self._feeds.items()}
        other._sizes = dict(self._sizes)
        return other

    def seen_with(self, view: View) -> MemoryIndex:
        """Return the same index, answering for a transaction."""
        other = MemoryIndex(view)
        other._feeds, other._sizes = self._feeds, self._sizes
        return other

    def clear(self) -> None:
        """Forget everything, so that it can be built again from entry 0."""
        self._feeds.clear()
        self._sizes.clear()

    def size(self, feed: str) -> int:
        """Return up to which entry a feed is indexed."""
        return self._sizes.get(feed, 0)

    def behind(self) -> list[str]:
        """Return the feeds whose head is ahead of the index, by name."""
        sizes = self._view.sizes()
        return sorted(feed for feed, size in sizes.items() if size > self.size(feed))

    def add(self, feed: str, stop: int, entries: Iterable[IndexEntry]) -> None:
        """Index the entries of a feed up to ``stop``, in their order."""
        known = self._feeds.setdefault(feed, [])
        known += [(index, _mapping(entry)) for index, entry in entries]
        self._sizes[feed] = stop

    def forget(self, feed: str, indices: Sequence[int]) -> None:
        """Drop what is known of lines that were deleted."""
        gone = set(indices)
        kept = [e for e in self._feeds.get(feed, ()) if e[0] not in gone]
        self._feeds[feed] = kept

    def reports_of(self, feed: str, token: bytes) -> list[Reported]:
        """Return every report of a member on a token, oldest first."""
        self._check()
        return [
            Reported(row.name, parse_time(row.entry["valid_until"]), row.ended)
            for row in follow(feed, self._feeds.get(feed, ()), self._view.erased())
            if row.entry.get("token") == to_base64(token)
            and row.entry["kind"] == "report"
        ]

    def reports_in(self, feed: str, case: str) -> list[Filed]:
        """Return every report of a case, oldest first."""
        return [filed for filed in self._filed(feed) if filed.case == case]

    def page(self, feed: str, start: int, limit: int) -> list[Filed]:
        """Return the next reports of a feed, at ``start`` or above, by their place."""
        left = (filed for filed in self._filed(feed) if filed.name.index >= start)
        return list(islice(left, limit))

    def _filed(self, feed: str) -> list[Filed]:
        self._check()
        return [
            Filed(row.name, from_base64(row.entry["token"]), row.entry["case"])
            for row in follow(feed, self._feeds.get(feed, ()), self._view.erased())
            if row.entry["kind"] == "report"
        ]

    def disputes_of(self, name: EntryName) -> list[EntryName]:
        """Return the disputes that name an entry and stand, by their writers."""
        self._check()
        wanted = {"feed": name.feed, "entry": name.index}
        return sorted(
            row.name
            for feed, entries in self._feeds.items()
            for row in follow(feed, entries, self._view.erased())
            if row.entry["kind"] == "dispute"
            and row.ended is None
            and wanted.items() <= row.entry["report"].items()
        )

    def silence(self, suspended: Mapping[EntryName, int], gone: Iterable[str]) -> None:
        """Keep nothing: there are no views, and every question brings its outlook."""

    def all_active(self, outlook: Outlook) -> dict[bytes, list[Listed]]:
        """Return every active report by token."""
        found = self._derived(outlook)
        return {from_base64(t): rows for t, rows in found.items()}

    def lookup(
        self, tokens: Sequence[bytes], outlook: Outlook
    ) -> dict[bytes, list[Listed]]:
        """Return the active reports of each token that has any."""
        found = self._derived(outlook)
        hits = ((t, found.get(to_base64(t))) for t in tokens)
        return {t: rows for t, rows in hits if rows}

    def _derived(self, outlook: Outlook) -> dict[str, list[Listed]]:
        self._check()
        return derive(self._feeds, outlook, self._view.erased())

    def _check(self) -> None:
        if behind := self.behind():
            raise index_behind(behind)


def _mapping(entry: PlainReport | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(entry, PlainReport):
        return entry
    given = {name: text for name, text in entry._asdict().items() if text is not None}
    numbers = (entry.goods or "").split(",")
    return {
        "kind": "report",
        **given,
        "confidence": int(entry.confidence),
        "goods": [int(number) for number in numbers if number],
    }
