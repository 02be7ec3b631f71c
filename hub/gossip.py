"""Cosignatures that peers show: verified, kept, and compared with each other.

Each node shows all that it has, so that all nodes come to have all. A witness that
cosigned a smaller head after a larger one is convicted by its own lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hub.conviction import accept, rollback
from hub.directory import Directory
from hub.errors import MalformedError, ProofError, RollbackError
from hub.model import check_feed
from hub.peer import Peer
from hub.registry import Registry
from hub.store.base import Store, Transaction
from hub.tlog.checkpoint import peek_checkpoint
from hub.witness import keep, lines_of
from keys.encoding import to_base64

__all__ = [
    "ShownHead",
    "check_shown",
    "fetch_evidence",
    "heads_of",
    "keep_cosignatures",
    "note_shown",
]


@dataclass(frozen=True, slots=True)
class ShownHead:
    """What a peer shows of a feed, none of it verified."""

    checkpoint: bytes
    cosignatures: tuple[bytes, ...] = ()


def heads_of(answer: dict[str, Any]) -> dict[str, ShownHead]:
    """Read a peer's list of heads.

    Raises:
        MalformedError: It is not one.
    """
    try:
        return {
            check_feed(h["feed"]): ShownHead(
                h["checkpoint"].encode(),
                tuple(line.encode() for line in h.get("cosignatures", ())),
            )
            for h in answer["feeds"]
        }
    except (KeyError, TypeError, AttributeError, UnicodeEncodeError):
        # JSON can hold half a character, which no text can.
        raise MalformedError("the node's list of heads is not one") from None


def keep_cosignatures(
    store: Store, registry: Registry, feed: str, shown: ShownHead, now: int
) -> None:
    """Keep the cosignatures that a peer shows for a head that is stored here.

    Raises:
        MalformedError: One of a known witness does not verify.
    """
    if not shown.cosignatures:
        return
    size = peek_checkpoint(shown.checkpoint).size
    with store.read() as tx:
        known = set(lines_of(tx, feed, size))
    # Each line is verified once, however often a peer repeats it.
    new = [line for line in dict.fromkeys(shown.cosignatures) if line not in known]
    if not new:
        return
    seen: list[tuple[str, int, int]] = []
    with store.write() as tx:
        directory = registry.directory(tx)
        keep(tx, directory, feed, size, new, found=lambda *one: seen.append(one))
        found = [_went_back(tx, directory, feed, *one) for one in seen]
    for evidence in filter(None, found):
        try:
            accept(store, directory, evidence, now)
        except (MalformedError, ProofError):
            # Heads above a cut are void and convict nobody.
            continue


def note_shown(
    store: Store, registry: Registry, url: str, feed: str, shown: ShownHead
) -> None:
    """Remember the verified head that a home showed of its feed, by its size."""
    size = str(peek_checkpoint(shown.checkpoint).size)
    with store.read() as tx:
        key = _shown_key(registry.directory(tx), url, feed)
        if key is None or tx.node.get_sync(url).get(key) == size:
            return
    with store.write() as tx:
        tx.node.set_sync(url, {key: size})
    # If we crash here before the note, then the next pull notes it: until then a
    # smaller head passes for lag, which accuses nobody.


def check_shown(
    store: Store, directory: Directory, url: str, feed: str, size: int
) -> None:
    """Check that a home does not show less of its feed than it showed itself.

    That others showed more proves nothing: a cosigner shows a head with its quorum
    before the home does, if its answer to the home was lost.

    Raises:
        RollbackError: It showed more before.
    """
    key = _shown_key(directory, url, feed)
    if key is None:
        return
    with store.read() as tx:
        before = int(tx.node.get_sync(url).get(key, "0"))
    if size < before:
        raise RollbackError(
            f"{url} shows {feed} at {size}, it was at {before} before",
            advice="Its operator may have restored an old copy: tell them.",
        )


def _shown_key(directory: Directory, url: str, feed: str) -> str | None:
    """Return where to note what the home of a feed showed; None for other peers.

    After a move the feed has another log key, and may go on from a smaller head.
    """
    home = directory.home(feed)
    if home is None:
        return f"shown {feed}"
    mine = directory.nodes[home.node] == url
    return f"shown {feed} {to_base64(home.public)}" if mine else None


def fetch_evidence(
    store: Store, registry: Registry, peer: Peer, answer: dict[str, Any], now: int
) -> list[str]:
    """Fetch and verify evidence that a peer names and we lack; return its names.

    Raises:
        MalformedError: The peer's list is not one.
        UnavailableError: The peer does not answer.
    """
    try:
        names = {str(name) for name in answer.get("evidence", ())}
    except TypeError:
        raise MalformedError("the node's list of evidence is not one") from None
    with store.read() as tx:
        known = {row.name for row in tx.federation.evidence()}
        directory = registry.directory(tx)
    if names <= known:
        return []
    found = []
    for raw in _files(peer.get_json("/v1/evidence")):
        try:
            row = accept(store, directory, raw, now)
        except (MalformedError, ProofError):
            # A peer's word convicts nobody; nor does it stall what can be proved.
            continue
        if row.name not in known:
            found.append(row.name)
    return found


def _files(answer: dict[str, Any]) -> list[bytes]:
    try:
        return [item["file"].encode() for item in answer["evidence"]]
    except (KeyError, TypeError, AttributeError, UnicodeEncodeError):
        raise MalformedError("the node's list of evidence is not one") from None


def _went_back(
    tx: Transaction, directory: Directory, feed: str, node: str, size: int, time: int
) -> bytes | None:
    """Return evidence if a node cosigned a smaller head after a larger one."""
    pair = tx.federation.went_back(feed, node, size, time)
    if pair is None:
        return None
    # All keys of a node have this name, also those that are closed by now; whoever
    # judges finds the one that made the lines by its id.
    return rollback(tx, feed, f"{directory.alliance}/node/{node}", *pair)
