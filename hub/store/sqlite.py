"""The store in one SQLite file: the embedded default.

Journal in WAL mode with ``synchronous = FULL``: a commit returns after its bytes are
on the disk, and readers never wait. Writers of one process queue on a lock of ours,
those of several processes on SQLite's, always with ``BEGIN IMMEDIATE``: a transaction
that began by reading could not be promoted and would fail at once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hub.errors import UnavailableError
from hub.store import engine, opening
from hub.store.engine import sqlite3
from hub.store.index import SqliteIndex
from hub.store.locks import writer_turn
from hub.store.pool import Pool
from hub.store.session import Session, translated
from hub.store.sqlite_batches import SqliteBatches, SqliteErasures
from hub.store.sqlite_heads import SqliteHeads
from hub.store.sqlite_node import SqliteNodeState
from hub.store.sqlite_objects import SqliteObjects

__all__ = ["SqliteStore", "SqliteTransaction"]

_WAL_BYTES = 4 << 20


class SqliteTransaction:
    """The ports over one session; see ``hub.store.base`` for what they promise."""

    def __init__(self, session: Session):
        self.heads = SqliteHeads(session)
        self.objects = SqliteObjects(session)
        self.batches = SqliteBatches(session)
        self.erasures = SqliteErasures(session)
        self.node = SqliteNodeState(session)
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
        self._pool = Pool(self._connect)
        self._pid = os.getpid()
        self._turn = threading.Lock()
        self._writer: int | None = None
        # A hub that stopped before it emptied the journal of erased lines does it
        # at its next start.
        self._journal_due = True

    def _connect(self) -> sqlite3.Connection:
        return opening.connect(self.path)

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
        with (
            self._my_turn(),
            self._session("BEGIN IMMEDIATE", writable=True) as (connection, session),
        ):
            yield SqliteTransaction(session)
            # If we crash here, then nothing was stored and nobody was told.
            self._commit(connection, session)
            # If we crash here, then all is stored and nobody was told: whoever
            # asks again finds it, and an erased line is in the journal until the
            # next opening.
            self._journal_due = self._journal_due or session.erased
            self._tidy_journal(connection)

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

    def _commit(self, connection: sqlite3.Connection, session: Session) -> None:
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

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        """Queue the writers of this process, so that none starves in SQLite's lock."""
        if self._pid != os.getpid():
            self._pid, self._turn, self._writer = os.getpid(), threading.Lock(), None
        if self._writer == threading.get_ident():
            raise AssertionError("a write does not nest in a write")
        if not self._turn.acquire(timeout=opening.BUSY_SECONDS):
            raise UnavailableError(
                "Another writer held the database too long.",
                code="locked",
                advice="Try again.",
            )
        self._writer = threading.get_ident()
        try:
            with ExitStack() as stack:
                if engine.WAL_RESET_FAULT:
                    stack.enter_context(writer_turn(self.path))
                yield
        finally:
            self._writer = None
            self._turn.release()

    def _tidy_journal(self, connection: sqlite3.Connection) -> None:
        """Move the journal into the database where SQLite does not do it by itself.

        The commit stands whatever happens here, so nothing is raised: a reader in
        the way only means that the next commit tries again.
        """
        if not self._journal_due and not self._journal_is_long():
            return
        try:
            # Waiting for readers would make every writer wait for the slowest.
            connection.execute("PRAGMA busy_timeout = 0")
            row = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            connection.execute(f"PRAGMA busy_timeout = {opening.BUSY_SECONDS * 1000}")
            self._journal_due = bool(row[0]) and self._journal_due
        except sqlite3.Error:
            return

    def _journal_is_long(self) -> bool:
        """Tell whether the journal must be moved by us, as SQLite was told not to."""
        journal = self.path.with_name(self.path.name + "-wal")
        return engine.WAL_RESET_FAULT and (
            journal.exists() and journal.stat().st_size > _WAL_BYTES
        )

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


def _end(connection: sqlite3.Connection) -> bool:
    """Roll back what was not committed; return whether the connection is usable."""
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        return False
    return True
