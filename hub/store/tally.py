"""Counts distinct things in a temporary file, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Iterable

from hub.store.engine import sqlite3
from hub.store.session import translated

__all__ = ["Tally"]


class Tally:
    """How many distinct 32-byte names there are in each group.

    The file has no name and is gone with the object.

    Raises:
        UnavailableError: There is no room for it.
    """

    def __init__(self) -> None:
        with translated():
            # SQLite makes a private file for the empty name and spills into it.
            self._db = sqlite3.connect("", isolation_level=None)
            self._db.execute("PRAGMA journal_mode = OFF")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.execute(
                """CREATE TABLE seen (name BLOB NOT NULL, part TEXT NOT NULL,
                PRIMARY KEY (name, part)) WITHOUT ROWID"""
            )

    def add(self, part: str, names: Iterable[bytes]) -> None:
        """Count names of a group; those that were counted before count once."""
        with translated():
            self._db.execute("BEGIN")
            self._db.executemany(
                "INSERT OR IGNORE INTO seen VALUES (?, ?)", ((n, part) for n in names)
            )
            self._db.execute("COMMIT")

    def counts(self) -> dict[str, int]:
        """Return how many names each group has."""
        query = "SELECT part, count(*) FROM seen GROUP BY part ORDER BY part"
        with translated():
            return dict(self._db.execute(query).fetchall())

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
