"""The store in memory: the same promises but durability, for tests and simulators."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.errors import RefusedError, UnavailableError
from hub.store.memory_federation import MemoryFederation
from hub.store.memory_feeds import (
    MemoryBatches,
    MemoryErasures,
    MemoryHeads,
    MemoryObjects,
)
from hub.store.memory_index import MemoryIndex, View
from hub.store.memory_node import MemoryNodeState
from hub.store.memory_state import MemorySession, State
from hub.store.pages import corrupt

__all__ = ["MemoryStore", "MemoryTransaction"]

_BUSY_SECONDS = 30


class MemoryTransaction:
    """The ports over one session; see ``hub.store.base`` for what they promise."""

    def __init__(self, session: MemorySession):
        self.heads = MemoryHeads(session)
        self.objects = MemoryObjects(session)
        self.batches = MemoryBatches(session)
        self.erasures = MemoryErasures(session)
        self.node = MemoryNodeState(session)
        self.federation = MemoryFederation(session)
        self.index: MemoryIndex = session.state.index.seen_with(
            View(self.erasures.standing_everywhere, self._sizes)
        )

    def _sizes(self) -> dict[str, int]:
        return {feed: head.size for feed, head in self.heads.all().items()}


class MemoryStore:
    """The ``Store`` port without a file: what it holds ends with the process."""

    def __init__(self) -> None:
        self._state = State()
        self._turn = threading.Lock()
        self._writer: int | None = None

    @contextmanager
    def read(self) -> Iterator[MemoryTransaction]:
        """Open a snapshot; writing through it is an ``AssertionError``."""
        session = MemorySession(self._state, writable=False)
        try:
            yield MemoryTransaction(session)
        finally:
            session.close()

    @contextmanager
    def write(self) -> Iterator[MemoryTransaction]:
        """Open a transaction, waiting for other writers.

        Raises:
            UnavailableError: Another writer took too long (code ``locked``).
        """
        if self._writer == threading.get_ident():
            raise AssertionError("a write does not nest in a write")
        if not self._turn.acquire(timeout=_BUSY_SECONDS):
            raise UnavailableError(
                "Another writer held the store too long.",
                code="locked",
                advice="Try again.",
            )
        self._writer = threading.get_ident()
        session = MemorySession(self._state, writable=True)
        try:
            yield MemoryTransaction(session)
            self._state = session.state
        finally:
            session.close()
            self._writer = None
            self._turn.release()

    def check(self) -> None:
        """Compare what is held with itself.

        Raises:
            UnavailableError: Damage was found (code ``corrupt``).
        """
        for name, tables in self._state.feeds.items():
            if len(tables.lines) != len(tables.digests):
                raise corrupt(f"{name} has lines without digests")

    def backup(self, target: Path) -> None:
        """Refuse: there is no file to copy.

        Raises:
            RefusedError: Always (code ``no-file``).
        """
        raise RefusedError(
            f"A store in memory cannot be copied to {target}.",
            code="no-file",
            advice="Name a database in config.toml.",
        )

    def close(self) -> None:
        """Do nothing: what is held goes with the object."""
