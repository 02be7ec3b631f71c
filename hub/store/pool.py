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
from collections.abc import Callable

from hub.errors import UnavailableError
from hub.store.engine import sqlite3

__all__ = ["Pool"]

_IDLE = 8


class Pool:
    """Idle connections of one process to one file.

    Args:
        connect: Opens a connection; it must allow use from any thread.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]):
        self._connect = connect
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._used = 0
        self._inherited = False
        _pools.add(self)

    def take(self) -> sqlite3.Connection:
        """Return a connection that nobody else uses until :meth:`give_back`.

        Raises:
            UnavailableError: This process was forked in the midst of a transaction.
        """
        if self._inherited:
            raise UnavailableError(
                "This process was forked while the store was in use.",
                code="forked",
                advice="Start processes before the first transaction.",
            )
        with self._lock:
            self._used += 1
            if self._idle:
                return self._idle.pop()
        try:
            return self._connect()
        except BaseException:
            with self._lock:
                self._used -= 1
            raise

    def give_back(self, connection: sqlite3.Connection, *, sound: bool) -> None:
        """Keep a connection for the next one, or close one that saw an error."""
        with self._lock:
            self._used -= 1
            if sound and len(self._idle) < _IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close every idle connection."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def after_fork(self) -> None:
        """Start anew in a child process."""
        self._lock = threading.Lock()
        self._inherited = self._inherited or self._used > 0


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def _before_fork() -> None:
    for pool in list(_pools):
        pool.close()


def _after_fork() -> None:
    for pool in list(_pools):
        pool.after_fork()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
