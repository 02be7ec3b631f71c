"""Connections to one database file: each used by one transaction at a time.

A transaction takes an idle connection or opens one, so reads may nest and a thread
that ends leaves nothing behind. SQLite must never be carried across a fork, not even
to be closed: its locks belong to the process. So every pool closes its idle
connections just before this process forks, and a child that was forked while a
transaction was open refuses to touch that file.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hub.errors import UnavailableError
from hub.store.engine import sqlite3

__all__ = ["Pool"]

_IDLE = 8


class Pool:
    """The connections of one process to one file, and its queue of writers.

    Args:
        connect: Opens a connection; it must allow use from any thread.
        patience: Seconds that a writer queues for its turn.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], patience: float):
        self._connect = connect
        self._patience = patience
        self._lock = threading.Lock()  # Guards the three below; never held for long.
        self._idle: list[sqlite3.Connection] = []
        self._used = 0
        self._inherited = False
        self._turn = threading.Lock()  # Held by the thread that writes.
        self._writer: int | None = None
        _pools.add(self)

    def take(self) -> sqlite3.Connection:
        """Return a connection that nobody else uses until :meth:`give_back`.

        Raises:
            UnavailableError: This process was forked in the midst of a transaction.
        """
        self._check_not_inherited()
        with self._lock:
            connection = self._idle.pop() if self._idle else self._connect()
            self._used += 1
            return connection

    def give_back(self, connection: sqlite3.Connection, *, sound: bool) -> None:
        """Keep a connection for the next one, or close one that saw an error."""
        with self._lock:
            self._used -= 1
            if sound and len(self._idle) < _IDLE:
                self._idle.append(connection)
            else:
                connection.close()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Queue the writers of this process, so that none starves in SQLite's lock.

        Raises:
            UnavailableError: Another writer took too long (code ``locked``).
        """
        self._check_not_inherited()
        if self._writer == threading.get_ident():
            raise AssertionError("a write does not nest in a write")
        turn = self._turn
        if not turn.acquire(timeout=self._patience):
            raise UnavailableError(
                "Another writer held the database too long.",
                code="locked",
                advice="Try again.",
            )
        self._writer = threading.get_ident()
        try:
            yield
        finally:
            self._writer = None
            turn.release()

    def _check_not_inherited(self) -> None:
        if self._inherited:
            raise UnavailableError(
                "This process was forked while the store was in use.",
                code="forked",
                advice="Start processes before the first transaction.",
            )

    def close(self) -> None:
        """Close every idle connection."""
        with self._lock:
            self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def before_fork(self) -> None:
        """Let go of the file, and keep other threads from opening it meanwhile."""
        self._lock.acquire()
        self._close_idle()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Start anew: the threads that held the locks do not exist here."""
        self._inherited = self._inherited or self._used > 0
        self._lock = threading.Lock()
        self._turn, self._writer = threading.Lock(), None


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()
_forking: list[Pool] = []


def _before() -> None:
    _forking.extend(_pools)
    for pool in _forking:
        pool.before_fork()


def _in_parent() -> None:
    while _forking:
        _forking.pop().after_fork_in_parent()


def _in_child() -> None:
    while _forking:
        _forking.pop().after_fork_in_child()


os.register_at_fork(
    before=_before, after_in_parent=_in_parent, after_in_child=_in_child
)
