"""Audit nodes over HTTP: mirror each from nothing, audit it, compare them all.

Trusted: the pin. Nothing of the auditor's own mirror is used, so a report says what the
nodes show now. Two nodes that show two histories of one feed are a finding, and what
convicts the feed's home comes with it. The mirrors go into a folder of the caller, who
removes it; how large they may grow is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.audit import Report, audit
from hub.conviction import fork
from hub.directory import Pin
from hub.errors import HubError, UnavailableError
from hub.findings import Finding
from hub.model import REGISTRY, EntryName, render_time
from hub.peer import Peer
from hub.registry import Registry
from hub.store.base import Store, StoredHead, Transaction
from hub.store.sqlite import SqliteStore
from hub.sync import pull
from hub.tlog.merkle import Frontier
from schemas.fast import read_line

__all__ = ["MOST_BYTES", "audit_nodes"]

MOST_BYTES = 50 * 1024**3
"""How large the mirror of one node may grow."""

Progress = Callable[[str, int, int], None]


@dataclass
class _Node:
    """One node's mirror and what its own audit said."""

    url: str
    store: Store
    report: Report | None = None
    problems: dict[str, HubError] = field(default_factory=dict)
    heads: dict[str, StoredHead] = field(default_factory=dict)

    @property
    def unreachable(self) -> str:
        """Why nothing came, if nothing did."""
        problem = self.problems.get("")
        return str(problem) if problem else ""


def audit_nodes(
    pin: Pin,
    peers: Sequence[Peer],
    folder: Path,
    now: int,
    *,
    as_of: int | None = None,
    require_fresh: bool = False,
    progress: Progress = lambda _feed, _done, _size: None,
    most: int = MOST_BYTES,
) -> Report:
    """Mirror nodes into a folder, audit each, and compare their histories.

    Args:
        pin: What is trusted.
        peers: The nodes.
        folder: An empty folder.
        now: The time here.
        as_of: Also say what was known at that time.
        require_fresh: A head that the quorum did not cosign lately is a finding.
        progress: Is told (what, entries so far, entries in all).
        most: How large one mirror may grow, in bytes.

    Raises:
        UnavailableError: None of them could be reached.
    """
    nodes = []
    try:
        for number, peer in enumerate(peers):
            path = folder / f"node-{number}.db"
            node = _Node(peer.url, SqliteStore(path, create=True))
            nodes.append(node)
            _mirror(node, pin, peer, now, _bounded(path, most, progress))
            if not node.unreachable:
                node.report = audit(
                    node.store, pin, now, as_of, require_fresh=require_fresh
                )
        return _joined(nodes, pin, now, as_of)
    finally:
        for node in nodes:
            node.store.close()


def _bounded(path: Path, most: int, progress: Progress) -> Progress:
    def check(feed: str, done: int, size: int) -> None:
        journal = path.with_name(path.name + "-wal")
        bytes_ = sum(p.stat().st_size for p in (path, journal) if p.exists())
        if bytes_ > most:
            raise UnavailableError(
                f"the mirror has {bytes_ >> 20} MiB and is not at its end",
                code="too-large",
                advice="Allow more with --most-gib, if the node is worth it.",
            )
        progress(feed, done, size)

    return check


def _mirror(node: _Node, pin: Pin, peer: Peer, now: int, progress: Progress) -> None:
    try:
        found = pull(node.store, Registry(pin), peer, now, progress)
    except HubError as error:
        node.problems[""] = error
        return
    node.problems.update(found.problems)
    with node.store.read() as tx:
        node.heads = tx.heads.all()
    if found.problems and not node.heads:
        node.problems[""] = next(iter(found.problems.values()))


