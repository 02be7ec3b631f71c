"""What is derived from the feeds for fast look-ups, rebuilt from them at will.

Losing these tables loses nothing. A withdrawal of a case marks the reports that it ends
when it is added (``ended``); a withdrawal of one report marks that report alone
(``withdrawn``), and what else it ends is decided by the question, because it ends
nothing once that report is erased. So is what depends on the time or on the registry.

Tokens and cases are random, and a B-tree over a million random keys of full length is
what makes an index slow. So reports are stored in their order, and beside them lie two
narrow tables of the first bytes of tokens and cases, to which a whole run of entries is
added in sorted order: each page of them is touched once. That two keys begin alike is
rare, and found out by comparing the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

from hub.indicators import Listed, Outlook, Reported
from hub.model import EntryName, parse_time
from hub.store.index_port import Filed, IndexEntry, index_behind
from hub.store.session import Session
from keys.encoding import from_base64, from_checked_base64
from schemas.plain import PlainReport

__all__ = ["SqliteIndex"]

Others = list[tuple[int, Mapping[str, Any]]]
_TABLES = ("reports", "report_tokens", "report_cases", "disputes", "indexed")
_CHUNK = 400
# Reports handed over at once. Few, as Python looks through whatever is alive and young
# again and again: with 4096 a run took a tenth longer.
_FLUSHED = 256
_START = 6  # Bytes of a token in ``report_tokens``; ``schema`` has the same number.

_TOKEN_AND_FEED = itemgetter(0, 1)
_REPORT = "INSERT INTO reports VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?, ?)"
_KEYS = (
    """INSERT INTO report_tokens SELECT substr(token, 1, 6), feed, entry
        FROM reports WHERE feed = ?1 AND entry >= ?2 ORDER BY 1, 2, 3""",
    """INSERT INTO report_cases SELECT feed, substr("case", 1, 8), entry
        FROM reports WHERE feed = ?1 AND entry >= ?2 ORDER BY 1, 2, 3""",
)
_END_CASE = """UPDATE reports SET ended = ?1
    WHERE feed = ?2 AND "case" = ?3 AND ended IS NULL AND entry IN (
        SELECT entry FROM report_cases
        WHERE feed = ?2 AND start = substr(?3, 1, 8) AND entry < ?1)"""
_WITHDRAW = (
    """UPDATE reports SET withdrawn = coalesce(withdrawn, ?1)
        WHERE feed = ?2 AND entry = ?3 AND entry < ?1""",
    "UPDATE disputes SET ended = ?1 WHERE feed = ?2 AND entry = ?3 AND entry < ?1",
)
_FORGET = (
    """DELETE FROM report_tokens WHERE feed = ?1 AND entry = ?2 AND start = (
        SELECT substr(token, 1, 6) FROM reports WHERE feed = ?1 AND entry = ?2)""",
    """DELETE FROM report_cases WHERE feed = ?1 AND entry = ?2 AND start = (
        SELECT substr("case", 1, 8) FROM reports WHERE feed = ?1 AND entry = ?2)""",
    "DELETE FROM reports WHERE feed = ?1 AND entry = ?2",
    "DELETE FROM disputes WHERE feed = ?1 AND entry = ?2",
)
# A suspended or ended report still carries disputes on its case, and a withdrawn one
# ends others, so all that are not erased are read; the question decides.
_FOUND = """SELECT r.token, f.name, r.entry, r.type, r.basis, r.confidence, r.goods,
        r.valid_until, r."case", r.ended, r.withdrawn, r.first_seen, r.last_seen,
        EXISTS (SELECT 1 FROM disputes d
            WHERE d.on_feed = r.feed AND d.on_entry = r.entry AND d.ended IS NULL)
    FROM report_tokens t CROSS JOIN reports r ON r.feed = t.feed AND r.entry = t.entry
    JOIN feeds f ON f.id = r.feed
    WHERE t.start IN (%s) AND NOT EXISTS (
        SELECT 1 FROM erasures e
        WHERE e.feed = r.feed AND e.entry = r.entry AND NOT e.voided)
    ORDER BY r.token, f.name, r.entry"""
_DISPUTES = """SELECT f.name, d.entry FROM disputes d JOIN feeds f ON f.id = d.feed
    WHERE d.on_feed = ? AND d.on_entry = ? AND d.ended IS NULL
        AND NOT EXISTS (SELECT 1 FROM erasures e
            WHERE e.feed = d.feed AND e.entry = d.entry AND NOT e.voided)"""


_FILED = """SELECT r.entry, r.token, r."case" FROM reports r
    WHERE r.feed = ?1 AND %s AND NOT EXISTS (
        SELECT 1 FROM erasures e
        WHERE e.feed = r.feed AND e.entry = r.entry AND NOT e.voided)
    ORDER BY r.entry"""
_IN_CASE = (
    _FILED
    % """r."case" = ?2 AND r.entry IN (
        SELECT entry FROM report_cases WHERE feed = ?1 AND start = substr(?2, 1, 8))"""
)
_PAGE = _FILED % "r.entry >= ?2" + " LIMIT ?3"


class _Found(NamedTuple):
    """A row of ``_FOUND``."""

    token: bytes
    feed: str
    entry: int
    type: str
    basis: str
    confidence: int
    goods: str
    valid_until: int
    case: str
    ended: int | None
    withdrawn: int | None
    first_seen: str | None
    last_seen: str | None
    disputed: int


class SqliteIndex:
    """The ``Index`` port in SQLite."""

    def __init__(self, session: Session):
        self._session = session

    def clear(self) -> None:
        """Forget everything, so that it can be built again from entry 0."""
        for table in _TABLES:
            self._session.run(f"DELETE FROM {table}")  # noqa: S608 - Fixed names.

    def size(self, feed: str) -> int:
        """Return up to which entry a feed is indexed."""
        query = "SELECT size FROM indexed WHERE feed = ?"
        row = self._session.row(query, (self._session.feed(feed),))
        return int(row[0]) if row else 0

    def behind(self) -> list[str]:
        """Return the feeds whose head is ahead of the index, by name."""
        rows = self._session.rows(
            "SELECT f.name FROM heads h JOIN feeds f ON f.id = h.feed"
            " LEFT JOIN indexed i ON i.feed = h.feed"
            " WHERE h.size > coalesce(i.size, 0) ORDER BY f.name"
        )
        return [name for (name,) in rows]

    def add(self, feed: str, stop: int, entries: Iterable[IndexEntry]) -> None:
        """Index the entries of a feed up to ``stop``, in their order."""
        number, start = self._session.new_feed(feed), self.size(feed)
        others: Others = []
        left = iter(entries)
        while part := list(islice(left, _FLUSHED)):
            reports = []
            for index, entry in part:
                if isinstance(entry, PlainReport):
                    reports.append(_plain_row(number, index, entry))
                elif entry["kind"] == "report":
                    reports.append(_row(number, index, entry))
                else:
                    others.append((index, entry))
            self._session.many(_REPORT, reports)
        # If we crash here, or anywhere before the commit, then all of this run is
        # missing and ``indexed`` says so: it is added again.
        for statement in _KEYS:
            self._session.run(statement, (number, start))
        self._disputes(number, others)
        self._withdrawals(number, others)
        self._session.run(
            "INSERT OR REPLACE INTO indexed (feed, size) VALUES (?, ?)", (number, stop)
        )

    def _disputes(
        self, feed: int, entries: list[tuple[int, Mapping[str, Any]]]
    ) -> None:
        made = [(i, e["report"]) for i, e in entries if e["kind"] == "dispute"]
        self._session.many(
            "INSERT INTO disputes VALUES (?, ?, ?, ?, NULL)",
            [
                (feed, index, self._session.new_feed(report["feed"]), report["entry"])
                for index, report in made
            ],
        )

    def _withdrawals(self, feed: int, entries: Others) -> None:
        """Mark what withdrawals end. Each ends only what stands before it.

        That is a condition of the statements, so all reports of the run may be there.
        """
        made = [(i, e) for i, e in entries if e["kind"] == "withdrawal"]
        cases = [(i, feed, e["case"]) for i, e in made if "case" in e]
        self._session.many(_END_CASE, cases)
        named = [(i, EntryName.parse(e["entry"])) for i, e in made if "entry" in e]
        single = [
            (index, feed, name.index)
            for index, name in named
            if self._session.feed(name.feed) == feed
        ]
        for statement in _WITHDRAW:
            self._session.many(statement, single)

    def forget(self, feed: str, indices: Sequence[int]) -> None:
        """Drop what is known of lines that were deleted; their tokens go with them."""
        number = self._session.feed(feed)
        for statement in _FORGET:
            self._session.many(statement, ((number, index) for index in indices))
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

    def lookup(
        self, tokens: Sequence[bytes], outlook: Outlook
    ) -> dict[bytes, list[Listed]]:
        """Return the active reports of each token that has any.

        Raises:
            UnavailableError: A head is ahead of the index (``index-behind``).
        """
        self._check()
        wanted = sorted(set(tokens))
        result: dict[bytes, list[Listed]] = {}
        for start in range(0, len(wanted), _CHUNK):
            found = self._reports(wanted[start : start + _CHUNK])
            for (token, _), group in groupby(found, _TOKEN_AND_FEED):
                if listed := self._latest(list(group), outlook):
                    result.setdefault(token, []).append(listed)
        return result

    def _check(self) -> None:
        if behind := self.behind():
            raise index_behind(behind)

    def _reports(self, tokens: Sequence[bytes]) -> list[_Found]:
        """Return all reports on tokens that are not erased, by token and entry."""
        starts = sorted({token[:_START] for token in tokens})
        query = _FOUND % ",".join("?" * len(starts))
        rows, asked = self._session.rows(query, starts), set(tokens)
        # Another token that begins alike is not what was asked for.
        return [_Found._make(row) for row in rows if row[0] in asked]

    def _latest(self, rows: list[_Found], outlook: Outlook) -> Listed | None:
        """Return a member's report on a token that counts, if it is active.

        Args:
            rows: All its reports on the token that are not erased, by entry.
            outlook: Time, suspensions, departures.
        """
        row = rows[0] if len(rows) == 1 else None
        if row is None or row.ended is not None or row.withdrawn is not None:
            ends = _ends(rows)
            row = next((r for r in reversed(rows) if ends[r.entry] is None), None)
        if row is None:
            return None
        name = EntryName(row.feed, row.entry)
        if not outlook.active(name, row.valid_until):
            return None
        return Listed(
            name,
            row.type,
            row.basis,
            row.confidence,
            _goods(row.goods),
            row.valid_until,
            any(
                self._is_disputed(other, outlook)
                for other in rows
                if other.disputed and other.case == row.case
            ),
            row.first_seen,
            row.last_seen,
        )

    def _is_disputed(self, row: _Found, outlook: Outlook) -> bool:
        place = (self._session.feed(row.feed), row.entry)
        rows = self._session.rows(_DISPUTES, place)
        return any(
            outlook.suspended.get(EntryName(n, e), 0) <= outlook.now for n, e in rows
        )

    def reports_of(self, feed: str, token: bytes) -> list[Reported]:
        """Return every report of a member on a token, oldest first."""
        self._check()
        rows = [row for row in self._reports([token]) if row.feed == feed]
        ends = _ends(rows)
        return [
            Reported(EntryName(feed, row.entry), row.valid_until, ends[row.entry])
            for row in rows
        ]

    def reports_in(self, feed: str, case: str) -> list[Filed]:
        """Return every report of a case, oldest first."""
        return self._filed(feed, _IN_CASE, case)

    def page(self, feed: str, start: int, limit: int) -> list[Filed]:
        """Return the next reports of a feed, at ``start`` or above, by their place."""
        return self._filed(feed, _PAGE, start, limit)

    def _filed(self, feed: str, query: str, *values: object) -> list[Filed]:
        self._check()
        rows = self._session.rows(query, (self._session.feed(feed), *values))
        return [Filed(EntryName(feed, e), token, case) for e, token, case in rows]

    def disputes_of(self, name: EntryName) -> list[EntryName]:
        """Return the disputes that name an entry and stand, by their writers."""
        self._check()
        place = (self._session.feed(name.feed), name.index)
        rows = self._session.rows(_DISPUTES, place)
        return sorted(EntryName(feed, entry) for feed, entry in rows)

    def all_active(self, outlook: Outlook) -> dict[bytes, list[Listed]]:
        """Return every active report by token; for audits and tests."""
        tokens = self._session.rows("SELECT DISTINCT token FROM reports")
        return self.lookup([t for (t,) in tokens], outlook)


def _ends(rows: list[_Found]) -> dict[int, int | None]:
    """Return which withdrawal was the first to end each report, if one did.

    Args:
        rows: One member's reports on one token that are not erased, by entry.
    """
    ends: dict[int, int | None] = {}
    named: dict[str, int] = {}
    for row in reversed(rows):
        # The withdrawal of one report ends the earlier ones of its case too.
        if row.withdrawn is not None:
            named[row.case] = min(row.withdrawn, named.get(row.case, row.withdrawn))
        both = (row.ended, named.get(row.case))
        ends[row.entry] = min((e for e in both if e is not None), default=None)
    return ends


@lru_cache(maxsize=4096)
def _goods(text: str) -> tuple[int, ...]:
    # Members sell the same few kinds of goods in a million reports.
    return tuple(int(number) for number in text.split(",") if number)


def _plain_row(feed: int, index: int, entry: PlainReport) -> tuple[object, ...]:
    kind, token, _, case, basis, confidence, until, goods, first, last = entry
    return (
        feed,
        index,
        from_checked_base64(token),
        case,
        kind,
        basis,
        int(confidence),
        goods or "",
        parse_time(until),
        first,
        last,
    )


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
