"""Feeds in one process: publish at the hub, pull from a file, audit, bytes stored."""

from __future__ import annotations

from pathlib import Path

from bench import bare
from bench.table import Clock, Figure, Print, paired, timed
from bench.trial import Trial, new_trial
from hub.audit import audit
from hub.feeds import publish
from hub.indexing import catch_up
from hub.registry import Registry
from hub.store.engine import sqlite3
from hub.store.sqlite import SqliteStore
from hub.sync import Mirror, pull

__all__ = ["measure"]

SIZE = 10_000
_PAGE = "first INTEGER PRIMARY KEY, digests BLOB, lines BLOB"
_REPORT = (
    'feed INTEGER, entry INTEGER, token BLOB, "case" TEXT, type TEXT, basis TEXT,'
    " confidence INTEGER, goods TEXT, valid_until INTEGER, PRIMARY KEY (feed, entry)"
)
_ROWS = (
    'SELECT feed, entry, token, "case", type, basis, confidence, goods, valid_until'
    " FROM reports ORDER BY feed, entry"
)


def measure(
    folder: Path, show: Print, *, entries: int, runs: int, clock: Clock
) -> None:
    """Measure a feed of ``entries`` entries."""
    trial = new_trial(folder)
    lines = _publishing(trial, show, entries, clock)
    _pulling(trial, show, lines, runs, clock)
    _auditing(trial, show, lines, runs, clock)
    for name, file, budget in (
        ("stored without the index", "node/hub.db", 160),
        ("stored with the index", "mirror.db", 350),
    ):
        # Opening empties the journal into the file.
        SqliteStore(trial.folder / file).close()
        size = (trial.folder / file).stat().st_size
        show(Figure(name, size / entries, "bytes/entry", budget, most=True))


def _publishing(trial: Trial, show: Print, entries: int, clock: Clock) -> list[bytes]:
    node = trial.hub("node")
    log, now, current = node.signer("log"), node.clock.now(), node.registry.current
    table = bare.Table(trial.folder / "bare.db", _PAGE, 3)
    sent: list[bytes] = []
    works = []
    for start in range(0, entries, SIZE):
        lines = trial.body(min(SIZE, entries - start))[:-1].split(b"\n")

        def ours(lines: list[bytes] = lines) -> None:
            publish(node.store, current, "maison", lines, signer=log, now=now)

        def least(lines: list[bytes] = lines, first: int = len(sent)) -> None:
            bare.store_lines(table, first, lines)

        works.append((ours, least))
        sent += lines
    seconds, ceiling = paired(works, clock)
    size = min(SIZE, entries)
    show(
        Figure(
            "publish at the hub",
            size / seconds,
            "entries/s",
            50_000,
            ceiling=size / ceiling,
            bare="hash, gzip, insert",
        )
    )
    table.close()
    node.close()
    return sent


def _pulling(
    trial: Trial, show: Print, lines: list[bytes], runs: int, clock: Clock
) -> None:
    node = trial.hub("node")
    peer, now, entries = Mirror(node.store, "node1"), node.clock.now(), len(lines)
    runs_of: list[tuple[float, float, float, float]] = []
    for _ in range(runs):
        path = _fresh(trial.folder / "mirror.db")
        store, registry = SqliteStore(path, create=True), Registry(node.registry.pin)

        def fetch(store: SqliteStore = store, registry: Registry = registry) -> None:
            pull(store, registry, peer, now)

        def index(store: SqliteStore = store, registry: Registry = registry) -> None:
            catch_up(store, registry.directory)

        ours = timed(fetch, clock), timed(index, clock)
        store.close()
        runs_of.append((*ours, *_bare_pull(trial.folder, lines, clock)))
    node.close()
    runs_of.sort(key=lambda run: run[0] + run[1])
    pulled, indexed, stored, inserted = runs_of[runs // 2]
    for name, seconds, least, bare_work, budget in (
        ("pull: verify, store", pulled, stored, "gunzip, hash, gzip, insert", 0),
        ("index what was pulled", indexed, inserted, "insert the rows, no keys", 0),
        ("pull and index", pulled + indexed, stored + inserted, "all of it", 50_000),
    ):
        show(
            Figure(
                name,
                len(lines) / seconds,
                "entries/s",
                budget,
                ceiling=entries / least,
                bare=bare_work,
            )
        )


def _bare_pull(folder: Path, lines: list[bytes], clock: Clock) -> tuple[float, float]:
    """Return the least seconds for storing the lines, and for their rows."""
    pages = bare.packed(lines)
    table = bare.Table(folder / "bare.db", _PAGE, 3)
    first = 0

    def store() -> None:
        nonlocal first
        for start in range(0, len(pages), 118):
            parts = bare.unpacked(pages[start : start + 118])
            run = [line for part in parts for line in part]
            bare.store_lines(table, first, run)
            first += len(run)

    stored = timed(store, clock)
    table.close()
    mirror = sqlite3.connect(folder / "mirror.db")
    rows = mirror.execute(_ROWS).fetchall()
    mirror.close()
    table = bare.Table(folder / "bare.db", _REPORT, 9)
    inserted = timed(lambda: table.insert(rows), clock)
    table.close()
    return stored, inserted


def _auditing(
    trial: Trial, show: Print, lines: list[bytes], runs: int, clock: Clock
) -> None:
    node = trial.hub("node")
    store = SqliteStore(trial.folder / "mirror.db")
    now, pages = node.clock.now(), bare.packed(lines)

    def ours() -> None:
        if audit(store, node.registry.pin, now).findings:
            raise AssertionError("an untouched mirror has no finding")

    def least() -> None:
        for run in bare.unpacked(pages):
            bare.digests(run)

    seconds, ceiling = paired([(ours, least)] * runs, clock)
    store.close()
    node.close()
    show(
        Figure(
            "audit a mirror from nothing",
            len(lines) / seconds,
            "entries/s",
            150_000,
            ceiling=len(lines) / ceiling,
            bare="gunzip, hash",
        )
    )


def _fresh(path: Path) -> Path:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return path
