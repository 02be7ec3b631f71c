"""Entries and tree hashes in SQLite: the hot path of publishing and reading.

A row of ``pages`` holds a run of entries of one slot of 256: first the digests, then
the lines, so that reading digests never touches the pages of the lines. An append
writes its own rows, cut at the slots; whoever completes a slot merges its rows into
one, which then never changes but for erasures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hub.errors import ConflictError
from hub.store.hashes import StoredHashes
from hub.store.pages import (
    check_digests,
    check_lines,
    check_range,
    check_slot,
    corrupt,
    cut,
    pack,
    unpack,
)
from hub.store.records import SLOT, Block, Line, NodeHash, Page
from hub.store.session import Session
from hub.tlog.merkle import HashReader

__all__ = ["SqliteObjects"]

_DIGEST = 32
_FETCHED = 16  # Rows read at once: about 600 KB, whatever the range.

_ROWS = {
    columns: f"SELECT {columns} FROM pages WHERE feed = ?1 AND first < ?3"  # noqa: S608 constants
    " AND first >= (SELECT max(first) FROM pages WHERE feed = ?1 AND first <= ?2)"
    " ORDER BY first LIMIT ?4"
    for columns in (
        "first, count, digests",
        "first, count, digests, lines",
        "first, count, missing, lines",
    )
}
_INSERT = (
    "INSERT INTO pages (feed, first, count, missing, digests, lines)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)


class SqliteObjects:
    """The ``Objects`` port; see ``hub.store.base`` for what it promises."""

    def __init__(self, session: Session):
        self._session = session

    def size(self, feed: str) -> int:
        """Return how many entries of ``feed`` are stored, 0 for an unknown feed."""
        row = self._session.row(
            "SELECT first + count FROM pages WHERE feed = ?"
            " ORDER BY first DESC LIMIT 1",
            (self._session.feed(feed),),
        )
        return int(row[0]) if row else 0

    def append(
        self,
        feed: str,
        first: int,
        lines: Sequence[bytes | None],
        digests: Sequence[bytes],
        nodes: Sequence[NodeHash],
    ) -> None:
        """Add entries behind the last one.

        Raises:
            ConflictError: The feed does not end at ``first``.
            MalformedError: A line is empty or holds a newline.
        """
        check_lines(lines, digests)
        size = self.size(feed)
        if size != first:
            raise ConflictError(f"The feed {feed} has {size} entries now.")
        number = self._session.new_feed(feed)
        if first % SLOT and first % SLOT + len(lines) >= SLOT:
            first, lines, digests = self._unmerge(feed, first, lines, digests)
        # If we crash here, then the pieces of the slot seem gone and their merged
        # page not yet written: the transaction brings both or neither.
        self._session.many(_INSERT, _rows(number, first, lines, digests))
        # If we crash here, then entries lack their tree hashes: not committed either.
        self._session.many(
            "INSERT INTO hashes (feed, level, n, hash) VALUES (?, ?, ?, ?)",
            ((number, *node) for node in nodes),
        )

    def _unmerge(
        self,
        feed: str,
        first: int,
        lines: Sequence[bytes | None],
        digests: Sequence[bytes],
    ) -> tuple[int, list[bytes | None], list[bytes]]:
        """Take the pieces of the open slot out and put them before the new entries."""
        start = first - first % SLOT
        old = list(self.blocks(feed, start, first))
        self._session.run(
            "DELETE FROM pages WHERE feed = ? AND first >= ?",
            (self._session.feed(feed), start),
        )
        old_lines = [line for block in old for line in block.lines]
        old_digests = [digest for block in old for digest in block.digests]
        return start, [*old_lines, *lines], [*old_digests, *digests]

    def digests(self, feed: str, start: int, stop: int) -> list[bytes]:
        """Return the digests of a range."""
        check_range(start, stop, self.size(feed))
        found: list[bytes] = []
        for first, _, digests in self._runs("first, count, digests", feed, start, stop):
            found += _cut_digests(digests, start - first, stop - first)
        return found

    def lines(self, feed: str, start: int, stop: int) -> Iterator[Line]:
        """Stream a range entry by entry; memory does not grow with the range."""
        return (
            Line(block.first + offset, raw, digest)
            for block in self.blocks(feed, start, stop)
            for offset, (raw, digest) in enumerate(
                zip(block.lines, block.digests, strict=True)
            )
        )

    def blocks(self, feed: str, start: int, stop: int) -> Iterator[Block]:
        """Stream a range in runs of at most 256: the fast way to read everything."""
        check_range(start, stop, self.size(feed))
        return (
            Block(
                max(first, start),
                unpack(lines, count)[max(start - first, 0) : stop - first],
                _cut_digests(digests, start - first, stop - first),
            )
            for first, count, digests, lines in self._runs(
                "first, count, digests, lines", feed, start, stop
            )
        )

    def pages(self, feed: str, start: int, stop: int) -> Iterator[Page]:
        """Stream a range as gzip members whose concatenation is one gzip file."""
        check_range(start, stop, self.size(feed))
        return (
            Page(first, count, lines, not missing)
            if start <= first and first + count <= stop
            else _cut_page(first, unpack(lines, count), start, stop)
            for first, count, missing, lines in self._runs(
                "first, count, missing, lines", feed, start, stop
            )
        )

    def erase(self, feed: str, indices: Sequence[int]) -> int:
        """Remove lines for good and return how many were there; digests stay."""
        self._session.erased = True
        return self._change(feed, dict.fromkeys(indices))

    def refill(self, feed: str, lines: Mapping[int, bytes]) -> int:
        """Put back lines that are missing; return how many there were.

        Raises:
            MalformedError: A line is not the one that was hashed (``wrong-digest``).
        """
        if lines:
            check_range(min(lines), max(lines) + 1, self.size(feed))
        check_digests(lines, lambda index: self.digests(feed, index, index + 1)[0])
        return self._change(feed, lines)

    def _change(self, feed: str, lines: Mapping[int, bytes | None]) -> int:
        """Change which lines are there, slot by slot; return how many changed."""
        wanted = sorted(lines)
        if wanted:
            check_range(wanted[0], wanted[-1] + 1, self.size(feed))
        changed = 0
        while wanted:
            stop = wanted[0] - wanted[0] % SLOT + SLOT
            here = [index for index in wanted if index < stop]
            wanted = wanted[len(here) :]
            changed += self._change_slot(feed, {index: lines[index] for index in here})
        return changed

    def _change_slot(self, feed: str, wanted: Mapping[int, bytes | None]) -> int:
        changed = 0
        rows = self._runs(
            "first, count, digests, lines", feed, min(wanted), max(wanted) + 1
        )
        for first, count, _, packed in list(rows):
            lines = unpack(packed, count)
            before = lines.count(None)
            for index, line in wanted.items():
                if first <= index < first + count and (
                    line is None or lines[index - first] is None
                ):
                    lines[index - first] = line
            changed += abs(lines.count(None) - before)
            # If we crash here, then the old page is still whole: what is due is
            # still due, and is done again.
            self._session.run(
                "UPDATE pages SET lines = ?, missing = ? WHERE feed = ? AND first = ?",
                (pack(lines), lines.count(None), self._session.feed(feed), first),
            )
        return changed

    def cut(self, feed: str, size: int) -> None:
        """Remove every entry from index ``size`` on, and the hashes over them."""
        number, start = self._session.feed(feed), size - size % SLOT
        kept = list(self.blocks(feed, start, size)) if start < size else []
        self._session.run(
            "DELETE FROM pages WHERE feed = ? AND first >= ?", (number, start)
        )
        lines = [line for block in kept for line in block.lines]
        digests = [digest for block in kept for digest in block.digests]
        self._session.many(_INSERT, _rows(number, start, lines, digests))
        for level in range(1, 8):
            self._session.run(
                "DELETE FROM hashes WHERE feed = ? AND level = ? AND n >= ?",
                (number, level, size >> (8 * level)),
            )

    def mend(
        self,
        feed: str,
        first: int,
        lines: Sequence[bytes | None],
        digests: Sequence[bytes],
    ) -> None:
        """Put a slot in place of what is there, whatever that is.

        Raises:
            MalformedError: It does not begin at a slot, or is longer than one.
        """
        check_lines(lines, digests)
        check_slot(first, len(lines))
        number = self._session.new_feed(feed)
        # If we crash here, then the slot is as it was: the transaction brings both.
        self._session.run(
            "DELETE FROM pages WHERE feed = ? AND first >= ? AND first < ?",
            (number, first, first + SLOT),
        )
        self._session.many(_INSERT, _rows(number, first, lines, digests))

    def tree_hashes(self, feed: str) -> list[NodeHash]:
        """Return all stored tree hashes of a feed, by level and index."""
        rows = self._session.rows(
            "SELECT level, n, hash FROM hashes WHERE feed = ? ORDER BY level, n",
            (self._session.feed(feed),),
        )
        return [(level, n, node) for level, n, node in rows]

    def replace_tree_hashes(self, feed: str, nodes: Sequence[NodeHash]) -> None:
        """Put these tree hashes in place of all that are stored of a feed."""
        number = self._session.new_feed(feed)
        self._session.run("DELETE FROM hashes WHERE feed = ?", (number,))
        self._session.many(
            "INSERT INTO hashes (feed, level, n, hash) VALUES (?, ?, ?, ?)",
            ((number, *node) for node in nodes),
        )

    def hash_reader(self, feed: str, size: int) -> HashReader:
        """Return the tree hashes of the first ``size`` entries."""
        check_range(0, size, self.size(feed))

        def digests(start: int, stop: int) -> list[bytes]:
            return self.digests(feed, start, stop)

        def nodes(level: int, first: int, count: int) -> list[bytes]:
            rows = self._session.rows(
                "SELECT hash FROM hashes WHERE feed = ? AND level = ?"
                " AND n >= ? AND n < ? ORDER BY n",
                (self._session.feed(feed), level, first, first + count),
            )
            return [row[0] for row in rows]

        return StoredHashes(size, digests, nodes)

    def _runs(
        self, columns: str, feed: str, start: int, stop: int
    ) -> Iterator[tuple[Any, ...]]:
        """Stream the rows that overlap a range, checking that no row is missing.

        Each turn asks anew instead of holding a cursor, so nothing of the database
        stays locked while the reader takes its time.
        """
        number = self._session.feed(feed)
        while start < stop:
            rows = self._session.rows(_ROWS[columns], (number, start, stop, _FETCHED))
            for row in rows:
                first, count = row[0], row[1]
                if not first <= start < first + count:
                    raise corrupt(f"entry {start} of {feed} is missing")
                start = first + count
                yield row
                self._session.check_open()
            if not rows:
                raise corrupt(f"entry {start} of {feed} is missing")


def _rows(
    number: int,
    first: int,
    lines: Sequence[bytes | None],
    digests: Sequence[bytes],
) -> Iterator[tuple[int, int, int, int, bytes, bytes]]:
    """Make the rows of an append one by one, so that one page at a time is in RAM."""
    for start, stop in cut(first, first + len(lines)):
        part = lines[start - first : stop - first]
        joined = b"".join(digests[start - first : stop - first])
        yield number, start, stop - start, part.count(None), joined, pack(part)


def _cut_digests(digests: bytes, start: int, stop: int) -> list[bytes]:
    begin, end = max(start, 0) * _DIGEST, min(stop * _DIGEST, len(digests))
    return [digests[at : at + _DIGEST] for at in range(begin, end, _DIGEST)]


def _cut_page(first: int, lines: Sequence[bytes | None], start: int, stop: int) -> Page:
    part = lines[max(start - first, 0) : stop - first]
    return Page(max(first, start), len(part), pack(part), None not in part)
