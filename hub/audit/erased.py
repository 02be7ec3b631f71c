"""Erasures as the lines themselves say them: what they explain and what they may not.

The store's own list of orders is not believed; it is asked only whether a line that
nothing here explains is withheld under an order above the heads that are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.audit.report import Report
from hub.directory import Directory
from hub.erasure import is_cut_off, is_erasable, targets_of
from hub.model import EntryName
from hub.store.base import Transaction
from hub.verifier import OpenBatch

__all__ = ["Order", "Orders"]


@dataclass(frozen=True, slots=True)
class Order:
    """An entry that orders one line to be erased.

    Args:
        by: The entry.
        before: Only lines below this index of the same feed may be named.
        void: Whether the entry's key was closed before it.
    """

    by: EntryName
    before: int
    void: bool


@dataclass
class Orders:
    """All erasure orders that were read, by feed and line."""

    named: dict[str, dict[int, list[Order]]] = field(default_factory=dict)
    directory: Directory | None = None
    """The registry to its end, once it was read: a feed's home may cut orders off."""

    def _counts(self, order: Order, feed: str, index: int) -> bool:
        """Tell whether an order has to be judged at all."""
        cut = self.directory and is_cut_off(self.directory, feed, index, order.by)
        return not order.void and not cut

    def add(self, batch: OpenBatch, index: int, entry: Mapping[str, Any]) -> None:
        """Note the orders of an erasure entry of a verified batch."""
        order = Order(EntryName(batch.feed, index), batch.first, batch.void)
        feed, indices = targets_of(batch.feed, entry)
        lines = self.named.setdefault(feed, {})
        for target in indices:
            lines.setdefault(target, []).append(order)

    def standing(
        self, feed: str, index: int, below: Mapping[str, int] | None = None
    ) -> EntryName | None:
        """Return the first entry that validly orders a line to be erased.

        Args:
            feed: The feed of the line.
            index: The line.
            below: By feed, the size below which orders count; all do without it.
        """
        for order in self.named.get(feed, {}).get(index, ()):
            if below is not None and order.by.index >= below.get(order.by.feed, 0):
                continue
            if self._counts(order, feed, index) and _is_earlier(order, feed, index):
                return order.by
        return None

    def judge(
        self,
        tx: Transaction,
        feed: str,
        size: int,
        missing: Iterable[int],
        headers: frozenset[int],
        report: Report,
    ) -> None:
        """Judge the orders over one feed and the lines that are missing from it.

        Args:
            tx: A snapshot of the store.
            feed: The feed.
            size: How much of it was verified.
            missing: The lines that are not there.
            headers: The indices of its headers.
            report: Where findings, losses and erasures go.
        """
        self._check_targets(tx, feed, size, headers, report)
        gone = set(missing)
        for index in sorted(gone):
            self._explain(tx, feed, index, report)
        for index in sorted(set(self.named.get(feed, {})) - gone):
            by = self.standing(feed, index)
            if by and index < size and self._may_go(tx, feed, index, headers):
                report.erased.append({"entry": f"{feed}/{index}", "by": str(by)})

    def _check_targets(
        self,
        tx: Transaction,
        feed: str,
        size: int,
        headers: frozenset[int],
        report: Report,
    ) -> None:
        for index, orders in sorted(self.named.get(feed, {}).items()):
            for order in (o for o in orders if self._counts(o, feed, index)):
                problem = ""
                if not _is_earlier(order, feed, index):
                    problem = "is no earlier entry"
                elif index >= size:
                    report.open.append(
                        f"{order.by} orders {feed}/{index}, which is not here"
                    )
                elif not self._may_go(tx, feed, index, headers):
                    problem = "is no report, dispute or action and stays"
                if problem:
                    where, number = order.by.feed, order.by.index
                    report.find(
                        "bad-erasure", where, number, f"{feed}/{index} {problem}"
                    )

    @staticmethod
    def _may_go(
        tx: Transaction, feed: str, index: int, headers: frozenset[int]
    ) -> bool:
        if index in headers:
            return False
        raw = next(tx.objects.lines(feed, index, index + 1)).raw
        return raw is None or is_erasable(raw)

    def _explain(self, tx: Transaction, feed: str, index: int, report: Report) -> None:
        """Say why a line is missing: erased, lost, open, or withheld."""
        name = f"{feed}/{index}"
        by = self.standing(feed, index)
        if by:
            report.erased.append({"entry": name, "by": str(by)})
            return
        void = [o for o in self.named.get(feed, {}).get(index, ()) if o.void]
        if void:
            report.lost.append({"entry": name, "by": str(void[0].by)})
            return
        for order in tx.erasures.orders(feed, index, index + 1):
            claimed = EntryName.parse(order.by)
            if claimed.index >= tx.objects.size(claimed.feed):
                report.open.append(
                    f"{name} is withheld under {claimed}, which is not here yet"
                )
                return
        report.find("tombstone-without-erasure", feed, index, "no erasure covers it")


def _is_earlier(order: Order, feed: str, index: int) -> bool:
    return order.by.feed != feed or index < order.before
