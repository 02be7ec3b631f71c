"""The present directory of a store: the registry feed, replayed and remembered.

Trusted: the pin. Not trusted: the store, whose registry lines are verified again each
time that a process starts.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from typing import Any

from hub.directory import Directory, Pin
from hub.errors import MalformedError
from hub.model import REGISTRY, new_salt, render_time
from hub.store.base import Transaction
from hub.verifier import RegistryReplay
from schemas.base import SchemaError, render_line
from schemas.fast import check_line, read_line

__all__ = [
    "Registry",
    "check_registry_line",
    "new_replay",
    "read_registry_line",
    "registry_entry",
]


def registry_entry(kind: str, now: int, **fields: Any) -> bytes:
    """Return the line of a registry entry.

    Raises:
        MalformedError: A field is wrong.
    """
    entry = {"kind": kind, "salt": new_salt(), "at": render_time(now), **fields}
    line = render_line({k.rstrip("_"): v for k, v in entry.items() if v is not None})
    try:
        check_line(line, registry=True)
    except SchemaError as error:
        raise MalformedError(f"{kind}: {error}", code="invalid-line") from None
    return line


def read_registry_line(line: bytes) -> Mapping[str, object]:
    """Read one registry line of any version.

    Raises:
        MalformedError: A known field is invalid.
    """
    entry, problem = read_line(line, registry=True)
    if problem:
        raise MalformedError(f"registry: {problem}", code="invalid-line")
    return entry or {"kind": "unknown"}


def check_registry_line(line: bytes) -> Mapping[str, object]:
    """Read one registry line that is about to be published.

    Raises:
        MalformedError: The line is not valid.
    """
    try:
        return check_line(line, registry=True)
    except SchemaError as error:
        raise MalformedError(str(error), code="invalid-line") from None


def new_replay(pin: Pin, *, strict: bool = False) -> RegistryReplay:
    """Return a replay that starts from the pin."""
    read = check_registry_line if strict else read_registry_line
    return RegistryReplay(Directory.of_pin(pin), read)


class Registry:
    """Gives the directory as of the registry's stored head.

    Args:
        pin: What is trusted.
    """

    def __init__(self, pin: Pin):
        self.pin = pin
        self._lock = threading.Lock()
        self._replay = new_replay(pin)

    def current(self, tx: Transaction) -> RegistryReplay:
        """Return the replay up to the stored head; do not change it.

        Raises:
            MalformedError: The stored registry breaks a rule.
            RefusedError: A stored batch has too few signatures.
        """
        head = tx.heads.get(REGISTRY)
        size = head.size if head else 0
        with self._lock:
            if self._replay.frontier.size > size:
                # A restored copy is older than what this process replayed.
                self._replay = new_replay(self.pin)
            if self._replay.frontier.size < size:
                replay = copy.copy(self._replay)
                self._catch_up(tx, replay, size)
                self._replay = replay
            return self._replay

    def directory(self, tx: Transaction) -> Directory:
        """Return the directory as of the stored head."""
        return self.current(tx).directory

    def as_of(self, tx: Transaction, size: int) -> RegistryReplay:
        """Return the registry as it was once it had at least ``size`` lines.

        Raises:
            MalformedError: The stored registry breaks a rule.
            RefusedError: A stored batch has too few signatures.
        """
        head = tx.heads.get(REGISTRY)
        replay = new_replay(self.pin)
        self._catch_up(tx, replay, min(size, head.size if head else 0))
        return replay

    @staticmethod
    def _catch_up(tx: Transaction, replay: RegistryReplay, size: int) -> None:
        while replay.frontier.size < size:
            start = replay.frontier.size
            batch = tx.batches.at(REGISTRY, start)
            stop = batch.stop if batch else size
            rows = list(tx.objects.lines(REGISTRY, start, stop))
            replay.batch([r.raw for r in rows], [r.digest for r in rows])
