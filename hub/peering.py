"""Visits to peers: one sync each, with back-off, and what is known of every peer.

What a visit brought is noted in the store, so that the server, the worker and
``hub peers`` tell the same. A peer that fails is left alone for a while that doubles
with every failure, up to an hour. A node that fell silent, a fork and a head that
lacks its quorum are *alarms*: sentences for whoever operates the node.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hub.directory import Directory
from hub.errors import HubError, MalformedError, UnavailableError
from hub.federation import Federation, Synced
from hub.freezing import is_frozen
from hub.model import render_time
from hub.store.base import Transaction
from hub.witness import others, quorum, visible

__all__ = ["Peering", "alarms", "catch_up", "peer_state", "peerings", "visit"]

log = logging.getLogger("hub.peering")
CATCH_UP_PAUSE = 2.0
PAUSE = 30
"""Seconds after the first failure of a peer."""
MOST_PAUSE = 3600
SILENT = 3600
"""Seconds without a successful sync after which a peer counts as silent."""
PATIENCE = 600
"""Seconds that one visit may take, all in all."""


@dataclass(frozen=True)
class Peering:
    """What is known of a peer. Times are POSIX seconds, 0 for never.

    Args:
        name: The peer.
        url: Its public URL, as the registry has it.
        tried: When it was last asked.
        ok: When it last answered well.
        error: What went wrong last, empty when nothing did.
        failures: How often it failed since it last answered well.
        next_try: Before when it is left alone.
        behind: Feeds of which it has less than we: (its size, ours).
        ahead: Entries that it brought at the last visit.
        cosigned: Of how many of our heads we hold its cosignature.
        heads: How many heads we have.
    """

    name: str
    url: str
    tried: int = 0
    ok: int = 0
    error: str = ""
    failures: int = 0
    next_try: int = 0
    behind: dict[str, tuple[int, int]] = field(default_factory=dict)
    ahead: int = 0
    cosigned: int = 0
    heads: int = 0

    @property
    def lag(self) -> int:
        """Entries that we have and it has not, as of the last visit."""
        return sum(ours - theirs for theirs, ours in self.behind.values())

    def to_json(self, now: int) -> dict[str, Any]:
        """Return the documented JSON form."""
        return {
            "node": self.name,
            "url": self.url,
            "last_success": render_time(self.ok) if self.ok else None,
            "last_error": self.error or None,
            "failures": self.failures,
            "next_try": render_time(self.next_try) if self.next_try > now else None,
            "lag_entries": self.lag,
            "lag_seconds": now - self.ok if self.ok else None,
            "cosigned": self.cosigned,
            "heads": self.heads,
        }


def _key(peer: str) -> str:
    return f"peer {peer}"


def peer_state(tx: Transaction, directory: Directory, peer: str) -> Peering:
    """Return what is known of a peer."""
    noted = tx.node.get_sync(_key(peer))
    heads = tx.heads.all()
    cosigned = sum(
        any(row.node == peer for row in tx.heads.cosignatures(feed, head.size))
        for feed, head in heads.items()
    )
    behind = json.loads(noted.get("behind", "{}"))
    numbers = {
        name: int(noted.get(name, "0"))
        for name in ("tried", "ok", "failures", "next_try", "ahead")
    }
    return Peering(
        name=peer,
        url=directory.nodes.get(peer, ""),
        error=noted.get("error", ""),
        behind={feed: (int(a), int(b)) for feed, (a, b) in behind.items()},
        cosigned=cosigned,
        heads=len(heads),
        **numbers,
    )


def peerings(federation: Federation) -> list[Peering]:
    """Return what is known of every peer, by name."""
    with federation.store.read() as tx:
        directory = federation.registry.directory(tx)
        names = sorted(name for name in directory.nodes if name != federation.name)
        return [peer_state(tx, directory, name) for name in names]


def visit(federation: Federation, peer: str, *, force: bool = False) -> Synced | None:
    """Sync with a peer and note what came of it; None while it is left alone.

    Args:
        federation: This node's side.
        peer: The peer's name.
        force: Do not leave it alone.

    Raises:
        HubError: The peer does not answer, or not with what it should.
    """
    now = federation.clock.now()
    with federation.store.read() as tx:
        known = peer_state(tx, federation.registry.directory(tx), peer)
    if known.next_try > now and not force:
        return None
    try:
        done = federation.sync(peer, until=now + PATIENCE)
    except HubError as error:
        _note_failure(federation, known, error, now)
        raise
    failed = _failed(done)
    if failed is None:
        _note_success(federation, peer, done, now)
    else:
        _note_failure(federation, known, failed, now)
    return done


def _failed(done: Synced) -> HubError | None:
    """Return why a visit that brought nothing failed, if that is the peer's doing.

    It answered with its heads and then with nothing or nonsense: asking again at once
    would be as useless. A frozen feed, say, is no fault of a peer.
    """
    if done.pulled.feeds:
        return None
    kinds = (UnavailableError, MalformedError)
    mine = done.pulled.problems.items()
    found = next(((f, p) for f, p in mine if isinstance(p, kinds)), None)
    return None if found is None else UnavailableError(f"{found[0]}: {found[1]}")


def catch_up(federation: Federation, stop: threading.Event) -> None:
    """Compare heads with the peers after a start, until this node may sign.

    Args:
        federation: This node's side; its gate was told of the start.
        stop: Ends it early.
    """
    while not federation.gate.is_open() and not stop.is_set():
        for peer in federation.peers():
            try:
                visit(federation, peer, force=True)
            except HubError as error:
                log.info("%s: %s", peer, error)
        stop.wait(CATCH_UP_PAUSE)


def _note_failure(
    federation: Federation, known: Peering, error: HubError, now: int
) -> None:
    pause = min(PAUSE << min(known.failures, 20), MOST_PAUSE)
    values = {
        "tried": str(now),
        "error": str(error)[:500],
        "failures": str(known.failures + 1),
        "next_try": str(now + pause),
    }
    with federation.store.write() as tx:
        tx.node.set_sync(_key(known.name), values)


def _note_success(federation: Federation, peer: str, done: Synced, now: int) -> None:
    values = {
        "tried": str(now),
        "ok": str(now),
        "error": "; ".join(f"{f}: {p}" for f, p in done.problems.items())[:500],
        "failures": "0",
        "next_try": "0",
        "ahead": str(sum(b - a for _, a, b in done.pulled.feeds)),
    }
    if done.pulled.answered:
        values["behind"] = json.dumps(done.pulled.lagging)
    with federation.store.write() as tx:
        tx.node.set_sync(_key(peer), values)


def alarms(federation: Federation) -> Iterator[str]:
    """Yield what whoever operates this node must know: silence, forks, no quorum."""
    now = federation.clock.now()
    for peer in peerings(federation):
        if peer.failures and now - peer.ok > SILENT:
            since = f"since {render_time(peer.ok)}" if peer.ok else "so far"
            yield f"{peer.name} is silent {since}: {peer.error}"
    with federation.store.read() as tx:
        directory = federation.registry.directory(tx)
        for row in tx.federation.evidence():
            yield f"evidence: {row.name}, kept since {render_time(row.at)}"
        for feed, head in tx.heads.all().items():
            if is_frozen(tx, directory, feed):
                yield f"{feed} is frozen until the officers name a new log key"
            shown = visible(tx, directory, feed)
            if shown is None or shown.size < head.size:
                needed = quorum(directory, feed)
                names = ", ".join(others(directory, feed))
                size = shown.size if shown else 0
                yield (
                    f"{feed} has no quorum beyond {size} of {head.size}: "
                    f"{needed} of {names} must cosign"
                )


def check_known(federation: Federation, peer: str) -> None:
    """Refuse a name that is no peer of ours.

    Raises:
        UnavailableError: The registry names no such other node.
    """
    if peer not in federation.peers():
        raise UnavailableError(
            f"the registry names no other node called {peer}",
            code="unknown-peer",
            advice="hub peers lists them.",
        )
