"""One transaction on one SQLite connection, and the translation of its errors.

The ports speak to the database only through :class:`Session`, so no SQLite error
can leave the store, and a transaction in which one occurred can never commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hub.errors import HubError, UnavailableError
from hub.store.engine import sqlite3
from hub.store.pages import corrupt

__all__ = ["Session", "translate", "translated"]

_BUSY, _LOCKED, _READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN = 5, 6, 8, 10, 11, 13, 14
_CONSTRAINT, _NOTADB = 19, 26

_ADVICE = {
    _FULL: ("The disk is full", "disk-full", "Free some space, then try again."),
    # SQLite says the same when there is no space for its shared memory.
    _IOERR: (
        "The disk failed or is full",
        "disk-failed",
        "Look whether there is space left, and at the system's log; then try again.",
    ),
    _READONLY: ("The database is read-only", "read-only", "Mend its permissions."),
    _CANTOPEN: ("The database cannot be opened", "cannot-open", "Mend its folder."),
    _BUSY: ("Another writer held the database too long", "locked", "Try again."),
    _LOCKED: ("Another writer held the database too long", "locked", "Try again."),
}


def translate(error: Exception) -> HubError | AssertionError:
    """Return the error of the hub that stands for one of SQLite or of the system.

    A violated constraint means that a port let something through: that is a broken
    invariant of ours, not a condition of the disk.
    """
    if isinstance(error, OSError):
        reason = f"{error.strerror or error}"
        return UnavailableError(
            f"The store cannot be used: {reason}.",
            code="disk-failed",
            advice="Look at the disk and the permissions of the folder.",
        )
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary in (_CORRUPT, _NOTADB):
        return corrupt(str(error))
    if primary == _CONSTRAINT:
        return AssertionError("the ports keep the constraints of the schema")
    text, code, advice = _ADVICE.get(
        primary, ("The database failed", "unavailable", "Run `hub doctor`.")
    )
    return UnavailableError(f"{text} ({error}).", code=code, advice=advice)


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the block raises, in the words of the hub.

    Raises:
        UnavailableError: The disk or the database failed.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise translate(error) from error


class Session:
    """The statements of one open transaction.

    Args:
        connection: A connection on which the transaction was begun.
        writable: Whether it may write.
    """

    def __init__(self, connection: sqlite3.Connection, *, writable: bool):
        self._connection = connection
        self._writable = writable
        self._open = True
        self.failed = False
        """Whether SQLite refused a statement: the transaction must not commit."""
        self.erased = False
        """Whether lines were erased: the journal must be emptied after the commit."""
        self._feeds: dict[str, int] = dict(self.rows("SELECT name, id FROM feeds"))

    def close(self) -> None:
        """Make every later use an ``AssertionError``."""
        self._open = False

    def check_open(self) -> None:
        """Check that the transaction still runs."""
        if not self._open:
            raise AssertionError("the transaction is over")

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self._guarded():
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[object] = ()) -> tuple[Any, ...] | None:
        """Return the only row of a query, or None."""
        rows = self.rows(sql, values)
        if len(rows) > 1:
            raise AssertionError("the query has at most one row")
        return rows[0] if rows else None

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Change rows and return how many."""
        with self._guarded(writes=True):
            return int(self._connection.execute(sql, values).rowcount)

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Change rows, one statement for each of ``rows``, which may be a stream."""
        with self._guarded(writes=True):
            self._connection.executemany(sql, rows)

    def feed(self, name: str) -> int:
        """Return the number of a feed, -1 if nothing of it is stored."""
        return self._feeds.get(name, -1)

    def new_feed(self, name: str) -> int:
        """Return the number of a feed, giving it one if it has none."""
        if name not in self._feeds:
            self.run("INSERT INTO feeds (name) VALUES (?)", (name,))
            row = self.row("SELECT id FROM feeds WHERE name = ?", (name,))
            self._feeds[name] = row[0] if row else -1
        return self._feeds[name]

    @contextmanager
    def _guarded(self, *, writes: bool = False) -> Iterator[None]:
        self.check_open()
        if writes and not self._writable:
            raise AssertionError("a snapshot is not written to")
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self.failed = True
            raise translate(error) from error
