"""Measures everything and prints one table: ``make bench`` or ``python -m bench.main``.

In the columns "of it" stands the figure's share of its budget, with an exclamation mark
where the budget is not kept, and of its ceiling.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from bench import feeds, looking, memory, network, sellers, starting, tokens
from bench.table import Figure, head, line

__all__ = ["main"]

Measure = Callable[..., None]


def _machine() -> str:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return (
        f"{os.cpu_count()} cores, {pages * size / 2**30:.0f} GiB of memory, "
        f"Python {platform.python_version()}"
    )


@click.command()
@click.option("--entries", default=100_000, show_default=True, help="Of the feed.")
@click.option("--reports", default=1_000_000, show_default=True, help="In the index.")
@click.option("--rows", default=2_000, show_default=True, help="Of sellers' tables.")
@click.option(
    "--screened", default=100_000, show_default=True, help="Rows of a long file."
)
@click.option("--runs", default=3, show_default=True, help="Of each measurement.")
@click.option("--only", multiple=True, help="A topic; repeat it for several.")
@click.option(
    "--cpu",
    is_flag=True,
    help="Count the processor's time where there is one process, not the clock's: for a"
    " machine that others use too. Waiting for the disk is then left out.",
)
def main(
    entries: int,
    reports: int,
    rows: int,
    screened: int,
    runs: int,
    only: tuple[str, ...],
    cpu: bool,
) -> None:
    """Print figures beside budgets and ceilings."""
    missed: list[str] = []
    clock = time.process_time if cpu else time.perf_counter

    def show(figure: Figure) -> None:
        click.echo(line(figure))
        if not figure.kept:
            missed.append(figure.work)

    with tempfile.TemporaryDirectory(prefix="hub-bench-") as name:
        folder = Path(name)
        topics: dict[str, Callable[[], None]] = {
            "feeds": lambda: feeds.measure(
                folder / "feeds", show, entries=entries, runs=runs, clock=clock
            ),
            "network": lambda: network.measure(
                folder / "network", show, entries=entries, runs=runs, clock=clock
            ),
            "looking": lambda: looking.measure(
                folder / "looking",
                show,
                reports=reports,
                rows=rows,
                runs=runs,
                clock=clock,
            ),
            "tokens": lambda: tokens.measure(show, runs=runs, clock=clock),
            "memory": lambda: memory.measure(folder / "memory", show, entries=entries),
            "sellers": lambda: sellers.measure(
                folder / "sellers", show, sellers=screened
            ),
            "starting": lambda: starting.measure(show, runs=runs),
        }
        unknown = set(only) - set(topics)
        if unknown:
            raise click.UsageError(f"topics are {', '.join(topics)}")
        click.echo(
            f"{_machine()}; {entries:,} entries, {reports:,} reports"
            f"{', time of the processor' if cpu else ''}.\n"
        )
        click.echo(head())
        for topic, measure in topics.items():
            if not only or topic in only:
                measure()
    click.echo(f"\n{'Missed: ' + ', '.join(missed) if missed else 'All budgets kept.'}")


if __name__ == "__main__":
    main()
