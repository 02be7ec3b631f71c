"""Audit: re-derive everything from the lines and compare. Trusts only the pin.

Works on any store: a client's mirror or a node's own database. Every fault becomes a
finding with a stable kind and the audit goes on, so that one report names all of them.

:mod:`hub.audit.walk` goes through the lines of a feed, :mod:`hub.audit.rules` judges
them, :mod:`hub.audit.erased` what is missing, :mod:`hub.audit.checkpoints` what was
signed over them; :mod:`hub.audit.asof` says what was known at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hub.audit.asof import AsOf
from hub.audit.checkpoints import Heads
from hub.audit.erased import Orders
from hub.audit.report import Report
from hub.audit.rules import Rules
from hub.audit.walk import Lines, Walk
from hub.conviction import judge
from hub.directory import Directory, Pin
from hub.errors import MalformedError, ProofError
from hub.findings import Finding
from hub.freezing import fork_name
from hub.model import REGISTRY, render_time
from hub.registry import new_replay
from hub.store.base import Store, Transaction
from hub.verifier import OpenBatch
from keys.encoding import to_base64

__all__ = ["Finding", "Report", "audit"]


def audit(
    store: Store,
    pin: Pin,
    now: int,
    as_of: int | None = None,
    *,
    require_fresh: bool = False,
) -> Report:
    """Verify everything that is stored.

    Args:
        store: A mirror, or a node's own store.
        pin: What is trusted.
        now: The time of the audit.
        as_of: Also say what was known at that time. Everything is verified all the
            same, whenever it was published.
        require_fresh: A head that the quorum did not cosign lately is a finding.
    """
    report = Report(render_time(now if as_of is None else as_of), pin.alliance)
    with store.read() as tx:
        one = _Audit(tx, pin, report)
        one.run()
        if as_of is not None:
            view = AsOf(tx, report, as_of, one.heads, one.orders, one.directories)
            view.run()
        else:
            one.summarise(now, require_fresh)
    return report


@dataclass
class _Audit:
    """All feeds of one store, the registry first."""

    tx: Transaction
    pin: Pin
    report: Report
    orders: Orders = field(default_factory=Orders)
    heads: dict[str, Heads] = field(default_factory=dict)
    directories: dict[int, Directory] = field(default_factory=dict)

    def run(self) -> None:
        """Walk every feed, then judge what needs all of them."""
        self._registry()
        directory = self.directories[max(self.directories)]
        self.report.registry, self.orders.directory = directory.size, directory
        for name in self._names(directory):
            walk = Walk(self.tx, name, self.report, directory)
            roots = self.heads[REGISTRY].walk.roots
            rules = Rules(self.tx, name, self.report, directory, self.orders, roots)
            walk.run(rules.lines)
            self.heads[name] = Heads(walk, directory, self.report)
        for name, heads in self.heads.items():
            heads.run()
            if name != REGISTRY:
                self._erasures(name, heads.walk)
        self._evidence(directory)

    def _evidence(self, directory: Directory) -> None:
        """Judge what is kept here of somebody's misbehaviour."""
        for row in self.tx.federation.evidence():
            try:
                judge(row.raw, directory, row.at)
            except (MalformedError, ProofError) as error:
                self.report.open.append(
                    f"{row.name} is kept and proves nothing: {error}"
                )
                continue
            name = f"{row.name.replace('/', '-')[:80]}.evidence"
            if row.raw not in self.report.evidence.values():
                self.report.evidence[name] = row.raw
            home = directory.home(row.feed)
            if (
                row.kind == "fork"
                and home
                and row.name != fork_name(row.feed, home.public)
            ):
                # The officers settled it: the feed goes on under another key.
                self.report.open.append(f"{name} convicts a log key that was replaced")
                continue
            self.report.find(row.kind, row.feed, row.size, f"evidence: {name}")

    def _registry(self) -> None:
        replay = new_replay(self.pin)
        self.directories[0] = replay.directory
        walk = Walk(self.tx, REGISTRY, self.report, replay.directory, replay.batch)
        rules = Rules(self.tx, REGISTRY, self.report, replay.directory, self.orders, {})

        def each(batch: OpenBatch, lines: Lines) -> None:
            self.directories[batch.end] = replay.directory
            rules.registry_lines(batch, lines)

        walk.run(each)
        newest = self.directories[max(self.directories)]
        self.heads[REGISTRY] = Heads(walk, newest, self.report)

    def _names(self, directory: Directory) -> list[str]:
        """Return the members' feeds that have a head, and report those without."""
        known = set(self.tx.heads.all()) - {REGISTRY}
        for name in sorted(set(directory.members) - known):
            if self.tx.objects.size(name):
                self.report.find("missing-head", name, 0, "its head is not there")
        return sorted(known)

    def _erasures(self, name: str, walk: Walk) -> None:
        headers = frozenset(batch.first for batch in walk.batches)
        self.orders.judge(self.tx, name, walk.size, walk.missing, headers, self.report)

    def summarise(self, now: int, require_fresh: bool) -> None:
        """Say of each feed how far it was verified and who vouches for its head."""
        for name, heads in self.heads.items():
            size, problem = heads.walk.size, heads.unfresh(now)
            if problem and require_fresh:
                self.report.find("stale-head", name, size, problem)
            elif problem:
                self.report.warnings.append(f"{name}: {problem}")
            witnesses = heads.witnesses(size)
            self.report.feeds.append(
                {
                    "feed": name,
                    "size": size,
                    "batches": len(heads.walk.batches),
                    "cosignatures": len(witnesses),
                    "root": to_base64(heads.walk.roots[size]),
                    "witnesses": witnesses,
                }
            )
