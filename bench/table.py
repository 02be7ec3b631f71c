"""The table: a figure, its budget, and what bare libraries would need for the same."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = ["Figure", "Print", "head", "line", "median", "paired", "timed"]

Work = Callable[[], object]
Clock = Callable[[], float]
_WIDTHS = (36, 22, 12, 8, 12, 8)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Args:
        work: What was done.
        value: How much of it.
        unit: In what.
        budget: At least so much, or at most if ``most``; 0 without one.
        most: Whether the budget is an upper bound.
        ceiling: What the bare libraries do; 0 without one.
        bare: What the ceiling is.
    """

    work: str
    value: float
    unit: str
    budget: float = 0
    most: bool = False
    ceiling: float = 0
    bare: str = ""

    @property
    def kept(self) -> bool:
        """Whether the budget is kept."""
        if not self.budget:
            return True
        return self.value <= self.budget if self.most else self.value >= self.budget


Print = Callable[[Figure], None]


def timed(work: Work, clock: Clock = time.perf_counter) -> float:
    """Return the seconds that a call takes."""
    # What an earlier run left behind is not collected at this one's expense.
    gc.collect()
    begun = clock()
    work()
    return clock() - begun


def median(works: Iterable[Work], clock: Clock = time.perf_counter) -> float:
    """Return the median of the seconds that the calls take."""
    return statistics.median(timed(work, clock) for work in works)


def paired(
    works: Iterable[tuple[Work, Work]], clock: Clock = time.perf_counter
) -> tuple[float, float]:
    """Return the medians of pairs, each measured one right after the other.

    What else the machine does then disturbs both alike.
    """
    pairs = ((timed(ours, clock), timed(least, clock)) for ours, least in works)
    mine, least = zip(*pairs, strict=True)
    return statistics.median(mine), statistics.median(least)


def head() -> str:
    """Return the heading of the table."""
    names = ("work", "figure", "budget", "of it", "ceiling", "of it")
    return _row(names) + "  the ceiling is"


def line(figure: Figure) -> str:
    """Return a figure as a line of the table."""
    budget = ratio = ceiling = share = ""
    if figure.budget:
        budget = f"{'<=' if figure.most else '>='} {_number(figure.budget)}"
        ratio = f"{figure.value / figure.budget:.2f}{'' if figure.kept else ' !'}"
    if figure.ceiling:
        ceiling = _number(figure.ceiling)
        share = f"{figure.value / figure.ceiling:.2f}"
    value = f"{_number(figure.value)} {figure.unit}"
    cells = (figure.work, value, budget, ratio, ceiling, share)
    return f"{_row(cells)}  {figure.bare}".rstrip()


def _row(cells: tuple[str, ...]) -> str:
    first, *others = zip(cells, _WIDTHS, strict=True)
    return first[0].ljust(first[1]) + "".join(c.rjust(w) for c, w in others)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
