"""What is derived from the feeds for fast look-ups, rebuilt from them at will.

Losing these tables loses nothing. A withdrawal of a case marks the reports that it ends
when it is added (``ended``); a withdrawal of one report marks that report alone
(``withdrawn``), and what else it ends is decided by the question, because it ends
nothing once that report is erased. So is what depends on the time or on the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hub.indicators import Listed, Outlook, Reported, derive, follow
from hub.model import EntryName, parse_time
from hub.store.session import Session
from keys.encoding import from_base64, to_base64

__all__ = ["MemoryIndex", "SqliteIndex"]

Entries = Iterable[tuple[int, Mapping[str, Any]]]
_CHUNK = 400
# The first withdrawal of one report that ends r, unless that report was erased since.
_ENDED_BY_ENTRY = """SELECT min(w.withdrawn) FROM reports w WHERE w.token = r.token
    AND w.feed = r.feed AND w."case" = r."case" AND w.entry >= r.entry
    AND w.withdrawn IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM erasures e WHERE e.feed = w.feed
        AND e.entry = w.entry AND NOT e.voided)"""
_STANDS = """r.ended IS NULL
    AND NOT EXISTS (SELECT 1 FROM erasures e WHERE e.feed = r.feed
        AND e.entry = r.entry AND NOT e.voided)
    AND NOT EXISTS (SELECT 1 FROM reports w WHERE w.token = r.token
        AND w.feed = r.feed AND w."case" = r."case" AND w.entry >= r.entry
        AND w.withdrawn IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM erasures e WHERE e.feed = w.feed
            AND e.entry = w.entry AND NOT e.voided))"""


class SqliteIndex:
    """The ``Index`` port in SQLite."""

    def __init__(self, session: Session):
        self._session = session

    def clear(self) -> None:
        """Forget everything, so that it can be built again from entry 0."""
        for table in ("reports", "disputes", "indexed"):
            self._session.run(f"DELETE FROM {table}")  # noqa: S608 - Fixed names.

    def size(self, feed: str) -> int:
        """Return up to which entry a feed is indexed."""
        query = "SELECT size FROM indexed WHERE feed = ?"
        row = self._session.row(query, (self._session.feed(feed),))
        return int(row[0]) if row else 0

    def add(self, feed: str, stop: int, entries: Entries) -> None:
        """Index the entries of a feed up to ``stop``, in their order."""
        number = self._session.new_feed(feed)
        pending: list[tuple[object, ...]] = []
        for index, entry in entries:
            if entry["kind"] == "report":
                pending.append(_row(number, index, entry))
                continue
            self._flush(pending)
            if entry["kind"] == "withdrawal":
                self._withdraw(number, index, entry)
            elif entry["kind"] == "dispute":
                self._dispute(number, index, entry)
        self._flush(pending)
        self._session.run(
            "INSERT OR REPLACE INTO indexed (feed, size) VALUES (?, ?)", (number, stop)
        )

    def forget(self, feed: str, indices: Sequence[int]) -> None:
        """Drop what is known of lines that were deleted; their tokens go with them."""
        number = self._session.feed(feed)
        for table in ("reports", "disputes"):
            self._session.many(
                f"DELETE FROM {table} WHERE feed = ? AND entry = ?",  # noqa: S608 - Fixed names.
                ((number, index) for index in indices),
            )
        self._session.erased = True

    def silence(self, suspended: Mapping[EntryName, int], gone: Iterable[str]) -> None:
        """Keep what the registry makes inactive, for who reads the views."""
        self._session.run("DELETE FROM suspensions")
        self._session.run("DELETE FROM departures")
        self._session.many(
            "INSERT INTO suspensions (feed, entry, until) VALUES (?, ?, ?)",
            (
                (self._session.new_feed(name.feed), name.index, until)
                for name, until in suspended.items()
            ),
        )
        self._session.many(
            "INSERT INTO departures (feed) VALUES (?)",
            ((self._session.new_feed(feed),) for feed in gone),
        )

    def _flush(self, pending: list[tuple[object, ...]]) -> None:
        if pending:
            self._session.many(
                """INSERT OR REPLACE INTO reports
                VALUES (?,?,?,?,?,?,?,?,?,NULL,NULL,?,?)""",
                pending,
            )
            pending.clear()

    def _withdraw(self, feed: int, index: int, entry: Mapping[str, Any]) -> None:
        if "case" in entry:
            self._session.run(
                'UPDATE reports SET ended = ? WHERE feed = ? AND "case" = ? '
                "AND ended IS NULL",
                (index, feed, entry["case"]),
            )
            return
        target = EntryName.parse(entry["entry"])
        if self._session.feed(target.feed) != feed:
            return
        for statement in (
            "UPDATE disputes SET ended = ? WHERE feed = ? AND entry = ?",
            """UPDATE reports SET withdrawn = coalesce(withdrawn, ?)
            WHERE feed = ? AND entry = ?""",
        ):
            self._session.run(statement, (index, feed, target.index))

    def _dispute(self, feed: int, index: int, entry: Mapping[str, Any]) -> None:
        report = entry["report"]
        on = self._session.new_feed(report["feed"])
        self._session.run(
            "INSERT OR REPLACE INTO disputes VALUES (?, ?, ?, ?, NULL)",
            (feed, index, on, report["entry"]),
        )

    def lookup(
        self, tokens: Sequence[bytes], outlook: Outlook
    ) -> dict[bytes, list[Listed]]:
        """Return the active reports of each token that has any."""
        wanted = sorted(set(tokens))
        result: dict[bytes, list[Listed]] = {}
        for start in range(0, len(wanted), _CHUNK):
            part = wanted[start : start + _CHUNK]
            marks = ",".join("?" * len(part))
            rows = self._session.rows(
                f"""SELECT r.token, f.name, r.entry, r.type, r.basis, r.confidence,
                r.goods, r.valid_until, r.feed, r."case", r.first_seen, r.last_seen
                FROM reports r JOIN feeds f ON f.id = r.feed
                WHERE r.token IN ({marks}) AND {_STANDS}
                ORDER BY r.token, f.name, r.entry""",  # noqa: S608 - Question marks only.
                part,
            )
            latest = {(row[0], row[1]): row for row in rows}
            for row in latest.values():
                listed = self._listed(row, outlook)
                if outlook.active(listed.entry, listed.valid_until):
                    result.setdefault(row[0], []).append(listed)
        return result

    def _listed(self, row: tuple[Any, ...], outlook: Outlook) -> Listed:
        token, feed, entry, kind, basis, confidence, goods, until, *more = row
        number, case, *seen = more
        numbers = tuple(int(g) for g in goods.split(",") if g)
        disputed = self._is_disputed(number, case, token, outlook)
        name = EntryName(feed, entry)
        return Listed(name, kind, basis, confidence, numbers, until, disputed, *seen)

    def _is_disputed(
        self, feed: int, case: str, token: bytes, outlook: Outlook
    ) -> bool:
        rows = self._session.rows(
            """SELECT f.name, d.entry FROM disputes d JOIN feeds f ON f.id = d.feed
            JOIN reports r ON r.feed = d.on_feed AND r.entry = d.on_entry
            WHERE d.on_feed = ? AND r."case" = ? AND r.token = ? AND d.ended IS NULL
            AND NOT EXISTS (SELECT 1 FROM erasures e WHERE e.feed = d.feed
                AND e.entry = d.entry AND NOT e.voided)
            AND NOT EXISTS (SELECT 1 FROM erasures e WHERE e.feed = r.feed
                AND e.entry = r.entry AND NOT e.voided)""",
            (feed, case, token),
        )
        return any(
            outlook.suspended.get(EntryName(n, e), 0) <= outlook.now for n, e in rows
        )

    def reports_of(self, feed: str, token: bytes) -> list[Reported]:
        """Return every report of a member on a token, oldest first."""
        rows = self._session.rows(
            f"""SELECT r.entry, r.valid_until, r.ended, ({_ENDED_BY_ENTRY})
            FROM reports r WHERE r.token = ? AND r.feed = ?
            AND NOT EXISTS (SELECT 1 FROM erasures e WHERE e.feed = r.feed
                AND e.entry = r.entry AND NOT e.voided)
            ORDER BY r.entry""",  # noqa: S608 - A fixed text.
            (token, self._session.feed(feed)),
        )
        return [
            Reported(
                EntryName(feed, entry),
                until,
                min((e for e in ends if e is not None), default=None),
            )
            for entry, until, *ends in rows
        ]

    def all_active(self, outlook: Outlook) -> dict[bytes, list[Listed]]:
        """Return every active report by token; for audits and tests."""
        tokens = self._session.rows("SELECT DISTINCT token FROM reports")
        return self.lookup([t for (t,) in tokens], outlook)


def _row(feed: int, index: int, entry: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        feed,
        index,
        from_base64(entry["token"]),
        entry["case"],
        entry["type"],
        entry["basis"],
        entry["confidence"],
        ",".join(map(str, entry.get("goods", ()))),
        parse_time(entry["valid_until"]),
        entry.get("first_seen"),
        entry.get("last_seen"),
    )


class MemoryIndex:
    """The ``Index`` port in memory: the definition itself, slow and certain.

    Args:
        erased: Returns the entries under a standing order.
    """

    def __init__(
        self, erased: Callable[[], frozenset[EntryName]] = frozenset[EntryName]
    ) -> None:
        self._feeds: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
        self._sizes: dict[str, int] = {}
        self._erased = erased

    def copy(self) -> MemoryIndex:
        """Return an independent copy, for a transaction that may be rolled back."""
        other = MemoryIndex()
        other._feeds = {f: list(e) for f, e in self._feeds.items()}
        other._sizes = dict(self._sizes)
        return other

    def seen_with(self, erased: Callable[[], frozenset[EntryName]]) -> MemoryIndex:
        """Return the same index, answering for a transaction's erasures."""
        other = MemoryIndex(erased)
        other._feeds, other._sizes = self._feeds, self._sizes
        return other

    def clear(self) -> None:
        """Forget everything, so that it can be built again from entry 0."""
        self._feeds.clear()
        self._sizes.clear()

    def size(self, feed: str) -> int:
        """Return up to which entry a feed is indexed."""
        return self._sizes.get(feed, 0)

    def add(self, feed: str, stop: int, entries: Entries) -> None:
        """Index the entries of a feed up to ``stop``, in their order."""
        self._feeds.setdefault(feed, []).extend(entries)
        self._sizes[feed] = stop

    def forget(self, feed: str, indices: Sequence[int]) -> None:
        """Drop what is known of lines that were deleted."""
        gone = set(indices)
        kept = [e for e in self._feeds.get(feed, ()) if e[0] not in gone]
        self._feeds[feed] = kept

    def reports_of(self, feed: str, token: bytes) -> list[Reported]:
        """Return every report of a member on a token, oldest first."""
        return [
            Reported(row.name, parse_time(row.entry["valid_until"]), row.ended)
            for row in follow(feed, self._feeds.get(feed, ()), self._erased())
            if row.entry.get("token") == to_base64(token)
            and row.entry["kind"] == "report"
        ]

    def silence(self, suspended: Mapping[EntryName, int], gone: Iterable[str]) -> None:
        """Keep nothing: there are no views, and every question brings its outlook."""

    def all_active(self, outlook: Outlook) -> dict[bytes, list[Listed]]:
        """Return every active report by token."""
        found = derive(self._feeds, outlook, self._erased())
        return {from_base64(t): rows for t, rows in found.items()}

    def lookup(
        self, tokens: Sequence[bytes], outlook: Outlook
    ) -> dict[bytes, list[Listed]]:
        """Return the active reports of each token that has any."""
        found = derive(self._feeds, outlook, self._erased())
        hits = ((t, found.get(to_base64(t))) for t in tokens)
        return {t: rows for t, rows in hits if rows}
