"""Pull one peer once: heads, registry first, then every feed that is ahead.

A client is a node that does not serve, so ``hub pull`` is this function too. What is
fetched of one feed, and how it is verified, stands in :mod:`hub.following`.
"""

from __future__ import annotations

from collections.abc import Collection

from hub.cutting import follow_homes
from hub.directory import Directory
from hub.errors import HubError
from hub.following import Following, Progress, Pulled
from hub.gossip import fetch_evidence, heads_of
from hub.marks import Marks
from hub.model import REGISTRY
from hub.peer import Mirror, Peer
from hub.registry import Registry
from hub.store.base import Store
from hub.tombstones import ORDER_AHEAD, losses, refill
from hub.witness import keep_shown, shown_sizes

__all__ = ["Mirror", "Peer", "Pulled", "pull"]


def pull(
    store: Store,
    registry: Registry,
    client: Peer,
    now: int,
    progress: Progress = lambda _feed, _done, _size: None,
    only: Collection[str] | None = None,
    marks: Marks | None = None,
    rounds: int = 3,
) -> Pulled:
    """Bring every feed up to the peer's heads.

    Args:
        store: Where to.
        registry: Gives the directory of that store.
        client: The peer.
        now: The time here.
        progress: Is told (feed, entries so far, entries in all).
        only: The feeds to pull; None pulls all.
        marks: What this node's keys signed last; None where nothing is signed.
        rounds: How often to begin at all when the peer acts on an order that lies above
            what it had shown.

    Raises:
        UnavailableError: The peer does not answer.
        MalformedError: Its list of heads is not one.
    """
    result = Pulled()
    with store.read() as tx:
        etag = "" if only else tx.node.get_sync(client.url).get("etag", "")
        known = {feed: head.size for feed, head in tx.heads.all().items()}
    answer, etag = client.heads(etag)
    if answer is None:
        result.answered = False
        return result
    heads, lost = heads_of(answer), _lost(store)
    result.shown = {name: head.checkpoint for name, head in heads.items()}
    before = _directory(store, registry)
    shown = shown_sizes(store, before)
    for name in sorted(heads, key=lambda n: (n != REGISTRY, n)):
        if only is None or name in only:
            had = known.get(name, 0)
            one = Following(store, registry, client, name, now, progress, had)
            one.pull_into(result, heads[name])
        if name == REGISTRY and result.feeds:
            # The registry comes first, and may say from where another feed goes on.
            result.cuts = follow_homes(store, registry, now, marks)
            keep_shown(store, shown, before, _directory(store, registry))
            known.update({cut.feed: cut.after for cut in result.cuts})
    try:
        result.evidence = fetch_evidence(store, registry, client, answer, now)
    except HubError as error:
        # Whatever a peer says to that, what came before it stands.
        result.problems.setdefault("evidence", error)
    _refill(store, registry, client)
    result.lost = {k: v for k, v in _lost(store).items() if k not in lost}
    ahead = {n for n, p in result.problems.items() if p.code == ORDER_AHEAD}
    if ahead and rounds > 1:
        wanted = ahead | {REGISTRY}
        result.add(
            pull(store, registry, client, now, progress, wanted, marks, rounds - 1)
        )
    if not result.problems and only is None:
        with store.write() as tx:
            tx.node.set_sync(client.url, {"etag": etag})
    return result


def _directory(store: Store, registry: Registry) -> Directory:
    with store.read() as tx:
        return registry.directory(tx)


def _refill(store: Store, registry: Registry, client: Peer) -> None:
    """Ask for lost lines, once whenever the registry grew: it alone voids orders."""
    with store.read() as tx:
        size = str(registry.directory(tx).size)
        if tx.node.get_sync(client.url).get("refilled") == size:
            return
        lost = {feed: losses(tx, feed) for feed in tx.heads.all()}
    for feed, lines in lost.items():
        refill(store, feed, lines, client)
    with store.write() as tx:
        tx.node.set_sync(client.url, {"refilled": size})


def _lost(store: Store) -> dict[str, str]:
    """Return all lines that were deleted under orders which are void now."""
    found: dict[str, str] = {}
    with store.read() as tx:
        for feed in tx.heads.all():
            found |= losses(tx, feed)
    return found
