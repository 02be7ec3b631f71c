"""The only module that reads the time.

Everything else takes a :class:`Clock`, so a test decides what time it is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Clock", "FixedClock", "SystemClock"]


class Clock(Protocol):
    """Tells the time as whole POSIX seconds."""

    def now(self) -> int:
        """Return the current time in seconds since the epoch."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> int:
        """Return the machine's time in seconds since the epoch."""
        return int(time.time())


@dataclass
class FixedClock:
    """A clock that stands still until somebody moves it."""

    time: int

    def now(self) -> int:
        """Return the time that was set."""
        return self.time

    def advance(self, seconds: int) -> None:
        """Move the clock by ``seconds``."""
        self.time += seconds
