"""Erasure: which lines may be erased, whose orders stand, what a tombstone means.

An ``erasure`` entry orders report, dispute or action lines to be erased: in a member's
feed its own lines of earlier batches, in the registry lines of any member's feed. All
else stays: headers, withdrawals, erasures and the registry. An order over other lines
is refused at the home; a mirror or an audit that meets one ignores it for those lines.

The orders of a batch that is void, because its key was closed below it, are void too:
their lines come back, and one that was deleted already is a *loss*. Void orders are
stored all the same, so that a tombstone can be told from a lie:

- under a standing order it is right;
- under a void order it is a loss, and nobody misbehaved;
- under an order that lies above what the reader has, it makes the reader pull again;
- under none of them the node withholds a line.

Not trusted: whoever gave an order, whoever serves a tombstone. The 72 hours after which
a line is deleted run from when this store first held the order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hub.directory import Directory
from hub.errors import MalformedError
from hub.findings import Finding
from hub.model import REGISTRY, EntryName
from hub.store.base import Transaction
from hub.verifier import OpenBatch
from schemas.base import SchemaError, load_json

__all__ = [
    "ERASABLE",
    "check_order",
    "is_cut_off",
    "is_erasable",
    "record_orders",
    "settle_arrivals",
    "targets_of",
    "void_closed",
    "void_ranges",
]

ERASABLE = frozenset({"report", "dispute", "action"})
"""The kinds of entries that can hold somebody's data."""

_PLAIN = tuple(f'{{"kind":"{kind}",'.encode() for kind in sorted(ERASABLE))
Entry = Mapping[str, Any]


def is_erasable(line: bytes) -> bool:
    """Tell whether a line is of a kind that may be erased, valid or not."""
    if line.startswith(_PLAIN):
        return True
    try:
        return load_json(line).get("kind") in ERASABLE
    except SchemaError:
        return False


def targets_of(feed: str, entry: Entry) -> tuple[str, Sequence[int]]:
    """Return the feed and the indices that an erasure entry of ``feed`` names."""
    return (entry["feed"] if feed == REGISTRY else feed), entry["indices"]


def check_order(tx: Transaction, batch: OpenBatch, entry: Entry) -> None:
    """Check at the home that an erasure orders only what may be erased.

    Raises:
        MalformedError: It names no feed, no earlier line, or a line that stays.
    """
    feed, indices = targets_of(batch.feed, entry)
    own = feed == batch.feed
    size = batch.first if own else tx.objects.size(feed)
    if not own and not size:
        raise MalformedError(f"feed: {feed} has no entries here")
    for index in indices:
        if index >= size:
            raise MalformedError(f"indices: {index} is not an earlier entry of {feed}")
        if not _may_be_erased(tx, feed, index):
            raise MalformedError(
                f"indices: {index} is no report, dispute or action and stays"
            )


def _may_be_erased(tx: Transaction, feed: str, index: int) -> bool:
    """Tell whether a stored line may be erased; one that is gone already could be."""
    raw = next(tx.objects.lines(feed, index, index + 1)).raw
    return raw is None or is_erasable(raw)


def record_orders(
    tx: Transaction,
    batch: OpenBatch,
    entries: Iterable[tuple[int, Entry]],
    now: int,
) -> list[Finding]:
    """Store the orders of a batch that was just appended.

    Args:
        tx: The transaction that appended it.
        batch: The batch.
        entries: (index, entry) of its erasures.
        now: This machine's time; the 72 hours run from it.

    Returns:
        A finding for each order over lines that stay, which is ignored for them.
    """
    found = []
    for index, entry in entries:
        by = str(EntryName(batch.feed, index))
        feed, indices = targets_of(batch.feed, entry)
        tx.erasures.order(feed, indices, by, now)
        end = batch.first if feed == batch.feed else tx.objects.size(feed)
        bad = [i for i in indices if i < end and not _may_be_erased(tx, feed, i)]
        if feed == batch.feed:
            bad += [i for i in indices if i >= end]
        if batch.void:
            tx.erasures.void(by)
        elif bad:
            tx.erasures.ignore(feed, bad, by)
            found.append(_bad_order(batch.feed, by, feed, bad))
    return found


def _bad_order(where: str, by: str, feed: str, indices: Sequence[int]) -> Finding:
    named = ", ".join(map(str, sorted(indices)))
    detail = f"it orders lines of {feed} to be erased that stay: {named}"
    return Finding("bad-erasure", where, by, detail)


def is_cut_off(directory: Directory, feed: str, index: int, by: EntryName) -> bool:
    """Tell whether officers ordered a line erased and set it aside afterwards.

    What stands at that index now was published later, and nobody ordered it erased.
    """
    return by.feed == REGISTRY != feed and any(
        home.since > by.index and home.size <= index
        for home in directory.homes.get(feed, ())
    )


def settle_arrivals(
    tx: Transaction,
    directory: Directory,
    feed: str,
    first: int,
    lines: Sequence[bytes | None],
) -> list[Finding]:
    """Ignore orders over lines that arrived after them and stay, or were not meant.

    The registry is pulled first, so its orders are there before the lines they name.

    Returns:
        A finding for each order over lines that stay.
    """
    bad: dict[str, list[int]] = {}
    for order in tx.erasures.orders(feed, first, first + len(lines)):
        line = lines[order.index - first]
        if order.voided:
            continue
        if is_cut_off(directory, feed, order.index, EntryName.parse(order.by)):
            tx.erasures.ignore(feed, [order.index], order.by)
        elif line is not None and not is_erasable(line):
            bad.setdefault(order.by, []).append(order.index)
    found = []
    for by, indices in bad.items():
        tx.erasures.ignore(feed, indices, by)
        found.append(_bad_order(EntryName.parse(by).feed, by, feed, indices))
    return found


def void_ranges(tx: Transaction, directory: Directory, feed: str) -> list[range]:
    """Return the indices of a feed that were signed under a key closed before."""
    closed = {
        key.public: key.closed_at
        for key in directory.with_role("publish", f"member/{feed}")
        if key.closed_at is not None
    }
    if not closed:
        return []
    found, start = [], min(closed.values())
    while rows := tx.batches.list(feed, start, 1000):
        found += [
            range(r.first, r.stop)
            for r in rows
            if r.key in closed and r.first >= closed[r.key]
        ]
        start = rows[-1].stop
    return found


def void_closed(tx: Transaction, before: Directory, after: Directory) -> None:
    """Void the orders that the registry's newest entries took the key from.

    Args:
        tx: The transaction that stores these entries.
        before: The directory before them.
        after: The directory with them.
    """
    known = set(before.keys)
    owners = {k.owner for k in after.keys if k.closed_at is not None and k not in known}
    for owner in owners:
        feed = owner.partition("/")[2]
        spans = void_ranges(tx, after, feed)
        for by in _ordering(tx, feed):
            if any(by.index in span for span in spans):
                tx.erasures.void(str(by))


def _ordering(tx: Transaction, feed: str) -> set[EntryName]:
    """Return the entries of a feed that order lines of it to be erased."""
    orders = tx.erasures.orders(feed, 0, tx.objects.size(feed))
    names = {EntryName.parse(order.by) for order in orders if not order.voided}
    return {name for name in names if name.feed == feed}
