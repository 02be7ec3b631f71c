"""The file of a ledger: opening, versions, statements and transactions.

``application_id`` says that the file is a ledger and ``user_version`` which of the
:data:`MIGRATIONS` it has seen, so that a hub refuses a foreign file and one of a newer
hub. Any number of processes may use it at once: every change is one ``BEGIN
IMMEDIATE`` transaction, and each waits for its turn.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from hub.errors import ConfigError
from hub.store.engine import sqlite3
from hub.store.session import translated

__all__ = ["APPLICATION_ID", "MIGRATIONS", "LedgerFile"]

APPLICATION_ID = 0x41486C32
"""``AHl2`` as a big-endian number, in the header of every ledger."""

BUSY_SECONDS = 30

# A migration is never edited once released; the next one is added below it. The first
# one also fits the ledgers that were written before there were versions.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB) STRICT",
        """CREATE TABLE IF NOT EXISTS tokens (handle BLOB PRIMARY KEY, token BLOB)
            STRICT, WITHOUT ROWID""",
        """CREATE TABLE IF NOT EXISTS cases (
            "row" BLOB PRIMARY KEY, ref TEXT, "case" TEXT NOT NULL,
            content BLOB NOT NULL, batch BLOB NOT NULL, place INTEGER NOT NULL,
            count INTEGER NOT NULL, first INTEGER,
            withdrawn INTEGER NOT NULL DEFAULT 0) STRICT""",
        "CREATE INDEX IF NOT EXISTS cases_by_batch ON cases (batch)",
        "CREATE INDEX IF NOT EXISTS cases_by_ref ON cases (ref)",
        'CREATE INDEX IF NOT EXISTS cases_by_case ON cases ("case")',
        """CREATE TABLE IF NOT EXISTS journal (
            id INTEGER PRIMARY KEY, batch BLOB NOT NULL, feed TEXT NOT NULL,
            body BLOB NOT NULL) STRICT""",
        """CREATE TABLE IF NOT EXISTS watched (
            token BLOB NOT NULL, ref TEXT NOT NULL, type TEXT NOT NULL,
            exact INTEGER NOT NULL, PRIMARY KEY (token, ref)) STRICT, WITHOUT ROWID""",
        """CREATE TABLE IF NOT EXISTS alerted (
            ref TEXT NOT NULL, member TEXT NOT NULL, entry TEXT NOT NULL,
            type TEXT NOT NULL, PRIMARY KEY (ref, member, type))
            STRICT, WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE watch_list (
            token BLOB NOT NULL, ref TEXT NOT NULL, type TEXT NOT NULL,
            "match" TEXT NOT NULL, "key" TEXT NOT NULL, PRIMARY KEY (token, ref))
            STRICT, WITHOUT ROWID""",
        "CREATE INDEX watch_list_by_ref ON watch_list (ref, type)",
        """CREATE TABLE watch_alerts (
            token BLOB NOT NULL, ref TEXT NOT NULL, member TEXT NOT NULL,
            entry TEXT NOT NULL, "match" TEXT NOT NULL,
            PRIMARY KEY (token, ref, member)) STRICT, WITHOUT ROWID""",
        "CREATE INDEX watch_alerts_by_ref ON watch_alerts (ref)",
        """CREATE TABLE warned (
            what TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (what, name))
            STRICT, WITHOUT ROWID""",
        """CREATE TABLE outbox (
            id INTEGER PRIMARY KEY AUTOINCREMENT, way TEXT NOT NULL,
            "key" TEXT NOT NULL, body BLOB NOT NULL,
            tries INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL,
            problem TEXT NOT NULL DEFAULT '', mark INTEGER) STRICT""",
        "CREATE INDEX outbox_by_way ON outbox (way, id)",
        # Who was watched stays watched. The token key was not kept, so the list says
        # that it should be added again.
        """INSERT INTO watch_list SELECT token, ref, type,
            CASE WHEN exact THEN 'exact' ELSE type END, '' FROM watched""",
        "DROP TABLE watched",
        "DROP TABLE alerted",
    ),
    (
        # A case keeps its identifier for ever; what is on its way to the hub waits in
        # "changes" and reaches "cases" with the receipt. ``ended`` and ``erased`` are
        # the feed's indices at which the case ended or an erasure was ordered.
        """CREATE TABLE kept (
            "case" TEXT PRIMARY KEY, ref TEXT, list TEXT, identifiers BLOB NOT NULL,
            content BLOB NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL,
            until INTEGER, ended INTEGER, how TEXT, erased INTEGER)
            STRICT, WITHOUT ROWID""",
        """CREATE TABLE changes (
            batch BLOB NOT NULL, place INTEGER NOT NULL, kind TEXT NOT NULL,
            "case" TEXT NOT NULL, number INTEGER, ref TEXT, list TEXT,
            identifiers BLOB, content BLOB, count INTEGER NOT NULL, until INTEGER,
            run INTEGER, PRIMARY KEY (batch, place, "case")) STRICT, WITHOUT ROWID""",
        """INSERT OR IGNORE INTO kept SELECT "case", ref, NULL, "row", content, first,
            count, NULL, CASE withdrawn WHEN 1 THEN first + count END,
            CASE withdrawn WHEN 1 THEN 'withdrawn' END, NULL
            FROM cases WHERE first IS NOT NULL""",
        """INSERT INTO changes SELECT batch, place, 'reported', "case", NULL, ref, NULL,
            "row", content, count, NULL, NULL FROM cases WHERE first IS NULL""",
        "DROP TABLE cases",
        "ALTER TABLE kept RENAME TO cases",
        "CREATE INDEX cases_by_ref ON cases (ref)",
        "CREATE INDEX cases_by_identifiers ON cases (identifiers)",
        'CREATE INDEX changes_by_case ON changes ("case")',
        "ALTER TABLE journal ADD COLUMN about TEXT NOT NULL DEFAULT 'an earlier run'",
        # Which own entries are of which case, whether they still count or not.
        """CREATE TABLE spans (
            first INTEGER PRIMARY KEY, count INTEGER NOT NULL, "case" TEXT NOT NULL)
            STRICT""",
        'INSERT OR IGNORE INTO spans SELECT first, count, "case" FROM cases',
        # Which rows a list held when it was last published, for ``--replace``; and
        # rows that could not be used then and are known to stand for no case.
        """CREATE TABLE lists (
            list TEXT NOT NULL, "case" TEXT NOT NULL, run INTEGER NOT NULL,
            number INTEGER NOT NULL, PRIMARY KEY (list, "case"))
            STRICT, WITHOUT ROWID""",
        'CREATE INDEX lists_by_case ON lists ("case")',
        """CREATE TABLE unusable (
            list TEXT NOT NULL, "row" BLOB NOT NULL, PRIMARY KEY (list, "row"))
            STRICT, WITHOUT ROWID""",
    ),
)


class LedgerFile:
    """One connection to a ledger.

    Args:
        path: Made with mode 0600 if it is missing, and brought up to date.

    Raises:
        ConfigError: It is a file of something else (``foreign-ledger``) or of a newer
            hub (``newer-ledger``).
        UnavailableError: The disk failed, or another process holds it too long.
    """

    def __init__(self, path: Path):
        with translated():
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
        try:
            self._prepare(path)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def copy(self, path: Path) -> None:
        """Write a consistent copy to a new file."""
        with translated():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            with closing(sqlite3.connect(path)) as other:
                self._db.backup(other)

    def _prepare(self, path: Path) -> None:
        try:
            [(found,)] = self._db.execute("PRAGMA application_id").fetchall()
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorname", "") != "SQLITE_NOTADB":
                with translated():
                    raise
            found = -1
        if found not in (0, APPLICATION_ID):
            raise ConfigError(
                f"{path} is not a ledger.",
                code="foreign-ledger",
                advice="Move that file away; a new ledger is made in its place.",
            )
        with translated():
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
        if self._version() != len(MIGRATIONS):
            self._migrate(path)

    def _version(self) -> int:
        return int(self.rows("PRAGMA user_version")[0][0])

    def _migrate(self, path: Path) -> None:
        with self.transaction():
            # Read again: another process may have migrated while we waited.
            version = self._version()
            if version > len(MIGRATIONS):
                raise ConfigError(
                    f"{path} was written by a newer hub (version {version}, we know "
                    f"{len(MIGRATIONS)}).",
                    code="newer-ledger",
                    advice="Install the newer alliance-hub.",
                )
            for statement in (s for m in MIGRATIONS[version:] for s in m):
                self.run(statement)
            self.run(f"PRAGMA application_id = {APPLICATION_ID}")
            self.run(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run a block as one durable transaction; inside another one, as part of it.

        Raises:
            UnavailableError: The disk failed, or another process took too long.
        """
        if self._db.in_transaction:
            yield
            return
        with translated():
            self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            # If we crash before this, nothing of the block is stored.
            with translated():
                self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with translated():
            return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[object] = ()) -> tuple[Any, ...] | None:
        """Return the first row of a query, or None."""
        return next(iter(self.rows(sql, values)), None)

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Change rows and return how many."""
        with translated():
            return int(self._db.execute(sql, values).rowcount)

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Change rows, one statement for each of ``rows``."""
        with translated():
            self._db.executemany(sql, rows)
