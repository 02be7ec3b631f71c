"""Whether a node can do its work: what a monitor asks every few seconds.

Anybody may ask, so an answer is kept for a few seconds: strangers cannot make the node
write to its disk more often than that.
"""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from hub.clock import Clock
from hub.errors import HubError
from hub.marks import Marks
from hub.store.base import Store

__all__ = ["Ready", "Watch"]

KEPT = 5.0
"""Seconds for which a good answer is kept; a bad one for a fifth of that."""
BACK = 60
"""Seconds by which a clock may have gone back, as time services set it now and then."""
OVERDUE = 3600
"""Seconds by which an erasure may be late: the worker runs every ten minutes."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What was found.

    Args:
        feeds: How many feeds are stored.
        time: The node's time.
        free: Bytes that are free on the disk.
        reasons: Why the node is not ready, a sentence each; none if it is.
    """

    feeds: int
    time: int
    free: int
    reasons: tuple[str, ...]


class Watch:
    """Checks a node, and keeps what it found for a few seconds.

    Args:
        store: The node's store.
        folder: The folder of its database.
        marks: What its keys signed last.
        clock: Its clock.
        floor: Bytes that must be free on its disk.
    """

    def __init__(
        self, store: Store, folder: Path, marks: Marks, clock: Clock, floor: int
    ):
        self._store, self._folder, self._marks = store, folder, marks
        self._clock, self._floor = clock, floor
        self._lock = threading.Lock()
        self._newest = clock.now()
        self._kept: tuple[float, Ready] | None = None

    def look(self) -> Ready:
        """Return what was found last, or look anew when that is some seconds ago."""
        with self._lock:
            until, found = self._kept or (0.0, None)
            if found is None or time.monotonic() >= until:
                found = self._look()
                seconds = KEPT / 5 if found.reasons else KEPT
                self._kept = time.monotonic() + seconds, found
            return found

    def _look(self) -> Ready:
        now, reasons = self._clock.now(), []
        free = shutil.disk_usage(self._folder).free
        if free < self._floor:
            reasons.append(f"{free >> 20} MiB are free on the disk")
        feeds: list[str] = []
        try:
            with self._store.write() as tx:
                # Only a write tells that the disk takes one.
                tx.node.set_meta("ready", str(now))
                feeds = list(tx.heads.all())
                overdue = tx.erasures.due(now - OVERDUE, 1)
            if overdue:
                reasons.append("erased lines wait to be deleted: run hub worker")
            reasons += self._clock_went_back(feeds, now)
        except HubError as error:
            reasons.append(str(error))
        self._newest = max(self._newest, now)
        return Ready(len(feeds), now, free, tuple(reasons))

    def _clock_went_back(self, feeds: list[str], now: int) -> list[str]:
        signed = max((self._marks.witnessed(feed)[1] for feed in feeds), default=0)
        behind = max(self._newest - BACK, signed) - now
        return [f"the clock is {behind} seconds behind itself"] if behind > 0 else []
