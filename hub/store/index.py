"""What is derived from the feeds for fast look-ups, rebuilt from them at will.

Tables of the index come by a migration of their own in ``schema.py``; losing them
loses nothing.
"""

from __future__ import annotations

from hub.store.session import Session

__all__ = ["MemoryIndex", "SqliteIndex"]


class SqliteIndex:
    """The ``Index`` port in SQLite."""

    def __init__(self, session: Session):
        self._session = session

    def clear(self) -> None:
        """Forget everything, so that it can be built again from entry 0."""


class MemoryIndex:
    """The ``Index`` port in memory."""

    def copy(self) -> MemoryIndex:
        """Return an independent copy, for a transaction that may be rolled back."""
        return MemoryIndex()

    def clear(self) -> None:
        """Forget everything, so that it can be built again from entry 0."""
