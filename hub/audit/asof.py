"""What was known at a time: each feed cut at the last batch that was there by then.

With witnesses, a batch was known once the quorum of other nodes had cosigned a head
above it, whatever time its entries claim. A feed that no witness ever cosigned is cut
by the members' own ``at``, which proves nothing to anybody; the report names the basis
of each feed. Keys, suspensions,
departures and erasures are those of the registry at its own cut: a key that was closed
later had not been closed then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.audit.checkpoints import Heads
from hub.audit.erased import Orders
from hub.audit.report import Report
from hub.audit.walk import Batch
from hub.directory import Directory
from hub.indicators import Outlook, derive
from hub.model import REGISTRY, render_time
from hub.store.base import Transaction
from keys.encoding import to_base64
from schemas.fast import read_line

__all__ = ["AsOf"]

_NEEDED = ("kind", "case", "token", "type", "basis", "confidence", "valid_until")


@dataclass
class AsOf:
    """The alliance as it was known at a time.

    Args:
        tx: The snapshot that was audited.
        report: Gets the feeds at their cuts, and the counts.
        time: The time, in POSIX seconds.
        heads: All feeds, walked and checked.
        orders: All erasure orders.
        directories: The registry's state at the end of each of its batches.
    """

    tx: Transaction
    report: Report
    time: int
    heads: Mapping[str, Heads]
    orders: Orders
    directories: Mapping[int, Directory]
    directory: Directory = field(init=False)
    cuts: dict[str, int] = field(default_factory=dict)
    erased_since: int = 0

    def run(self) -> None:
        """Cut every feed, the registry first, and count what was active."""
        self.directory = self.directories[max(self.directories)]
        for name in sorted(self.heads, key=lambda n: (n != REGISTRY, n)):
            self._cut(name, self.heads[name])
            if name == REGISTRY:
                self.directory = self.directories[self.cuts[REGISTRY]]
        self.report.registry = self.directory.size
        self._count()

    # -- how much was known --------------------------------------------------------

    def _cut(self, name: str, heads: Heads) -> None:
        quorum = max(self.directory.policy.quorum, 1)
        basis = "witnesses" if heads.vouches else "claims"
        claimed = self._claimed(name, heads)
        size = self._vouched(heads, quorum) if heads.vouches else claimed
        if claimed > size:
            self.report.open.append(
                f"By its own times {name} had {claimed} entries then; only {size} were "
                "cosigned by enough nodes, and only these are counted."
            )
        self.cuts[name] = size
        witnesses = heads.witnesses(size)
        self.report.feeds.append(
            {
                "feed": name,
                "size": size,
                "batches": sum(b.end <= size for b in heads.walk.batches),
                "cosignatures": len(witnesses),
                "root": to_base64(heads.walk.roots[size]),
                "witnesses": witnesses,
                "basis": basis,
                "known_by": self._known_by(heads, size, quorum),
            }
        )

    def _vouched(self, heads: Heads, quorum: int) -> int:
        """Return the largest size that the quorum had cosigned by the time."""
        largest: dict[str, int] = {}
        for vouch in heads.vouches:
            if vouch.time <= self.time and vouch.size in heads.walk.roots:
                known = largest.get(vouch.node, 0)
                largest[vouch.node] = max(known, vouch.size)
        sizes = sorted(largest.values(), reverse=True)
        return sizes[quorum - 1] if len(sizes) >= quorum else 0

    def _known_by(self, heads: Heads, size: int, quorum: int) -> str | None:
        """Return when the quorum had first cosigned a head of that size or more."""
        nodes: set[str] = set()
        for vouch in sorted(heads.vouches, key=lambda v: v.time):
            if size and vouch.size >= size and vouch.time <= self.time:
                nodes.add(vouch.node)
                if len(nodes) >= quorum:
                    return render_time(vouch.time)
        return None

    def _claimed(self, name: str, heads: Heads) -> int:
        """Return where the first batch begins that says it was written later."""
        limit = render_time(self.time)
        for batch in heads.walk.batches:
            for _, entry in self._entries(name, batch):
                # RFC 3339 in UTC and whole seconds sorts as text.
                if entry["at"] > limit:
                    return batch.first
        return heads.walk.size

    def _entries(self, name: str, batch: Batch) -> Iterator[tuple[int, dict[str, Any]]]:
        for line in self.tx.objects.lines(name, batch.first + 1, batch.end):
            entry, _ = read_line(line.raw or b"", registry=name == REGISTRY)
            if entry is not None:
                yield line.index, entry

    # -- what was active -----------------------------------------------------------

    def _count(self) -> None:
        feeds = {n: self._counted(n) for n in self.heads if n != REGISTRY}
        left = self.directory.left.items()
        gone = frozenset(m for m, how in left if how == "suspended")
        outlook = Outlook(self.time, self.directory.suspended, gone)
        found = derive(feeds, outlook)
        rows = [row for many in found.values() for row in many]
        self.report.counts = {
            "listed": len(found),
            "reports": len(rows),
            "disputed": sum(row.disputed for row in rows),
            "by_member": dict(sorted(Counter(row.member for row in rows).items())),
            "by_listers": {
                str(k): n for k, n in sorted(Counter(map(len, found.values())).items())
            },
            "erased_since": self.erased_since,
        }

    def _counted(self, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the entries that counted then, with what decides about them."""
        walk = self.heads[name].walk
        missing = set(walk.missing)
        for batch in walk.batches:
            if batch.end > self.cuts[name]:
                return
            if batch.bad or self._was_void(batch):
                continue
            gone = missing.intersection(range(batch.first, batch.end))
            self.erased_since += sum(not self._was_erased(name, i) for i in gone)
            for index, entry in self._entries(name, batch):
                if not self._was_erased(name, index):
                    yield index, _trimmed(entry)

    def _was_void(self, batch: Batch) -> bool:
        return any(
            key.public == batch.public
            and key.closed_at is not None
            and batch.first >= key.closed_at
            for key in self.directory.keys
        )

    def _was_erased(self, name: str, index: int) -> bool:
        """Tell whether an order that was known then had the line erased."""
        firsts = {b.first: b for b in self.heads[name].walk.batches}
        for order in self.orders.named.get(name, {}).get(index, ()):
            if order.by.index >= self.cuts.get(order.by.feed, 0):
                continue
            own = order.by.feed == name
            if not own or not self._was_void(firsts[order.before]):
                return True
        return False


def _trimmed(entry: Mapping[str, Any]) -> dict[str, Any]:
    kept = {k: entry[k] for k in _NEEDED if k in entry}
    kept |= {k: entry[k] for k in ("entry", "report") if k in entry}
    return kept
