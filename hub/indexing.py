"""The token index follows the feeds: off the publish path, in long sorted runs.

Publishing and pulling leave the index alone. Whoever is about to look something up
opens a snapshot with :func:`caught_up`, in which the index is as far as the heads; any
other snapshot may be of the moment between a pull and its indexing, and there the index
refuses to answer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hub.directory import Directory
from hub.feeds import void_ranges
from hub.indicators import Outlook
from hub.model import REGISTRY
from hub.store.base import IndexEntry, Store, Transaction
from schemas.fast import read_line
from schemas.plain import plain_report

__all__ = ["RUN", "Current", "catch_up", "caught_up", "outlook_of"]

RUN = 100_000
"""Entries that are indexed in one transaction: long enough to pay, and not for ever."""

_VOIDS, _SILENCED = "voids", "silenced"
Current = Callable[[Transaction], Directory]
"""Returns the directory as of a transaction."""
Voids = dict[str, list[range]]


@contextmanager
def caught_up(store: Store, current: Current) -> Iterator[Transaction]:
    """Open a snapshot in which the index is as far as the heads.

    Args:
        store: A mirror.
        current: Returns the directory as of a transaction.
    """
    while True:
        with store.read() as tx:
            directory = current(tx)
            if _is_current(tx, directory, _voids(tx, directory)):
                yield tx
                return
        # Somebody may pull while this is at work; then there is a little more to do.
        catch_up(store, current)


def catch_up(store: Store, current: Current, *, run: int = RUN) -> None:
    """Index every feed up to its head; again from 0 when keys were closed since.

    Each run is a transaction of its own, so that others can write between them.

    Args:
        store: A mirror.
        current: Returns the directory as of a transaction.
        run: Entries of one transaction at most.
    """
    with store.read() as tx:
        directory = current(tx)
        done = _is_current(tx, directory, _voids(tx, directory))
    while not done:
        with store.write() as tx:
            directory = current(tx)
            voids = _voids(tx, directory)
            _run(tx, voids, run)
            _silence(tx, directory)
            done = _is_current(tx, directory, voids)
        # If we crash here, then this run is there and the rest is missing: the index
        # is behind, refuses to answer, and whoever asks next goes on from here.


def outlook_of(directory: Directory, now: int) -> Outlook:
    """Return what besides the feeds decides whether a report is active."""
    gone = frozenset(m for m, how in directory.left.items() if how == "suspended")
    return Outlook(now, directory.suspended, gone)


def _voids(tx: Transaction, directory: Directory) -> Voids:
    feeds = [feed for feed in tx.heads.all() if feed != REGISTRY]
    return {feed: void_ranges(tx, directory, feed) for feed in feeds}


def _is_current(tx: Transaction, directory: Directory, voids: Voids) -> bool:
    return (
        not tx.index.behind()
        and _left_out(tx) == _mark(tx, voids)
        and tx.node.get_meta(_SILENCED) == _silenced(directory)
    )


def _silenced(directory: Directory) -> str:
    gone = sorted(outlook_of(directory, 0).gone)
    return repr((sorted(directory.suspended.items()), gone))


def _silence(tx: Transaction, directory: Directory) -> None:
    """Keep what the registry makes inactive beside the index, when it changed."""
    mark = _silenced(directory)
    if tx.node.get_meta(_SILENCED) != mark:
        tx.index.silence(directory.suspended, outlook_of(directory, 0).gone)
        tx.node.set_meta(_SILENCED, mark)


def _left_out(tx: Transaction) -> str:
    return tx.node.get_meta(_VOIDS) or "{}"


def _mark(tx: Transaction, voids: Voids) -> str:
    """Return what names the void entries below the index, which were left out of it.

    Void entries above it change nothing, so a feed may grow under a closed key.
    """
    below = {}
    for feed in sorted(voids):
        size = tx.index.size(feed)
        spans = [(v.start, min(v.stop, size)) for v in voids[feed] if v.start < size]
        if spans:
            below[feed] = spans
    return repr(below)


def _run(tx: Transaction, voids: Voids, most: int) -> None:
    """Index the next run of one feed, the registry last."""
    if _left_out(tx) != _mark(tx, voids):
        # A key was closed below what is indexed: what it signed counts no more.
        tx.index.clear()
    behind = tx.index.behind()
    if behind:
        feed = next((name for name in behind if name != REGISTRY), REGISTRY)
        head = tx.heads.get(feed)
        start, stop = tx.index.size(feed), head.size if head else 0
        if feed != REGISTRY:
            stop = min(stop, start + most)
        tx.index.add(feed, stop, _entries(tx, feed, start, stop, voids))
    tx.node.set_meta(_VOIDS, _mark(tx, voids))


def _entries(
    tx: Transaction, feed: str, start: int, stop: int, voids: Voids
) -> Iterator[IndexEntry]:
    """Read the lines that count; one that is no valid entry counts for nothing."""
    if feed == REGISTRY:
        # None of its lines is a report. That it is indexed says that the void entries
        # that were left out are those of its head.
        return
    spans = voids[feed]
    for block in tx.objects.blocks(feed, start, stop):
        for index, line in enumerate(block.lines, block.first):
            if line is None or (spans and _is_void(index, spans)):
                continue
            entry = plain_report(line) or read_line(line)[0]
            if entry is not None:
                yield index, entry


def _is_void(index: int, spans: list[range]) -> bool:
    place = bisect_right(spans, index, key=lambda span: span.start) - 1
    return place >= 0 and index in spans[place]
