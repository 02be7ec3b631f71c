"""The one SQLite of this process, and whether it has a known fault.

``pysqlite3`` brings a newer SQLite than Python where a wheel exists, and sqlite-utils
picks it. Two copies of SQLite on one file in one process would break each other's
locks, so everybody takes the one that sqlite-utils took.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3  # noqa: TID251 the type checker knows only this name
else:
    from sqlite_utils.utils import sqlite3

__all__ = ["WAL_RESET_FAULT", "has_wal_reset_fault", "sqlite3"]

_FIXED = ((3, 44, 6), (3, 50, 7), (3, 51, 3))


def has_wal_reset_fault(version: tuple[int, ...]) -> bool:
    """Tell whether a SQLite can damage a file when a checkpoint races with a writer.

    The fault is in 3.7.0 to 3.51.2 but for the two repaired branches; the remedy is
    one writer at a time that also moves the journal itself.
    """
    repaired = any(version[:2] == fixed[:2] and version >= fixed for fixed in _FIXED)
    return not repaired and version < _FIXED[-1]


WAL_RESET_FAULT = has_wal_reset_fault(sqlite3.sqlite_version_info)
"""Whether the SQLite of this process has that fault."""
