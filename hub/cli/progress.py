"""A progress bar on standard error, for a person: silent when that is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Self, TextIO

__all__ = ["Progress"]

_PAUSE = 0.1  # Seconds between two drawings, so that drawing costs nothing.
_BAR = 24


class Progress:
    """Draws how far a long piece of work is, its rate and the time that is left.

    Args:
        label: What is being done.
        unit: What is counted.
        total: How many there are, if that is known.
        stream: The terminal.
        clock: Seconds that pass evenly.
    """

    def __init__(
        self,
        label: str,
        unit: str,
        total: int | None = None,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._label, self._unit, self._total = label, unit, total
        self._stream = stream or sys.stderr
        self._clock = clock
        self._shown = self._stream.isatty()
        self._begun = clock()
        self._touched = self._begun
        self._drawn = self._begun - _PAUSE
        self._width = 0
        self.done = 0

    @property
    def rate(self) -> float:
        """How many were done in a second, so far."""
        return self.done / max(self._clock() - self._begun, 1e-6)

    def advance(self, count: int = 1) -> None:
        """Count some more as done."""
        self.done += count
        self._touched = self._clock()
        if self._shown and self._clock() - self._drawn >= _PAUSE:
            self._draw()

    def reach(self, done: int, total: int) -> None:
        """Set what is done and how many there are."""
        self._total = total
        self.advance(done - self.done)

    def begin(self, label: str) -> None:
        """Count anew for another piece of work, begun when the last one got ahead."""
        self.clear()
        self._label, self._total, self.done = label, None, 0
        self._begun = self._touched
        self._drawn = self._begun - _PAUSE

    def clear(self) -> None:
        """Take the bar away, so that the next line of text stands alone."""
        if self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0

    def __enter__(self) -> Self:
        """Return the bar itself; it is taken away at the end of the block."""
        return self

    def __exit__(self, *_error: object) -> None:
        self.clear()

    def _draw(self) -> None:
        text = self._text()
        self._stream.write("\r" + text.ljust(self._width))
        self._stream.flush()
        self._width = max(self._width, len(text))
        self._drawn = self._clock()

    def _text(self) -> str:
        rate = f"{self.rate:,.0f} {self._unit}/s"
        if not self._total:
            return f"{self._label}  {self.done:,} {self._unit}  {rate}"
        share = min(self.done / self._total, 1.0)
        bar = ("#" * round(share * _BAR)).ljust(_BAR, ".")
        left = duration((self._total - self.done) / max(self.rate, 1e-6))
        return f"{self._label}  [{bar}] {share:4.0%}  {rate}  {left} left"


def duration(seconds: float) -> str:
    """Return seconds for a person: ``45 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02} min"
