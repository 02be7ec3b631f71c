"""The store in one SQLite file: the embedded default.

Journal in WAL mode with ``synchronous = FULL``: a commit returns after its bytes are
on the disk, and readers never wait. Writers of one process queue on a lock of ours,
those of several processes on SQLite's, always with ``BEGIN IMMEDIATE``: a transaction
that began by reading could not be promoted and would fail at once.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from hub.errors import UnavailableError
from hub.store import engine, opening
from hub.store.engine import sqlite3
from hub.store.index import SqliteIndex
from hub.store.locks import use, writer_turn
from hub.store.pool import Pool
from hub.store.session import Session, translated
from hub.store.sqlite_batches import SqliteBatches, SqliteErasures
from hub.store.sqlite_federation import SqliteFederation
from hub.store.sqlite_heads import SqliteHeads
from hub.store.sqlite_node import SqliteNodeState
from hub.store.sqlite_objects import SqliteObjects

__all__ = ["SqliteStore", "SqliteTransaction"]

_LONG_JOURNAL = 4 << 20


class SqliteTransaction:
    """The ports over one session; see ``hub.store.base`` for what they promise."""

    def __init__(self, session: Session):
        self.heads = SqliteHeads(session)
        self.objects = SqliteObjects(session)
        self.batches = SqliteBatches(session)
        self.erasures = SqliteErasures(session)
        self.node = SqliteNodeState(session)
        self.federation = SqliteFederation(session)
        self.index = SqliteIndex(session)


class SqliteStore:
    """The ``Store`` port over the file at ``path``.

    Args:
        path: The database.
        create: Make it if it is missing; otherwise a missing one is refused, so
            that a wrong path never starts an empty hub.

    Raises:
        ConfigError: The file is missing, foreign, or of another version.
        UnavailableError: The disk or the file is damaged.
    """

    def __init__(self, path: Path, *, create: bool = False):
        self.path = path
        opening.prepare(path, create=create)
        # Also let go of when nobody refers to the store any more.
        self._let_go = weakref.finalize(self, use(path))
        self._pool = Pool(lambda: opening.connect(path), opening.BUSY_SECONDS)
        # A hub that stopped before it emptied the journal of erased lines does so
        # at its next start.
        self._erased = True
        with self._my_turn():
            self._empty_journal()

    @contextmanager
    def read(self) -> Iterator[SqliteTransaction]:
        """Open a snapshot; writing through it is an ``AssertionError``."""
        with self._session("BEGIN", writable=False) as (_, session):
            yield SqliteTransaction(session)

    @contextmanager
    def write(self) -> Iterator[SqliteTransaction]:
        """Open a durable transaction, waiting for other writers.

        Raises:
            UnavailableError: Another writer took too long (code ``locked``).
        """
        with self._my_turn():
            with self._session("BEGIN IMMEDIATE", writable=True) as (
                connection,
                session,
            ):
                yield SqliteTransaction(session)
                # If we crash here, then nothing was stored and nobody was told.
                _commit(connection, session)
                self._erased = self._erased or session.erased
            # If we crash here, then all is stored and nobody was told: whoever asks
            # again finds it. An erased line stays in the journal until the next
            # opening, which empties it.
            if self._erased or self._journal_is_ours():
                self._empty_journal()

    @contextmanager
    def _session(
        self, begin: str, *, writable: bool
    ) -> Iterator[tuple[sqlite3.Connection, Session]]:
        """Run a block in a transaction that ends with it, committed or not."""
        connection = self._pool.take()
        session = None
        try:
            with translated():
                connection.execute(begin)
            # The first statement of a session reads the feeds; it fixes the snapshot.
            session = Session(connection, writable=writable)
            yield connection, session
        finally:
            if session is not None:
                session.close()
            sound = session is not None and not session.failed
            self._pool.give_back(connection, sound=_end(connection) and sound)

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        """Wait until this thread may write."""
        everywhere = (
            writer_turn(self.path, opening.BUSY_SECONDS)
            if engine.WAL_RESET_FAULT
            else nullcontext()
        )
        with self._pool.turn(), everywhere:
            yield

    def _journal_is_ours(self) -> bool:
        """Tell whether the journal grew long and SQLite was told to leave it to us."""
        if not engine.WAL_RESET_FAULT:
            return False
        try:
            journal = self.path.with_name(self.path.name + "-wal")
            return journal.stat().st_size > _LONG_JOURNAL
        except OSError:
            return False

    def _empty_journal(self) -> None:
        """Move the journal into the database and cut it to nothing.

        What was committed stands whatever happens here, so nothing is raised. Nor is
        anybody waited for, as every writer would then wait for the slowest reader:
        with somebody in the way, the next commit tries again.
        """
        connection = self._pool.take()
        try:
            connection.execute("PRAGMA busy_timeout = 0")
            row = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._erased = bool(row[0]) and self._erased
            connection.execute(f"PRAGMA busy_timeout = {opening.BUSY_SECONDS * 1000}")
        except sqlite3.Error:
            self._pool.give_back(connection, sound=False)
        else:
            self._pool.give_back(connection, sound=True)

    def check(self) -> None:
        """Read everything and compare it with itself.

        Raises:
            UnavailableError: Damage was found (code ``corrupt``).
        """
        with self._session("BEGIN", writable=False) as (connection, _):
            opening.check_integrity(connection)

    def backup(self, target: Path) -> None:
        """Write a consistent, checked copy to a new file while work goes on.

        Raises:
            RefusedError: ``target`` exists (code ``file-exists``).
            UnavailableError: The copy could not be written or is damaged.
        """
        with self._session("BEGIN", writable=False) as (connection, _):
            opening.copy_to(connection, target)

    def close(self) -> None:
        """Let go of the file; open transactions of other threads must be over."""
        self._pool.close()
        self._let_go()


def _commit(connection: sqlite3.Connection, session: Session) -> None:
    """Make a transaction durable, unless one of its statements failed."""
    if session.failed:
        raise UnavailableError(
            "A statement failed, so nothing of the transaction was stored.",
            advice="Look at the earlier error, then try again.",
        )
    try:
        with translated():
            connection.execute("COMMIT")
    except UnavailableError:
        session.failed = True
        raise


def _end(connection: sqlite3.Connection) -> bool:
    """Roll back what was not committed; return whether the connection is usable."""
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        return False
    return True
