"""Cosignatures that peers show: verified, kept, and compared with each other.

Each node shows all that it has, so that all nodes come to have all. A witness that
cosigned a smaller head after a larger one is convicted by its own lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hub.conviction import accept, rollback
from hub.directory import Directory
from hub.errors import MalformedError, ProofError
from hub.model import check_feed
from hub.peer import Peer
from hub.registry import Registry
from hub.store.base import Store, Transaction
from hub.tlog.checkpoint import peek_checkpoint
from hub.witness import keep, lines_of

__all__ = ["ShownHead", "fetch_evidence", "heads_of", "keep_cosignatures"]


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