def _joined(nodes: list[_Node], pin: Pin, now: int, as_of: int | None) -> Report:
    reached = [n for n in nodes if n.report]
    if not reached:
        raise UnavailableError(
            f"no node could be audited: {nodes[0].unreachable}",
            advice="Check the URLs, the network and this folder's keys.",
        )
    total = Report(render_time(now if as_of is None else as_of), pin.alliance)
    for node in nodes:
        _add(total, node)
    for feed in sorted({feed for node in reached for feed in node.heads}):
        _compare(total, feed, [n for n in reached if feed in n.heads])
    best = _best(reached)
    total.feeds = [
        best[feed] for feed in sorted(best, key=lambda f: (f != "registry", f))
    ]
    newest = {f["feed"]: f["size"] for f in total.feeds}
    for node in nodes:
        sizes = {f: h.size for f, h in node.heads.items()}
        behind = {f: max(n - sizes.get(f, 0), 0) for f, n in newest.items()}
        total.nodes.append(
            {"url": node.url, "problem": node.unreachable, "behind": behind}
        )
    return total


def _best(nodes: list[_Node]) -> dict[str, dict[str, Any]]:
    """Return for each feed what the node with the longest history of it says."""
    best: dict[str, dict[str, Any]] = {}
    for node in nodes:
        for feed in node.report.feeds if node.report else ():
            known = best.get(feed["feed"])
            if known is None or feed["size"] > known["size"]:
                best[feed["feed"]] = feed
    return best


def _add(total: Report, node: _Node) -> None:
    """Add one node's report; what is wrong there names the node."""
    for feed, problem in node.problems.items():
        if feed:
            detail = f"{node.url}: {problem}"
            size = node.heads[feed].size if feed in node.heads else 0
            total.findings.append(Finding(problem.code, feed, f"{feed}/{size}", detail))
    report = node.report
    if report is None:
        return
    total.findings += [
        Finding(f.kind, f.feed, f.entry, f"{node.url}: {f.detail}")
        for f in report.findings
    ]
    total.findings += _shown(node, report)
    total.entries += report.entries
    total.registry = max(total.registry, report.registry)
    total.evidence |= report.evidence
    if report.counts and (total.counts is None or report.registry == total.registry):
        total.counts = report.counts
    total.void += [v for v in report.void if v not in total.void]
    total.erased += [e for e in report.erased if e not in total.erased]
    total.lost += [e for e in report.lost if e not in total.lost]
    total.warnings += [f"{node.url}: {w}" for w in report.warnings]
    total.open += [o for o in report.open if o not in total.open]


def _shown(node: _Node, report: Report) -> Iterator[Finding]:
    """Yield the lines that a node shows although its own heads order them erased.

    Its heads were read first, so it held each of these orders when it sent the lines.
    """
    with node.store.read() as tx:
        for one in report.erased:
            name, by = EntryName.parse(one["entry"]), EntryName.parse(one["by"])
            if _line(tx, name) is None:
                continue
            order, _ = read_line(_line(tx, by) or b"", registry=by.feed == REGISTRY)
            since = f"at {order['at']}" if order else "before"
            detail = f"{node.url} shows it, and {by} ordered it erased {since}"
            yield Finding("erased-line-shown", name.feed, str(name), detail)


def _line(tx: Transaction, name: EntryName) -> bytes | None:
    return next(tx.objects.lines(name.feed, name.index, name.index + 1)).raw


def _compare(total: Report, feed: str, nodes: list[_Node]) -> None:
    """Check that every node's history of a feed begins the longest one."""
    longest = max(nodes, key=lambda n: n.heads[feed].size)
    head = longest.heads[feed]
    with longest.store.read() as tx:
        reader = tx.objects.hash_reader(feed, head.size)
        for node in nodes:
            other = node.heads[feed]
            root = Frontier.of_hashes(other.size, reader).root()
            if root == other.root:
                continue
            same = other.size == head.size
            total.find(
                "fork",
                feed,
                other.size,
                f"{node.url} and {longest.url} show two histories, of {other.size} and "
                f"{head.size} entries",
            )
            raw = fork(other.checkpoint, head.checkpoint, None if same else reader)
            total.evidence[f"fork-{feed}-{other.size}.evidence"] = raw
