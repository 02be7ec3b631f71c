"""Screening: tokens against an index of many reports, and whole commands."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench import bare
from bench.table import Clock, Figure, Print, median, paired, timed
from bench.trial import Trial, new_trial
from hub.indicators import Outlook
from hub.model import new_case_id, render_time
from hub.screening import PART
from hub.store.base import IndexEntry
from hub.store.sqlite import SqliteStore
from keys.encoding import to_base64
from schemas.plain import PlainReport

__all__ = ["measure"]

NOW = 1_800_000_000
RUN = 100_000
ASKED = 100_000


def measure(
    folder: Path, show: Print, *, reports: int, rows: int, runs: int, clock: Clock
) -> None:
    """Measure look-ups among ``reports`` reports, and commands with ``rows`` rows."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = [secrets.token_bytes(32) for _ in range(reports)]
    _index(folder / "index.db", tokens, show, clock)
    _look_up(folder, tokens, show, runs, clock)
    _commands(new_trial(folder.with_name("commands")), show, rows)


def _entries(tokens: list[bytes], first: int) -> Iterator[IndexEntry]:
    until = render_time(NOW + 86400)
    for index, token in enumerate(tokens, first):
        text, case = to_base64(token), new_case_id()
        yield (
            index,
            PlainReport(
                "domain",
                text,
                "open-1",
                case,
                "test-purchase",
                "80",
                until,
                "18,25",
                None,
                None,
            ),
        )


def _index(path: Path, tokens: list[bytes], show: Print, clock: Clock) -> None:
    """Index reports run by run; show how fast the last run was."""
    store, seconds, added = SqliteStore(path, create=True), 0.0, 0
    for start in range(0, len(tokens), RUN):
        run = list(_entries(tokens[start : start + RUN], start))

        def add(start: int = start, run: list[IndexEntry] = run) -> None:
            with store.write() as tx:
                tx.index.add("maison", start + len(run), run)

        seconds, added = timed(add, clock), len(run)
    store.close()
    rate = added / seconds
    show(Figure(f"index the last run of {len(tokens):,}", rate, "reports/s"))


def _look_up(
    folder: Path, tokens: list[bytes], show: Print, runs: int, clock: Clock
) -> None:
    table = bare.Table(folder / "bare.db", "token BLOB PRIMARY KEY", 1)
    table.insert([(token,) for token in sorted(tokens)])
    store = SqliteStore(folder / "index.db")
    absent = [secrets.token_bytes(32) for _ in range(ASKED)]
    step = max(1, len(tokens) // ASKED)
    present = tokens[::step][:ASKED]
    few = [t if n % 20 else present[n % len(present)] for n, t in enumerate(absent)]
    where = f"{len(tokens):,} reports"
    # One in twenty is reported; the others say what each kind costs.
    for name, asked, budget in (
        (f"screen tokens against {where}", few, 100_000),
        ("the same, none of them reported", absent, 0),
        ("the same, all of them reported", present, 0),
    ):

        def ours(asked: list[bytes] = asked) -> None:
            _ask(store, asked)

        def least(asked: list[bytes] = asked) -> None:
            table.find(sorted(asked))

        seconds, ceiling = paired([(ours, least)] * runs, clock)
        rate, bound = len(asked) / seconds, len(asked) / ceiling
        bare_name = "SQLite look-ups, token as key"
        show(Figure(name, rate, "tokens/s", budget, ceiling=bound, bare=bare_name))
    store.close()
    table.close()
    _cold(folder / "index.db", few, show, runs)


def _ask(store: SqliteStore, asked: list[bytes]) -> None:
    """Look tokens up part by part, as screening does."""
    for start in range(0, len(asked), PART):
        with store.read() as tx:
            tx.index.lookup(asked[start : start + PART], Outlook(NOW))


def _cold(path: Path, asked: list[bytes], show: Print, runs: int) -> None:
    """Look up with nothing of the file in memory, as after a start of the machine."""
    seconds = []
    for _ in range(runs):
        _evict(path)
        store = SqliteStore(path)

        def ours(store: SqliteStore = store) -> None:
            _ask(store, asked)

        seconds.append(timed(ours))
        store.close()
    rate = len(asked) / sorted(seconds)[runs // 2]
    show(Figure("the same, file not in memory", rate, "tokens/s"))


def _evict(path: Path) -> None:
    """Ask the system to drop what it keeps of a file in memory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _commands(trial: Trial, show: Print, rows: int) -> None:
    """Measure whole commands over HTTP, tokens asked for and cached."""
    with trial.served():
        cases = [trial.sellers(f"cases{n}.csv", rows) for n in range(2)]
        seconds = median(
            [partial(trial.run, "maison", "publish", f, "--ref", "case") for f in cases]
        )
        show(Figure("hub publish, tokens and all", rows / seconds, "rows/s"))
        trial.run("reader", "pull")
        sellers = trial.sellers("sellers.csv", rows)
        screening = partial(trial.run, "maison", "screen", sellers, "--ref", "case")
        first = timed(screening)
        show(Figure("hub screen, tokens asked for", rows / first, "rows/s"))
        again = median([screening] * 2)
        show(Figure("hub screen, tokens cached", rows / again, "rows/s"))
